"""Which of the account's keys a page is about."""

from django.http import Http404, HttpRequest

from accounts.models import ApiKey, KeySecret, User


class SignedInRequest(HttpRequest):
    user: User


def keys_of(user: User) -> list[ApiKey]:
    return list(ApiKey.objects.owned_by(user).select_related("tier"))


def chosen_key(keys: list[ApiKey], user: User, start: str | None) -> ApiKey | None:
    """The account's key with a secret that begins, or began, with `start`; raises `Http404` for any other.

    Without a `start`: the newest that works, one that doesn't rehearse before one that does, else the newest;
    `None` if there is none at all.
    """
    if start is None:
        working = [key for key in keys if key.status == ApiKey.Status.ACTIVE and not key.has_expired]
        counted = [key for key in working if not key.is_rehearsal]
        return next(iter(counted or working or keys), None)
    for key in keys:
        if key.start == start:
            return key
    # Older mails and logs show the start of a secret that was rotated out since.
    old = dict(KeySecret.objects.filter(key__owner=user).values_list("start", "key"))
    for key in keys:
        if key.pk == old.get(start):
            return key
    raise Http404("The account has no such key.")
