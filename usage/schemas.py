"""The bodies of answers that tell of limits and usage, as OpenAPI shows them."""

from datetime import datetime
from typing import Literal

from ninja import Schema
from pydantic import ConfigDict, Field


class RefusedEscalation(Schema):
    """Where on the ladder the refused key or address stands."""

    tier: int = Field(ge=0, le=5, examples=[1], description="0 is clear, 5 is suspended.")
    until: int | None = Field(
        examples=[None], description="The Unix time at which its block ends, if it is blocked."
    )
    strikes_to_next_tier: int | None = Field(
        examples=[3], description="How many more strikes lead on; null where nothing does."
    )
    explain_url: str = Field(
        examples=["https://koala.example/usage/?key=koala_8fQx2a"], description="The page that explains it."
    )


class Refusal(Schema):
    """An error as the routes below `/api/v1` tell it. What doesn't apply is left out."""

    error: str = Field(examples=["Rate limit exceeded"], description="What it is, in words.")
    code: str = Field(examples=["rate_limited"], description="What it is, for programs.")
    detail: str = Field(
        examples=["30 requests per minute; the next window opens in 12 s."],
        description="A sentence that says what was wrong, and what to do.",
    )
    field: str | None = Field(None, examples=["quality"], description="The part of the request at fault.")
    limit: str | None = Field(
        None,
        examples=["minute"],
        description="The limit that is reached: `minute`, `day`, `concurrent`, or an endpoint limit's name.",
    )
    retry_after: int | None = Field(
        None, ge=1, examples=[12], description="Seconds to wait, as the header `Retry-After` says."
    )
    escalation: RefusedEscalation | None = Field(None, description="Where the escalation ladder has led.")


class ShortRefusal(Schema):
    """An error as the short routes tell it. What doesn't apply is left out."""

    error: str = Field(examples=["rate_limited"], description="What it is, for programs: the code.")
    detail: str = Field(
        examples=["Too many requests. Retry after 12 seconds."],
        description="A sentence that says what was wrong, and what to do.",
    )
    field: str | None = Field(None, examples=["quality"], description="The part of the request at fault.")


class Problem(Schema):
    """RFC 9457 problem details, for clients that accept `application/problem+json`, from every route."""

    type: str = Field(
        examples=["https://iana.org/assignments/http-problem-types#quota-exceeded"],
        description="The kind of problem: `about:blank` where its status says enough.",
    )
    title: str = Field(examples=["Rate limit exceeded"], description="What it is, in words.")
    status: int = Field(examples=[429], description="The answer's status.")
    detail: str = Field(
        examples=["30 requests per minute; the next window opens in 12 s."],
        description="A sentence that says what was wrong, and what to do.",
    )
    code: str = Field(examples=["rate_limited"], description="What it is, for programs.")
    violated_policies: list[str] | None = Field(
        None, alias="violated-policies", examples=[["minute"]], description="The limits that are reached."
    )
    field: str | None = Field(None, examples=["quality"], description="The part of the request at fault.")


class LimitsInForce(Schema):
    """The five limits. Null is no limit."""

    minute: int | None = Field(examples=[30], description="Requests per minute of the clock.")
    day: int | None = Field(examples=[1000], description="Requests per UTC day.")
    concurrent: int | None = Field(examples=[5], description="Requests in flight.")
    parallel: int | None = Field(
        examples=[3], description="Jobs of the account, or of the address, that run."
    )
    queued: int | None = Field(
        examples=[200], description="Jobs of the account, or of the address, that wait."
    )


class QuotaState(Schema):
    """One limit, on requests or on jobs."""

    kind: str = Field(
        examples=["day"], description="`minute`, `day` or `concurrent` requests; `parallel` or `queued` jobs."
    )
    used: int | None = Field(examples=[188], description="Now. Null while the counters can't be read.")
    limit: int | None = Field(examples=[1000], description="Null is no limit.")
    left: int | None = Field(examples=[812], description="Null without a limit, too.")
    resets_at: datetime | None = Field(
        description="When all of it is back; null where each use is given back by itself."
    )


