"""What this app answers of the API: usage as the page shows it, and whether a key is good.

`images.api` has these routes among its own.
"""

from typing import Any

from ninja import Router
from ninja.decorators import decorate_view

from accounts.client_address import Address, parse
from accounts.endpoint_limits.limiter import limited
from usage import schemas
from usage.charts import series_at
from usage.escalation.footing import Footing
from usage.guard.middleware import ApiRequest
from usage.guard.presented_key import presented_key
from usage.key_validation import validity_of
from usage.limits.refusals import ApiError
from usage.small_bodies import small_body
from usage.standing import Quota, standing_of

router = Router(tags=["limits"])
keys = Router(tags=["keys"])

_ANSWERS: Any = {200: schemas.Usage}


@router.get("/usage", response=_ANSWERS, operation_id="usage", summary="See limits and usage")
def usage(request: ApiRequest) -> schemas.Usage:
    """Quotas, refused requests, the escalation ladder and charts of the key, or of the address without one.

    Asking counts against no limit.
    """
    subject = request.subject
    standing = standing_of(subject)
    series = series_at(subject.id, int(standing.now.timestamp()), live=standing.live)
    return schemas.Usage(
        now=standing.now,
        live=standing.live,
        key=subject.key_start or None,
        tier=subject.tier,
        rehearsal=subject.is_rehearsal,
        limits=schemas.LimitsInForce(**subject.limits._asdict()),
        quotas=[_quota(quota) for quota in standing.quotas],
        escalation=_escalation(standing.footing) if standing.footing.is_known else None,
        hits_24h=schemas.RecentHits(
            total=standing.hits.total,
            newest=[
                schemas.RefusedRequests(time=hit.at, route=hit.route, kind=hit.kind, count=hit.count)
                for hit in standing.hits.newest
            ],
        ),
        series=schemas.RequestSeries.model_validate(
            {
                name: [
                    {"start": one.start, "admitted": one.admitted, "refused": one.refused} for one in points
                ]
                for name, points in series._asdict().items()
            }
        ),
    )


def _quota(quota: Quota) -> schemas.QuotaState:
    return schemas.QuotaState(
        kind=quota.kind,
        used=quota.used,
        limit=quota.limit,
        left=quota.left,
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


_VALIDITY: Any = {200: schemas.KeyValidity, **dict.fromkeys((400, 411, 413))}


@keys.post("/validate", response=_VALIDITY, operation_id="validate_key", summary="Ask whether a key is good")
@decorate_view(small_body, limited("key_validation"))
def validate_key(request: ApiRequest, body: schemas.KeyToValidate | None = None) -> schemas.KeyValidity:
    """For services that are shown a key. A key that isn't good is an answer, too, with status 200.

    Without a body the key that the request itself presents is meant; if that isn't good, the request is
    refused as on every route. Asking counts against no limit of the key. How often one address may ask has a
    limit of its own.
    """
    asked = body or schemas.KeyToValidate()
    text = presented_key(request.META) if asked.key is None else asked.key
    if text is None:
        raise ApiError(
            "invalid_request", "Which key? Put it into the body's field “key”, or into a header.", field="key"
        )
    found = validity_of(text, _address(asked.address))
    return schemas.KeyValidity.model_validate(
        {
            "valid": found.is_valid,
            "code": found.code,
            "status": found.status,
            "tier": found.tier,
            "rehearsal": found.is_rehearsal,
            "key": found.start,
            "expires_at": found.expires_at,
            "escalation": None
            if found.escalation is None
            else {"tier": found.escalation, "until": found.blocked_until},
        }
    )


def _address(text: str | None) -> Address | None:
    if text is None:
        return None
    address = parse(text)
    if address is None:
        raise ApiError("invalid_request", "The field 'address' is no IP address.", field="address")
    return address
