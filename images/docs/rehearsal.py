"""What a rehearsal key can be asked for, as the page tells it."""

from dataclasses import dataclass

from accounts.endpoint_limits.names import NAMES
from images.rehearsal.asking import HEADER, ends_by_itself, is_of_charged
from usage.escalation.ladder import COOLDOWN, SUSPENDED, WARNED, Ladder
from usage.limits.kinds import Kind
from usage.limits.refusals import CODES

KEY = "koala_test…"


@dataclass(frozen=True, slots=True)
class Word:
    """`answer` is its status and what more there is to it."""

    word: str
    answer: str
    waits: bool
    is_of_charged: bool


@dataclass(frozen=True, slots=True)
class Tier:
    number: int
    name: str
    answer: str


def codes() -> list[Word]:
    return [_word(code, str(known.status)) for code, known in CODES.items()]


def limits() -> list[Word]:
    return [
        _word(name, f"429 rate_limited, limit {name}") for name in (*(kind.value for kind in Kind), *NAMES)
    ]


def tiers(ladder: Ladder) -> list[Tier]:
    answers = {0: "success", WARNED: "429 rate_limited", SUSPENDED: "403 key_suspended"}
    return [
        Tier(number, step.name, answers.get(number, f"429 {'cooldown' if number == COOLDOWN else 'blocked'}"))
        for number, step in enumerate(ladder.steps)
    ]


def command(base_url: str) -> str:
    return (
        f"curl -i {base_url}/api/v1/convert \\\n"
        f'  -H "Authorization: Bearer {KEY}" \\\n'
        f'  -H "{HEADER}: cooldown; retry_after=2" \\\n'
        "  -F file=@photo.png -F output_format=webp"
    )


def _word(word: str, answer: str) -> Word:
    return Word(word, answer, ends_by_itself(word), is_of_charged(word))