class EscalationPlace(Schema):
    """Where on the escalation ladder the key or address stands, and why."""

    tier: int = Field(ge=0, le=5, examples=[1], description="0 is clear, 5 is suspended.")
    name: str = Field(examples=["Clear"], description="The tier's name.")
    until: datetime | None = Field(description="When its block ends, if it is blocked.")
    reason: str | None = Field(
        examples=["118 requests in one minute, limit 30; third strike."], description="What led to it."
    )
    strikes: int | None = Field(examples=[1], description="Null while the counters can't be read.")
    strikes_to_next_tier: int | None = Field(
        examples=[2], description="How many more lead on; null while the counters can't be read."
    )
    next: str = Field(
        examples=["2 more strikes lead to a Temporary block of 1 hour."], description="What would come next."
    )
    eases_at: datetime | None = Field(description="When the tier drops if nothing is refused until then.")


class RefusedRequests(Schema):
    """Requests that one limit refused on one route in one minute."""

    time: datetime = Field(description="When the minute begins.")
    route: str = Field(examples=["convert"], description="The route's name.")
    kind: str = Field(examples=["minute"], description="The limit that refused them.")
    count: int = Field(examples=[12], description="How many.")


class RecentHits(Schema):
    """Refused requests."""

    total: int = Field(examples=[12], description="How many there were.")
    newest: list[RefusedRequests] = Field(description="The newest 50 entries.")


class RequestsIn(Schema):
    """Requests in a minute, an hour or a day."""

    start: datetime = Field(description="When it begins.")
    admitted: int = Field(examples=[27], description="How many were admitted.")
    refused: int = Field(examples=[0], description="How many were refused.")


class RequestSeries(Schema):
    """Requests over time. The present minute, hour or day is the last."""

    minutes: list[RequestsIn] = Field(description="The last hour.")
    hours: list[RequestsIn] = Field(description="The last 24 hours.")
    days: list[RequestsIn] = Field(description="The last 30 days.")


class Usage(Schema):
    """How the asking key stands, or, without one, the address.

    While `live` is false the counters can't be read: only what was written down some time ago is told.
    """

    now: datetime = Field(description="The time of all these numbers.")
    live: bool = Field(description="Whether the counters can be read.")
    key: str | None = Field(
        examples=["koala_8fQx2a"], description="The key's visible start; null for an address."
    )
    tier: str = Field(examples=["free"], description="The tier that the limits come from.")
    rehearsal: bool = Field(
        description="Whether it is a rehearsal key, which converts nothing and counts against no limit."
    )
    limits: LimitsInForce = Field(description="The limits in force, overrides of the key included.")
    quotas: list[QuotaState] = Field(description="The limits on requests, with what is used of them.")
    escalation: EscalationPlace | None = Field(description="Null while it isn't known.")
    hits_24h: RecentHits = Field(description="What was refused in the last 24 hours.")
    series: RequestSeries = Field(description="What the charts of the usage page show.")


class KeyToValidate(Schema):
    """A key, and where it was presented."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = Field(
        default=None,
        max_length=200,
        examples=["koala_…"],
        description="The key in question. Without it the one that the request itself presents is meant.",
    )
    address: str | None = Field(
        default=None,
        max_length=45,
        json_schema_extra={
            "anyOf": [
                {"type": "string", "format": "ipv4"},
                {"type": "string", "format": "ipv6"},
                {"type": "null"},
            ]
        },
        examples=["203.0.113.7"],
        description="An IP address to hold the key's allow-list against.",
    )


class KeyEscalation(Schema):
    """Where on the escalation ladder the key stands."""

    tier: int = Field(ge=0, le=5, examples=[0], description="0 is clear, 5 is suspended.")
    until: datetime | None = Field(description="Until when charged requests are refused, if they are.")


class KeyValidity(Schema):
    """Whether a key is good, and nothing of who owns it. All is null of a key that we don't know.

    A blocked key is good, and works again for charged requests after `escalation.until`.
    """

    valid: bool = Field(description="Whether it is good.")
    code: Literal["invalid_key", "key_expired", "key_revoked", "key_suspended", "ip_not_allowed"] | None = (
        Field(description="Why it isn't good, in the words of a refusal.")
    )
    status: Literal["active", "blocked", "suspended", "expired", "revoked"] | None = Field(
        description="What it is now."
    )
    tier: str | None = Field(examples=["free"], description="The tier that its limits come from.")
    rehearsal: bool | None = Field(
        description="Whether it is a rehearsal key, which converts nothing and counts against no limit."
    )
    key: str | None = Field(examples=["koala_8fQx2a"], description="The visible start of the secret.")
    expires_at: datetime | None = Field(
        description="When the key ends, or this secret of it if that is sooner."
    )
    escalation: KeyEscalation | None = Field(description="Null while the limit store can't be asked.")
