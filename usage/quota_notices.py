"""Owners are told when a key has used most of its day, and all of it: once a day each."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models.functions import Coalesce

from accounts.models import ApiKey
from usage.models import Notice, UsageDay
from usage.notices import owe
from usage.spans import DAY
from usage.standing import NEAR
from usage.subjects import key_id_of, key_subject_id


def owe_quota_notices(day: datetime, subjects: Iterable[str]) -> None:
    """Owe the emails that are due after some subjects' rows of a day were written, in the same transaction.

    Two queries for up to a few thousand subjects, and two more plus one for each email if any is due.
    """
    key_ids = {subject: key_id for subject in subjects if (key_id := key_id_of(subject)) is not None}
    if not key_ids:
        return
    days = UsageDay.objects.filter(start=day, subject__in=key_ids).values_list("subject", "admitted")
    used = {key_ids[subject]: admitted for subject, admitted in days}
    limits = ApiKey.objects.filter(pk__in=used).values_list("pk", Coalesce("day_override", "tier__day"))
    due = {}
    for key_id, limit in limits:
        if limit is not None and used[key_id] * 100 >= limit * NEAR:
            kind = Notice.Kind.QUOTA_SPENT if used[key_id] >= limit else Notice.Kind.QUOTA_NEAR
            due[f"{kind}:{key_subject_id(key_id)}:{day:%Y-%m-%d}"] = kind, key_id, limit
    if not due:
        return
    # A key stays near its limit for many minutes. Asking once for all is cheaper than owing in vain.
    for told in Notice.objects.filter(once__in=list(due)).values_list("once", flat=True):
        del due[told]
    keys = ApiKey.objects.select_related("owner").in_bulk([key_id for _, key_id, _ in due.values()])
    for once, (kind, key_id, limit) in due.items():
        facts = {
            "used": used[key_id],
            "limit": limit,
            "day": day.date().isoformat(),
            "resets_at": (day + DAY).isoformat(),
        }
        owe(kind, keys[key_id], once, facts)
