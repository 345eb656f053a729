"""The owner of a suspended key asks for its reactivation: at most one request of a key waits."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse

from accounts import audit
from accounts.mail.letters import owe_letter
from accounts.models import ApiKey, User
from usage.blocks.block import current_suspension_of
from usage.escalation.reactivation import NotPossible
from usage.models import ReactivationRequest


@transaction.atomic
def ask(key: ApiKey, *, by: User, note: str) -> ReactivationRequest:
    """Gives the request that waits now: a new one, or the one that waited before. Raises `NotPossible`."""
    key = ApiKey.objects.select_for_update(of=("self",)).select_related("owner", "tier").get(pk=key.pk)
    if key.status == ApiKey.Status.REVOKED:
        raise NotPossible("This key is revoked, for good: nobody can reactivate it. Create a new one.")
    if key.status != ApiKey.Status.SUSPENDED:
        raise NotPossible("This key isn't suspended any more: there is nothing to ask for.")
    request = ReactivationRequest(key=key, note=note, sent_by=by, suspension=current_suspension_of(key))
    try:
        # A savepoint: on PostgreSQL the error would end the transaction around it.
        with transaction.atomic():
            request.save()
    except IntegrityError:
        return ReactivationRequest.objects.waiting().get(key=key)
    # Without the note: the log outlives the account, and this is the person's own word.
    audit.record("asked for reactivation", key, by=by)
    if settings.CONTACT_EMAIL:
        context = {"asked": request, "key": key, "page": staff_page_of(key)}
        owe_letter(
            "reactivation_request",
            settings.CONTACT_EMAIL,
            f"Reactivation asked for: {key}",
            render_to_string("usage/blocks/letter.txt", context),
            reply_to=key.owner.email or None,
        )
    return request


def staff_page_of(key: ApiKey) -> str:
    return f"{settings.BASE_URL}{reverse('staff_reactivation', args=[key.pk])}"
