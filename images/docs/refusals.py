"""Every refusal, explained, with the bodies that the API itself answers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from ipaddress import ip_address

from accounts.tiers import Limits
from images.docs.refusal_words import WORDS, Words
from images.example_refusals import Example, Occasion, by_code
from usage.escalation.ladder import Ladder
from usage.guard.guard import REHEARSAL
from usage.limits.refusals import CODES, PROBLEM, Code, Dialect, Refusal
from usage.routes import ApiRoute
from usage.subjects import Subject

KEY = "koala_8fQx2a"
# Of a refusal's headers, those that are its own.
ITS_OWN = ("Retry-After", "WWW-Authenticate", "Content-Type", "Cache-Control")

V1 = ApiRoute("convert", "POST", "/api/v1/convert", charged=True, starts_job=True)
SHORT = replace(V1, path="/convert", dialect=Dialect.SHORT)


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


def of_a_rehearsal(limits: Limits, ladder: Ladder, now: int, wait: int) -> str:
    """A cooldown that a rehearsal key has asked for, with all of its headers."""
    given = _occasion(limits, ladder, now, wait)
    given = replace(given, subject=replace(given.subject, key_start="koala_test8fQx2a"))
    sent = by_code(given)["cooldown"](V1, "")
    sent = sent._replace(headers={**sent.headers, **REHEARSAL})
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
    """How each code comes about, by the words of the code that refuses: 12 s before a minute's end."""
    return by_code(_occasion(limits, ladder, now + 48 - now % 60))


def _occasion(limits: Limits, ladder: Ladder, now: int, wait: int | None = None) -> Occasion:
    subject = Subject(
        id="k:1", limits=limits, tier="free", tier_revision=1, account_id=1, key_id=1, key_start=KEY
    )
    return Occasion(
        subject=subject,
        ladder=ladder,
        now=now,
        address=ip_address("203.0.113.7"),
        unknown_key="koala_nonsense",
        wait=wait,
    )


def _as_sent(sent: Refusal, names: Iterable[str] = ITS_OWN) -> str:
    """Status line, the headers of these names, and the body, which is sent without line breaks."""
    told = [f"{name}: {sent.headers[name]}" for name in names if name in sent.headers]
    body = json.dumps(json.loads(sent.body), indent=2, ensure_ascii=False)
    return "\n".join([f"HTTP/1.1 {_status(sent.status)}", *told, "", body])


def _status(number: int) -> str:
    return f"{number} {HTTPStatus(number).phrase}"
