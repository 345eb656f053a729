"""What is forgotten of a key's use when its account is deleted."""

from typing import Any

from django.dispatch import receiver

from accounts.models import ApiKey, User
from accounts.signals import account_closing
from usage.models import EscalationEvent, RateHit, ReactivationRequest
from usage.subjects import key_subject_id


@receiver(account_closing)
def forget_the_person(user: User, **_: Any) -> None:
    """The history on the ladder, and whom the samples of hits tell of.

    The books stay: numbers under a key's number that leads nowhere any more. The provider's own totals are
    made of them.
    """
    keys = ApiKey.objects.owned_by(user).values_list("pk", flat=True)
    subjects = [key_subject_id(key_id) for key_id in keys]
    ReactivationRequest.objects.filter(key__in=keys).delete()
    # One statement: by delete() Django would look for requests that refer to them, by the hundred.
    events = EscalationEvent.objects.filter(subject__in=subjects)
    events._raw_delete(events.db)
    RateHit.objects.filter(subject__in=subjects).update(address="", user_agent="")
