"""Deleting an account: what goes with it, who can't go, and what is left of it."""

from allauth.idp.oidc.models import Client
from django.db import transaction
from django.db.models import QuerySet
from django.template.loader import render_to_string

from accounts import audit
from accounts.account import sessions
from accounts.mail.letters import owe_letter
from accounts.models import ApiKey, ContactMessage, Letter, User
from accounts.signals import account_closing


class LastSuperuser(Exception):
    """Nobody would be left who may do everything."""


def is_last_superuser(user: User) -> bool:
    if not (user.is_superuser and user.is_active):
        return False
    return not _superusers().exclude(pk=user.pk).exists()


def keys_that_stop(user: User) -> list[ApiKey]:
    """The keys that something may still be using, in the order of their names."""
    keys = ApiKey.objects.owned_by(user).exclude(status=ApiKey.Status.REVOKED).order_by("name", "pk")
    return [key for key in keys if not key.has_expired]


@transaction.atomic
def delete_account(user: User, *, by: User | None = None) -> None:
    """Delete `user`, at their own wish or `by` a superuser, with all that is theirs but the audit log.

    Keys are announced as gone with the commit, so their next request is refused. What there may be thousands
    of goes in a statement each, and files with the worker's next cleaning: see `account_closing`. Raises
    `LastSuperuser`.
    """
    # Locked: of two superusers who delete themselves at once, the second finds itself the last.
    list(_superusers().select_for_update().order_by("pk"))
    if is_last_superuser(user):
        raise LastSuperuser
    # Not yet from rows that refer to it: who is writing one may hold what closing the account waits for.
    present = User.objects.select_for_update(no_key=True).filter(pk=user.pk).first()
    if present is None:
        return  # by the same form, sent twice at once
    user = present
    keys = keys_that_stop(user)
    for key in keys:
        audit.record("deleted with its account", key, by=by or user, before={"status": key.status})
    audit.record("deleted account", user, by=by or user, before={"is_staff": user.is_staff})
    account_closing.send(sender=User, user=user)
    _forget_what_only_names(user)
    _say_good_bye(user.email, keys, by_staff=by is not None)
    # From here on nothing new refers to it: the deletion takes along all that there is.
    User.objects.select_for_update().get(pk=user.pk)
    user.delete()


def _superusers() -> QuerySet[User]:
    return User.objects.filter(is_superuser=True, is_active=True)


def _forget_what_only_names(user: User) -> None:
    """Rows that no foreign key takes along, or that one would take along although they are others', too."""
    sessions.end_all(user)
    Letter.objects.filter(recipient__iexact=user.email).delete()
    ContactMessage.objects.filter(sender=user).delete()
    # Another service that people sign in to by this panel doesn't go with the person who entered it.
    Client.objects.filter(owner=user).update(owner=None)


def _say_good_bye(email: str, keys: list[ApiKey], *, by_staff: bool) -> None:
    facts = {"email": email, "keys": keys, "by_staff": by_staff}
    text = render_to_string("accounts/mail/account_deleted.txt", facts)
    owe_letter("account_deleted", email, "Your account has been deleted", text)
