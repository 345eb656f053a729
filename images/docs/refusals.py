"""Every refusal, explained, with the bodies that the API itself answers."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from ipaddress import ip_address

from accounts.tiers import Limits
from images.docs.refusal_words import WORDS, Words
from images.formats import OUTPUTS
from images.queue.accepting import RETRY_AFTER
from images.uploads import too_large
from usage.escalation.ladder import COOLDOWN, Ladder
from usage.guard import answers
from usage.limits.decision import Decision
from usage.limits.kinds import Verdict
from usage.limits.refusals import CODES, PROBLEM, ApiError, Code, Dialect, Refusal, refusal
from usage.routes import ApiRoute
from usage.subjects import Subject

KEY = "koala_8fQx2a"
# Of a refusal's headers, those that are its own.
ITS_OWN = ("Retry-After", "WWW-Authenticate", "Content-Type", "Cache-Control")

V1 = ApiRoute("convert", "POST", "/api/v1/convert", charged=True, starts_job=True)
SHORT = replace(V1, path="/convert", dialect=Dialect.SHORT)

# A code's refusal at a route, for an Accept header.
Example = Callable[[ApiRoute, str], Refusal]


@dataclass(frozen=True, slots=True)
class Body:
    """An answer as it comes over the wire, and to whom it comes so. `anchor` is its id on the page."""

    anchor: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A code, its status in words, whether waiting helps, and its body in each form that it has."""

    code: str
    status: str
    ends_by_itself: bool
    words: Words
    bodies: list[Body]


def explained(limits: Limits, ladder: Ladder, now: int) -> list[Explained]:
    """Every code of the API's table, in its order, as a key with these limits meets it at `now`."""
    examples = _examples(limits, ladder, now)
    return [_explained(code, known, examples[code]) for code, known in CODES.items()]


def over_a_minute(limits: Limits, ladder: Ladder, now: int) -> str:
    """A refusal by the minute's limit, with all of its headers."""
    sent = _examples(limits, ladder, now)["rate_limited"](V1, "")
    return _as_sent(sent, [name for name in sent.headers if name != "Content-Length"])


def _explained(code: str, known: Code, example: Example) -> Explained:
    ends_by_itself = "Retry-After" in example(V1, "").headers
    return Explained(code, _status(known.status), ends_by_itself, WORDS[code], _bodies(code, example))


def _bodies(code: str, example: Example) -> list[Body]:
    asked = (
        ("v1", "Below /api/v1", V1, ""),
        ("short", "At a short route", SHORT, ""),
        ("problem", f"With Accept: {PROBLEM}", V1, PROBLEM),
    )
    return [
        Body(f"{code}-{name}", label, _as_sent(example(route, accept)))
        for name, label, route, accept in asked
    ]


def _examples(limits: Limits, ladder: Ladder, now: int) -> dict[str, Example]:
    """How each code comes about: where the guard answers, by the guard's own words."""
    subject = Subject(
        id="k:1", limits=limits, tier="free", tier_revision=1, account_id=1, key_id=1, key_start=KEY
    )
    now += 48 - now % 60
    over = Decision(
        verdict=Verdict.MINUTE_FULL,
        limits=limits,
        now=now,
        minute_count=limits.minute or 0,
        day_count=limits.minute or 0,
        in_flight=0,
        escalation=1,
    )

    def limited(decision: Decision) -> Example:
        return lambda route, accept: answers.over_limit(route, accept, subject, decision, ladder)

    def blocked(tier: int) -> Example:
        until = now + max(1, ladder.steps[tier].seconds)
        return limited(over._replace(verdict=Verdict.BLOCKED, escalation=tier, escalation_until=until))

    def bad_key(code: str) -> Example:
        known = replace(subject, refusal=code)
        return lambda route, accept: answers.refused_key(route, accept, KEY, known)

    def error(code: str, detail: str, field: str | None = None, wait: int | None = None) -> Example:
        return lambda route, accept: refusal(
            code, detail, dialect=route.dialect, accept=accept, field=field, retry_after=wait
        )

    def raised(known: ApiError) -> Example:
        return error(known.code, known.detail, known.field)

    elsewhere = ip_address("203.0.113.7")
    outputs = ", ".join(form.name for form in OUTPUTS)
    return {
        "rate_limited": limited(over),
        "cooldown": blocked(COOLDOWN),
        "blocked": blocked(COOLDOWN + 1),
        "queue.limit_exceeded": error(
            "queue.limit_exceeded",
            "Too many queued jobs. Wait for existing jobs to complete.",
            wait=RETRY_AFTER,
        ),
        "queue.pool_saturated": error(
            "queue.pool_saturated", "Worker pool is at capacity. Try again shortly.", wait=RETRY_AFTER
        ),
        "key_suspended": bad_key("key_suspended"),
        "invalid_key": lambda route, accept: answers.refused_key(route, accept, "koala_nonsense", None),
        "key_expired": bad_key("key_expired"),
        "key_revoked": bad_key("key_revoked"),
        "ip_not_allowed": lambda route, accept: answers.from_elsewhere(route, accept, elsewhere),
        "invalid_request": error("invalid_request", "The field 'file' is missing.", "file"),
        "unsupported_format": error("unsupported_format", f"We write {outputs}, not 'pdf'.", "output_format"),
        "image_too_large": raised(too_large()),
        "not_found": error("not_found", "You have no job with this id."),
        "token_exhausted": error(
            "token_exhausted", "This address has expired. Ask for the job again: it gives a fresh one."
        ),
        "limits_unavailable": lambda route, accept: answers.limits_unavailable(route, accept, subject),
    }


def _as_sent(sent: Refusal, names: Iterable[str] = ITS_OWN) -> str:
    """Status line, the headers of these names, and the body, which is sent without line breaks."""
    told = [f"{name}: {sent.headers[name]}" for name in names if name in sent.headers]
    body = json.dumps(json.loads(sent.body), indent=2, ensure_ascii=False)
    return "\n".join([f"HTTP/1.1 {_status(sent.status)}", *told, "", body])


def _status(number: int) -> str:
    return f"{number} {HTTPStatus(number).phrase}"
