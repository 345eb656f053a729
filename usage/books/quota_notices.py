"""Owners are told when a key has used most of its day, and all of it: once a day each."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import BigIntegerField, CharField, F, OuterRef, Subquery, Sum, Value
from django.db.models.functions import Cast, Coalesce, Concat

from accounts.models import ApiKey
from usage.models import CounterReset, Notice, UsageDay
from usage.notices import owe
from usage.spans import DAY
from usage.standing import NEAR
from usage.subjects import key_id_of, key_subject_id


def owe_quota_notices(day: datetime, subjects: Iterable[str]) -> None:
    """Owe the emails that are due after some subjects' rows of a day were written, in the same transaction.

    One query for a few thousand subjects, and if any is due, two more and one for each email.
    """
    key_ids = [key_id for subject in subjects if (key_id := key_id_of(subject)) is not None]
    if not key_ids:
        return
    due = {}
    for key_id, limit, used in _near_their_limit(day, key_ids):
        kind = Notice.Kind.QUOTA_SPENT if used >= limit else Notice.Kind.QUOTA_NEAR
        due[f"{kind}:{key_subject_id(key_id)}:{day:%Y-%m-%d}"] = kind, key_id, limit, used
    if not due:
        return
    # A key stays near its limit for many minutes. Asking once for all is cheaper than owing in vain.
    for told in Notice.objects.filter(once__in=list(due)).values_list("once", flat=True):
        del due[told]
    keys = ApiKey.objects.select_related("owner").in_bulk([key_id for _, key_id, _, _ in due.values()])
    for once, (kind, key_id, limit, used) in due.items():
        facts = {
            "used": used,
            "limit": limit,
            "day": day.date().isoformat(),
            "resets_at": (day + DAY).isoformat(),
        }
        owe(kind, keys[key_id], once, facts)


def _near_their_limit(day: datetime, key_ids: list[int]) -> Iterable[tuple[int, int, int]]:
    """Of some keys, those that have used so much of their day, with the limit in force and what is used."""
    subject = Concat(Value("k:"), Cast(OuterRef("pk"), CharField()))
    row = UsageDay.objects.filter(subject=subject, start=day).order_by()
    # As large numbers: a hundred times a limit may be one.
    limit = Cast(Coalesce("day_override", "tier__day"), BigIntegerField())
    resets = CounterReset.objects.on(day).filter(subject=subject).order_by().values("subject")
    forgiven = Coalesce(Subquery(resets.annotate(sum=Sum("forgiven")).values("sum")), 0)
    used = Cast(Subquery(row.values("admitted")), BigIntegerField()) - Cast(forgiven, BigIntegerField())
    return (
        ApiKey.objects.filter(pk__in=key_ids)
        .annotate(limit=limit, used=used)
        .annotate(hundredfold=F("used") * 100)
        .filter(hundredfold__gte=F("limit") * NEAR)
        .order_by()
        .values_list("pk", "limit", "used")
    )
