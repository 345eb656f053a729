"""What the addresses of `tests.pages` ask for, found in a panel's database."""

from accounts.models import ApiKey, Tier
from tests.pages import Page
from usage.models import EscalationEvent, Replay
from usage.replay import running
from usage.subjects import key_subject_id


def places_of(key: ApiKey) -> dict[str, object]:
    """For pages of this key's owner, and staff's about it; without those that there is nothing for."""
    blocks = EscalationEvent.objects.filter(key__owner=key.owner, cause=EscalationEvent.Cause.STRIKES)
    found = {
        "key": key.pk,
        "start": key.start,
        "block": _pk(blocks.first()),
        "tier": key.tier.slug,
        "limit": "login",
        "subject": key_subject_id(key.pk),
        "replay": _pk(Replay.objects.first()),
    }
    return {name: place for name, place in found.items() if place is not None}


def ask_for_a_replay() -> Replay:
    """Of the free tier with a third of its minute; the worker runs it."""
    numbers = Tier.objects.get(slug=Tier.FREE).limits._asdict()
    return running.start(Replay.Subject.TIER, Tier.FREE, numbers, {**numbers, "minute": 10}, by=None)


def address_of(page: Page, places: dict[str, object]) -> str | None:
    """`None` where the panel has nothing that the page is about."""
    try:
        return page.address.format(**places)
    except KeyError:
        return None


def _pk(row: EscalationEvent | Replay | None) -> int | None:
    return None if row is None else row.pk
