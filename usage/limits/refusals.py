"""Every refusal the API gives: one table of codes, three bodies.

`/api/v1/…` answers in the first dialect, the short routes in the second, and a client that asks for
`application/problem+json` gets RFC 9457 problem details from both.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from django.http import HttpResponse

from usage.limits import draft, outcomes

PROBLEM = "application/problem+json"


class Dialect(StrEnum):
    API = "api"
    SHORT = "short"


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means: its HTTP status and the sentence that names it.

    A view that answers a charged request so has done nothing for it where `refused_as` has an outcome: the
    charge is given back, and a hit of that name is counted.
    """

    status: int
    error: str
    problem_type: str = "about:blank"
    refused_as: str | None = None


CODES: Mapping[str, Code] = {
    "rate_limited": Code(429, "Rate limit exceeded", draft.QUOTA_EXCEEDED),
    "cooldown": Code(429, "Cooling down", draft.ABNORMAL_USAGE_DETECTED),
    "blocked": Code(429, "Temporarily blocked", draft.ABNORMAL_USAGE_DETECTED),
    "queue.limit_exceeded": Code(429, "Queue limit exceeded", draft.QUOTA_EXCEEDED, outcomes.QUEUED),
    "queue.pool_saturated": Code(
        429, "Worker pool saturated", draft.TEMPORARY_REDUCED_CAPACITY, outcomes.SATURATED
    ),
    "key_suspended": Code(403, "API key suspended", draft.ABNORMAL_USAGE_DETECTED),
    "invalid_key": Code(401, "Invalid API key"),
    "key_expired": Code(401, "API key expired"),
    "key_revoked": Code(401, "API key revoked"),
    "ip_not_allowed": Code(403, "Address not allowed"),
    "invalid_request": Code(400, "Invalid request"),
    "unsupported_format": Code(415, "Unsupported format"),
    "image_too_large": Code(413, "Image too large"),
    "not_found": Code(404, "Not found"),
    "token_exhausted": Code(410, "Download token exhausted"),
    "limits_unavailable": Code(
        503, "Limits unavailable", draft.TEMPORARY_REDUCED_CAPACITY, outcomes.UNAVAILABLE
    ),
}


class ApiError(Exception):
    """Raised by an API route to answer with one of the codes.

    `field` names the part of the request that is wrong; `status` replaces the code's own where the same
    code has several (`invalid_request`: 400, 405, 422). `stays_charged` is for one that came after work was
    done, whatever its code says (`Code.refused_as`).
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        stays_charged: bool = False,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.field = field
        self.status = status
        self.headers = headers or {}
        self.stays_charged = stays_charged

    @property
    def refused_as(self) -> str | None:
        """The outcome that a charged request has by this, instead of being admitted."""
        return None if self.stays_charged else CODES[self.code].refused_as


class Refusal(NamedTuple):
    """A refusal, ready to be sent; `headers` has everything, the body's length and type included."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def response(self) -> HttpResponse:
        return HttpResponse(self.body, status=self.status, headers=dict(self.headers))


def refusal(
    code: str,
    detail: str,
    *,
    dialect: Dialect,
    accept: str = "",
    status: int | None = None,
    field: str | None = None,
    limit: str | None = None,
    retry_after: int | None = None,
    escalation: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Refusal:
    """The refusal for `code` in the client's dialect.

    `retry_after` is in whole seconds; `accept` is the request's Accept header; `limit` names the violated
    limit; `escalation` is the object of the first dialect.
    """
    known = CODES[code]
    status = status or known.status
    content: dict[str, Any]
    content_type = "application/json"
    if PROBLEM in accept:
        content_type = PROBLEM
        content = {
            "type": known.problem_type,
            "title": known.error,
            "status": status,
            "detail": detail,
            "code": code,
        }
        if limit is None and known.problem_type == draft.QUOTA_EXCEEDED:
            limit = known.refused_as
        if limit is not None:
            content["violated-policies"] = [limit]
    elif dialect is Dialect.SHORT:
        if code == "rate_limited" and retry_after is not None:
            detail = f"Too many requests. Retry after {retry_after} seconds."
        content = {"error": code, "detail": detail}
    else:
        content = {"error": known.error}
        if retry_after is not None:
            content["retry_after"] = retry_after
        content["code"] = code
        if limit is not None:
            content["limit"] = limit
        content["detail"] = detail
        if escalation is not None:
            content["escalation"] = escalation
    if field is not None:
        content["field"] = field
    body = json.dumps(content).encode()
    all_headers = {
        "Content-Type": content_type,
        # A refusal may be sent above everything that would add it; without it the body goes in chunks.
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }
    if retry_after is not None:
        all_headers["Retry-After"] = str(retry_after)
    if status == 401:
        all_headers["WWW-Authenticate"] = "Bearer"
    if headers is not None:
        all_headers |= headers
    return Refusal(status, body, all_headers)
