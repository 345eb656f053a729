"""The bodies of answers that tell of limits and usage, as OpenAPI shows them."""

from datetime import datetime
from typing import Literal

from ninja import Schema
from pydantic import ConfigDict, Field


class Refusal(Schema):
    """An error. `/api/v1` puts a sentence into `error`, the short routes the code."""

    error: str
    detail: str
    code: str | None = None
    field: str | None = None
    limit: str | None = None
    retry_after: int | None = None


class LimitsInForce(Schema):
    """Requests per minute and per UTC day, requests at once, jobs at once and waiting. Null is no limit."""

    minute: int | None
    day: int | None
    concurrent: int | None
    parallel: int | None
    queued: int | None


class QuotaState(Schema):
    """One limit on requests. `used` is null while the counters can't be read, `left` also without a limit."""

    kind: str = Field(examples=["day"])
    used: int | None
    limit: int | None
    left: int | None
    resets_at: datetime | None


class EscalationPlace(Schema):
    """Where on the ladder the key or address stands; `until` is when its block ends, if it is blocked.

    Strikes are null while the counters can't be read.
    """

    tier: int
    name: str = Field(examples=["Clear"])
    until: datetime | None
    reason: str | None = Field(examples=["118 requests in one minute, limit 30; third strike."])
    strikes: int | None
    strikes_to_next_tier: int | None
    next: str = Field(examples=["2 more strikes lead to a Temporary block of 1 hour."])
    eases_at: datetime | None = Field(description="When the tier drops if nothing is refused until then.")


class RefusedRequests(Schema):
    """Requests that one limit refused on one route in the minute that begins at `time`."""

    time: datetime
    route: str
    kind: str = Field(examples=["minute"])
    count: int


class RecentHits(Schema):
    """Refused requests: how many there were, and the newest 50 entries."""

    total: int
    newest: list[RefusedRequests]


class RequestsIn(Schema):
    """Requests in the minute, hour or day that begins at `start`."""

    start: datetime
    admitted: int
    refused: int


class RequestSeries(Schema):
    """The last hour by minute, 24 hours by hour, 30 days by day. The present one is the last."""

    minutes: list[RequestsIn]
    hours: list[RequestsIn]
    days: list[RequestsIn]


class Usage(Schema):
    """How the asking key stands, or, without one, the address. All times are UTC.

    While `live` is false the counters can't be read: only what was written down some time ago is told.
    """

    now: datetime
    live: bool
    key: str | None = Field(description="The key's visible start; null for an address.")
    tier: str = Field(examples=["free"])
    limits: LimitsInForce
    quotas: list[QuotaState]
    escalation: EscalationPlace | None = Field(description="Null while it isn't known.")
    hits_24h: RecentHits
    series: RequestSeries


class KeyToValidate(Schema):
    """A key, and where it was presented. Without `key` the one that the request itself presents is meant."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(default=None, max_length=200, examples=["koala_…"])
    address: str | None = Field(
        default=None, max_length=45, description="An IP address to hold the key's allow-list against."
    )


class EscalationTier(Schema):
    """The tier on the escalation ladder, and until when it blocks charged requests, if it does."""

    tier: int
    until: datetime | None


class KeyValidity(Schema):
    """Whether a key is good, and nothing of who owns it. All is null of a key that we don't know.

    `code` says why it isn't good, in the words of a refusal. A blocked key is good, and works again for
    charged requests after `escalation.until`; `escalation` is null while the limit store can't be asked.
    """

    valid: bool
    code: Literal["invalid_key", "key_expired", "key_revoked", "key_suspended", "ip_not_allowed"] | None
    status: Literal["active", "blocked", "suspended", "expired", "revoked"] | None
    tier: str | None = Field(examples=["free"])
    key: str | None = Field(description="The visible start of the secret.", examples=["koala_8fQx2a"])
    expires_at: datetime | None = Field(
        description="When the key ends, or this secret of it if that is sooner."
    )
    escalation: EscalationTier | None
