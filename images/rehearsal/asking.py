"""What `X-Koala-Rehearse` may say, and which refusal that is.

`WORD` or `WORD; retry_after=SECONDS`. A word is a code of the API's table, the name of a limit that
`rate_limited` may name, or a tier of the ladder by its number or name.
"""

from collections.abc import Mapping
from typing import NamedTuple

from accounts.endpoint_limits.names import NAMES
from accounts.endpoint_limits.rates import Rate
from images.example_refusals import Example, Occasion, by_code, by_limit, by_tier
from usage.escalation.ladder import SUSPENDED, WARNED, Ladder
from usage.limits.kinds import Kind
from usage.limits.refusals import CODES, ApiError
from usage.spans import MINUTE_SECONDS

HEADER = "X-Koala-Rehearse"
LONGEST_WAIT = 3600  # seconds
LONGEST_HEADER = 100  # characters

_OF_REQUESTS = frozenset(kind.value for kind in Kind)
# These words lead to the minute's limit, whose window is no longer than this.
_OF_THE_MINUTE = ("rate_limited", Kind.MINUTE.value, str(WARNED))


class Asked(NamedTuple):
    """A word in its one form, and for how long its refusal is to last; `None`: as long as it would."""

    word: str
    wait: int | None


def words(ladder: Ladder) -> list[str]:
    """All of them, tiers by number; their names are understood as well."""
    return [*CODES, *(kind.value for kind in Kind), *NAMES, *(str(tier) for tier in range(SUSPENDED + 1))]


def read(header: str, ladder: Ladder) -> Asked:
    """Raises `ApiError` `invalid_request`, which tells what can be said."""
    said, *more = (part.strip().lower() for part in header[:LONGEST_HEADER].split(";"))
    word = _known(said, ladder)
    if word is None or len(header) > LONGEST_HEADER:
        raise _unreadable(f"{HEADER} takes one of {', '.join(words(ladder))}, not {said[:40]!r}.")
    if not more:
        return Asked(word, None)
    name, _, number = more[0].partition("=")
    longest = MINUTE_SECONDS if word in _OF_THE_MINUTE else LONGEST_WAIT
    is_number = number.isascii() and number.isdecimal() and len(number) <= 5
    if len(more) > 1 or name.strip() != "retry_after" or not is_number or not 0 < int(number) <= longest:
        raise _unreadable(
            f"Behind {word!r} only “; retry_after=N” may follow, N from 1 to {longest:,} seconds."
        )
    if not ends_by_itself(word):
        raise _unreadable(f"{word!r} has no Retry-After: it doesn't end by itself.")
    return Asked(word, int(number))


def ends_by_itself(word: str) -> bool:
    return is_of_charged(word) or word in NAMES


def is_of_charged(word: str) -> bool:
    """Whether what refuses so refuses only requests that are charged: the limits on these, the ladder's
    blocks, the queue, a limit store that is away."""
    if word.isdecimal():
        return 0 < int(word) < SUSPENDED
    return word in _OF_REQUESTS or (word in CODES and CODES[word].status in (429, 503))


def example_of(word: str, given: Occasion, rates: Mapping[str, Rate | None]) -> Example | None:
    """`None` for tier 0, by which nothing is refused."""
    if word.isdecimal():
        return by_tier(given).get(int(word))
    return by_code(given).get(word) or by_limit(given, rates)[word]


def _known(said: str, ladder: Ladder) -> str | None:
    if said in words(ladder):
        return said
    names = {_plain(step.name): str(tier) for tier, step in enumerate(ladder.steps)}
    return names.get(_plain(said))


def _plain(name: str) -> str:
    """`extended-cooldown` for `Extended cooldown`, however it is written."""
    return "-".join(name.lower().replace("_", " ").replace("-", " ").split())


def _unreadable(detail: str) -> ApiError:
    return ApiError("invalid_request", detail, field=HEADER)
