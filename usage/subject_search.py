"""Staff find subjects: keys by their start, their name or their owner, guests by their address.

Every search costs the same few statements however many keys there are. A start is looked up in an index; part
of a name or of an address is compared with each of them, which at 100,000 takes the database some 20 ms each.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address, ip_network
from itertools import islice

from django.db.models import Q

from accounts.api_keys import PREFIX, VISIBLE_START
from accounts.client_address import network_of, parse
from accounts.keys.allow_list import Network
from accounts.models import ApiKey, KeySecret, Tier, User
from usage.escalation.ladder import COOLDOWN, DAY_BLOCK, GUEST_PREFIX
from usage.models import EscalationState
from usage.subject_rows import Row, now_in_store, rows_of
from usage.subjects import key_subject_id

PAGE = 25
MOST_PAGES = 200
MOST_OWNERS = 500  # more accounts than that are no search: the page says so
MOST_GUESTS = 50

STATUSES = ("active", "blocked", "suspended", "expired", "revoked")

_KEY = re.compile(rf"{PREFIX}[0-9A-Za-z]*")
# Longer than what people search for: a key's text that lost its beginning, or a part of it.
_BODY = re.compile(r"[0-9A-Za-z]{32,}")
_REST_OF_START = re.compile(rf"[0-9A-Za-z]{{1,{VISIBLE_START - len(PREFIX)}}}")


@dataclass(frozen=True, slots=True)
class Search:
    """What was asked for, fit to be shown again: `text` has no more of a key than its start."""

    text: str = ""
    tier: str = ""
    status: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.tier or self.status)


@dataclass(frozen=True, slots=True)
class Results:
    """One page. Of `too_many_owners` only some were looked through."""

    rows: list[Row]
    number: int
    has_next: bool
    too_many_owners: bool
    now: datetime


def without_secrets(text: str) -> str:
    """What was typed or pasted; of a whole key only its visible start, which pages show anyway."""
    text = " ".join(text.split())
    if (key := _KEY.search(text)) is not None:
        return key[0][:VISIBLE_START]
    if (body := _BODY.search(text)) is not None:
        return f"{PREFIX}{body[0]}"[:VISIBLE_START]
    return text


def find(search: Search, number: int, tiers: Sequence[Tier]) -> Results:
    """The `number`th page of what fits, the newest keys first; `tiers` are all there are."""
    now = now_in_store()
    anonymous = next(tier for tier in tiers if tier.slug == Tier.ANONYMOUS)
    if (network := _network(search.text)) is not None:
        guests = _guests(network, search, now) if number == 1 else []
        return Results(rows_of(guests, now, anonymous), number, False, False, now)
    keys, too_many = _fitting(search.text)
    if search.tier:
        keys &= Q(tier__in=[tier.pk for tier in tiers if tier.slug == search.tier])
    if search.status:
        keys &= _with_status(search.status, now)
    first = (number - 1) * PAGE
    found = ApiKey.objects.filter(keys).order_by("-pk").values_list("pk", flat=True)[first : first + PAGE + 1]
    ids = [key_subject_id(pk) for pk in found]
    has_next = len(ids) > PAGE and number < MOST_PAGES
    return Results(rows_of(ids[:PAGE], now, anonymous), number, has_next, too_many, now)


def _fitting(text: str) -> tuple[Q, bool]:
    """What a key must fit, and whether more accounts fit than are looked through."""
    if not text:
        return Q(), False
    if (key_id := re.fullmatch(r"k:([0-9]{1,18})", text)) is not None:
        return Q(pk=int(key_id[1])), False
    if text.startswith(PREFIX):
        return _started_with(text), False
    owners = _owners(text.lower())
    fitting = Q(owner__in=owners[:MOST_OWNERS])
    if "@" not in text:
        fitting |= Q(name__icontains=text)
        if _REST_OF_START.fullmatch(text):
            fitting |= _started_with(f"{PREFIX}{text}")
    return fitting, len(owners) > MOST_OWNERS


def _owners(text: str) -> list[int]:
    """Accounts by a part of their address, which is kept in small letters; one more than are looked through.

    What is typed from its beginning past the @ is looked up in an index first.
    """
    users = User.objects.order_by().values_list("pk", flat=True)
    if text.find("@") > 0 and (known := list(users.filter(email__startswith=text)[: MOST_OWNERS + 1])):
        return known
    return list(users.filter(email__contains=text)[: MOST_OWNERS + 1])


def _started_with(start: str) -> Q:
    return Q(pk__in=KeySecret.objects.filter(start__startswith=start).order_by().values("key"))


def _with_status(status: str, now: datetime) -> Q:
    active = Q(status=ApiKey.Status.ACTIVE)
    match status:
        case "active":
            return active & (Q(expires_at=None) | Q(expires_at__gt=now))
        case "expired":
            return active & Q(expires_at__lte=now)
        case "blocked":
            place = {
                "escalation_state__escalation__range": (COOLDOWN, DAY_BLOCK),
                "escalation_state__until__gt": now,
            }
            return active & Q(**place)
    return Q(status=status)


def _network(text: str) -> Network | None:
    """The network that was asked for: what an address counts as, or a wider one; `None` for other text."""
    text = text.removeprefix(GUEST_PREFIX)
    if (address := parse(text)) is not None:
        return ip_network(network_of(address))
    try:
        asked = ip_network(text, strict=False)
    except ValueError:
        return None
    # Part of what counts as one is that one.
    counted = ip_network(network_of(ip_address(asked.network_address)))
    return asked if asked.prefixlen < counted.prefixlen else counted


def _guests(network: Network, search: Search, now: datetime) -> list[str]:
    """The subject of a network that counts as one; of a wider one, those in it that were on the ladder."""
    if search.tier or search.status not in ("", "blocked"):
        return []  # filters of keys
    alone = network_of(network.network_address)
    states = EscalationState.objects.order_by("-changed_at")
    if search.status == "blocked":
        states = states.blocked_at(now)
    if network == ip_network(alone):
        alone = f"{GUEST_PREFIX}{alone}"
        return [alone] if search.status == "" or states.of_subject(alone).exists() else []
    states = states.filter(subject__startswith=f"{GUEST_PREFIX}{_common_text(network)}")
    some: Iterable[str] = states.values_list("subject", flat=True)[: 20 * MOST_GUESTS]
    return list(islice((one for one in some if _is_in(one, network)), MOST_GUESTS))


def _common_text(network: Network) -> str:
    """What the text of every address of the network begins with, up to zeros that some leave out."""
    first, last = str(network.network_address), str(network.broadcast_address)
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:same].partition("::")[0]


def _is_in(subject: str, network: Network) -> bool:
    other = ip_network(subject.removeprefix(GUEST_PREFIX))
    return other.version == network.version and other.subnet_of(network)  # type: ignore[arg-type]
