"""`GET /api/v1/usage`: what the usage page shows, as JSON. `images.api` has it among the API's routes."""

from typing import Any

import redis
from ninja import Router

from usage import schemas
from usage.books.series import Series, series_of
from usage.escalation.footing import Footing
from usage.guard.middleware import ApiRequest
from usage.standing import Quota, Standing, standing_of
from usage.subjects import Subject

router = Router(tags=["usage"])

_ANSWERS: Any = {200: schemas.Usage, **dict.fromkeys((401, 403), schemas.Refusal)}


@router.get("/usage", response=_ANSWERS, operation_id="usage", summary="See limits and usage")
def usage(request: ApiRequest) -> schemas.Usage:
    """Quotas, refused requests, the escalation ladder and charts of the key, or of the address without one.

    Asking counts against no limit.
    """
    subject = request.subject
    standing = standing_of(subject)
    series = _series(subject, standing)
    return schemas.Usage(
        now=standing.now,
        live=standing.live,
        key=subject.key_start or None,
        tier=subject.tier,
        limits=schemas.LimitsInForce(**subject.limits._asdict()),
        quotas=[_quota(quota, standing.live) for quota in standing.quotas],
        escalation=_escalation(standing.footing) if standing.footing.is_known else None,
        hits_24h=schemas.RecentHits(
            total=standing.hits.total,
            newest=[
                schemas.RefusedRequests(time=hit.at, route=hit.route, kind=hit.kind, count=hit.count)
                for hit in standing.hits.newest
            ],
        ),
        series=schemas.RequestSeries.model_validate(
            {name: [point._asdict() for point in points] for name, points in series._asdict().items()}
        ),
    )


def _series(subject: Subject, standing: Standing) -> Series:
    now = int(standing.now.timestamp())
    if standing.live:
        try:
            return series_of(subject.id, now)
        except redis.RedisError:
            pass  # it went away between the two: what is booked is still true
    return series_of(subject.id, now, live=False)


def _quota(quota: Quota, live: bool) -> schemas.QuotaState:
    return schemas.QuotaState(
        kind=quota.kind,
        used=quota.used if live else None,
        limit=quota.limit,
        left=quota.left if live else None,
        resets_at=quota.resets_at,
    )


def _escalation(footing: Footing) -> schemas.EscalationPlace:
    return schemas.EscalationPlace(
        tier=footing.escalation,
        name=footing.name,
        until=footing.blocked_until,
        reason=footing.why.text if footing.why else None,
        strikes=footing.strikes,
        strikes_to_next_tier=footing.strikes_left,
        next=footing.next,
        eases_at=footing.eases_at,
    )
