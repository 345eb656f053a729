"""The refusals of a route, as the OpenAPI document tells them: in its dialect and as problem details."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.conf import settings
from pydantic import BaseModel

from images import documented_headers
from images.formats import OUTPUTS
from images.queue.accepting import RETRY_AFTER
from usage.limits.refusals import PROBLEM, Dialect, refusal
from usage.routes import ApiRoute
from usage.schemas import Problem, Refusal, RefusedEscalation, ShortRefusal

JSON = dict[str, Any]

# What the guard may refuse before any route sees a request, and what a database that is away may refuse.
ANYWHERE = (401, 403, 429, 503)

_ESCALATION = RefusedEscalation(
    tier=1,
    until=None,
    strikes_to_next_tier=3,
    explain_url="https://koala.example/usage/?key=koala_8fQx2a",
)
_BLOCKED = _ESCALATION.model_copy(update={"tier": 3, "until": 1_706_749_200, "strikes_to_next_tier": 2})


class Refused(NamedTuple):
    """One refusal: its code, an example of its sentence, and what else its body may have."""

    code: str
    detail: str
    field: str | None = None
    limit: str | None = None
    retry_after: int | None = None
    escalation: RefusedEscalation | None = None


def schemas() -> dict[str, JSON]:
    """The bodies' schemas, by their names."""
    return {model.__name__: _schema(model) for model in (RefusedEscalation, Refusal, ShortRefusal, Problem)}


def answer(status: int, route: ApiRoute) -> tuple[str, JSON]:
    """What `route` answers with this status: a response object, and its name. The same name is the same."""
    refused = _refused(status, route)
    codes = list(dict.fromkeys(one.code for one in refused))
    # In the short dialect the code is the error.
    body, named_by = ("ShortRefusal", "error") if route.dialect is Dialect.SHORT else ("Refusal", "code")
    headers = {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])
    name = f"{route.dialect}.{status}"
    if status in (413, 429):
        name += f".{route.name}"
    return name, {
        "description": _DESCRIPTIONS[status],
        "headers": documented_headers.of_answer(*headers),
        "content": {
            "application/json": {
                "schema": _narrowed(body, named_by, codes),
                "examples": _examples(refused, status, route.dialect, ""),
            },
            PROBLEM: {
                "schema": _narrowed("Problem", "code", codes),
                "examples": _examples(refused, status, route.dialect, PROBLEM),
            },
        },
    }


_DESCRIPTIONS = {
    400: "Something in the request is wrong: the detail says what, and `field` where.",
    401: "The key is none of ours, or isn't good any more.",
    403: "The key is suspended, or may not be used from this address.",
    404: "There is nothing of that name, or it isn't yours.",
    409: "The job has ended otherwise meanwhile.",
    410: "The address has expired, all of its downloads are used, or the result is gone.",
    411: "The body came in chunks: it has to say how long it is.",
    413: "The file, the image or the form is too large.",
    415: "The image is in no format that we read, or is asked for in one that we don't write.",
    422: "The image can't be read, or can't be made as it was asked for.",
    429: "A limit is reached. `Retry-After` says when to come back; earlier tries are refused as well.",
    503: "Limits can't be checked or jobs can't be kept right now. Nothing was charged; try again soon.",
}


def _refused(status: int, route: ApiRoute) -> Sequence[Refused]:
    known: dict[int, Sequence[Refused]] = {
        400: [Refused("invalid_request", "The field 'file' is missing.", field="file")],
        401: [
            Refused("invalid_key", "There is no such key."),
            Refused("key_expired", "This key has expired. Create a new one in the panel."),
            Refused(
                "key_revoked", "This key was revoked. Use another one, or create a new one in the panel."
            ),
        ],
        403: [
            Refused(
                "key_suspended",
                "This key is suspended until a person reactivates it: ask for that on its page, "
                "https://koala.example/usage/?key=koala_8fQx2a",
            ),
            Refused(
                "ip_not_allowed",
                "This key's allow-list doesn't have your address, 203.0.113.7. "
                "Its owner can add it in the panel.",
            ),
        ],
        404: [Refused("not_found", "You have no job with this id.")],
        409: [Refused("invalid_request", "The job has ended already: it is done.")],
        410: [
            Refused(
                "token_exhausted", "This address has expired. Ask for the job again: it gives a fresh one."
            )
        ],
        411: [Refused("invalid_request", "Send the body with a Content-Length, not in chunks.")],
        413: _too_large(route),
        415: [
            Refused(
                "unsupported_format",
                f"We write {', '.join(form.name for form in OUTPUTS)}, not 'docx'.",
                field="output_format",
            )
        ],
        422: [Refused("invalid_request", "The image is damaged: it ends too early.", field="file")],
        429: _over_limits(route),
        503: [
            Refused(
                "limits_unavailable", "Limits can't be checked right now. Try again in 2 s.", retry_after=2
            )
        ],
    }
    return known[status]


def _too_large(route: ApiRoute) -> Sequence[Refused]:
    field = "files" if route.name == "batch" else "file"
    most = f"A file may have {settings.UPLOAD_MAX_BYTES:,} bytes at most."
    form = Refused("invalid_request", "The form's text fields are too long.")
    return [Refused("image_too_large", most, field=field), form] if route.charged else [form]


def _over_limits(route: ApiRoute) -> Sequence[Refused]:
    if not route.charged:
        limits = {"downloads": "download", "entitlements": "entitlements"}
        limit = limits.get(route.name, "key_validation")
        detail = "30 requests per minute from one address; the next is admitted in 12 s."
        return [Refused("rate_limited", detail, limit=limit, retry_after=12)]
    minute = "30 requests per minute; the next window opens in 12 s."
    cooling = "Extended cooldown after too many refused requests: requests that count are refused until {}."
    blocked = "Temporary block after too many refused requests: requests that count are refused until {}."
    end = "2024-02-01 01:00:00 UTC, {} s from now"
    cooldown = _BLOCKED.model_copy(update={"tier": 2})
    return [
        Refused("rate_limited", minute, limit="minute", retry_after=12, escalation=_ESCALATION),
        Refused("cooldown", cooling.format(end.format(287)), retry_after=287, escalation=cooldown),
        Refused("blocked", blocked.format(end.format(3412)), retry_after=3412, escalation=_BLOCKED),
        Refused(
            "queue.limit_exceeded",
            "Too many queued jobs. Wait for existing jobs to complete.",
            retry_after=RETRY_AFTER,
        ),
        Refused(
            "queue.pool_saturated",
            "Worker pool is at capacity. Try again shortly.",
            retry_after=RETRY_AFTER,
        ),
    ]


def _examples(refused: Sequence[Refused], status: int, dialect: Dialect, accept: str) -> JSON:
    """The bodies as they would be sent, by their codes."""
    return {
        one.code: {
            "value": json.loads(
                refusal(
                    one.code,
                    one.detail,
                    dialect=dialect,
                    accept=accept,
                    status=status,
                    field=one.field,
                    limit=one.limit,
                    retry_after=one.retry_after,
                    escalation=one.escalation.model_dump() if one.escalation else None,
                ).body
            )
        }
        for one in refused
    }


def _narrowed(name: str, named_by: str, codes: Sequence[str]) -> JSON:
    """The named schema, where only these codes come."""
    return {
        "$ref": f"#/components/schemas/{name}",
        "properties": {named_by: {"enum": list(codes)}},
    }


def _schema(model: type[BaseModel]) -> JSON:
    schema = model.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    required = schema.get("required", [])
    for name, told in schema["properties"].items():
        # What isn't needed is left out where it doesn't apply, and never null.
        if name not in required:
            schema["properties"][name] = without_null(told)
    return schema


def without_null(told: JSON) -> JSON:
    """A schema for the same values but null, which a form can't send and a refusal doesn't."""
    options = [one for one in told.get("anyOf", []) if one != {"type": "null"}]
    if len(options) != 1:
        return told
    rest = {name: value for name, value in told.items() if name != "anyOf"}
    if rest.get("default", ...) is None:
        del rest["default"]
    return {**options[0], **rest}
