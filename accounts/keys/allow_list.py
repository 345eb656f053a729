"""A key's allow-list: the networks it may be used from, as people type them and as they are stored."""

import re
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

from django.core.exceptions import ValidationError

from accounts.client_address import Address

MOST = 50
_ERRORS_SHOWN = 5
_CHARACTERS_SHOWN = 50
_MAPPED_BITS = 96  # of an IPv6 address in front of the IPv4 address it stands for

Network = IPv4Network | IPv6Network


def parse(text: str) -> list[str]:
    """The networks in `text`, separated by commas or white space, as they are stored.

    Raises `ValidationError` with a message for each entry that is none, and says what may have been meant.
    """
    return normalised(filter(None, re.split(r"[\s,;]+", text)))


def normalised(entries: Iterable[str]) -> list[str]:
    """Each network once, IPv4 first, in the order of their addresses; an address alone without its `/32`.

    Raises `ValidationError` as `parse`.
    """
    networks: set[Network] = set()
    errors: list[str] = []
    for entry in entries:
        try:
            networks.add(_network(entry))
        except ValueError:
            errors.append(_what_is_wrong(entry))
    if errors:
        more = len(errors) - _ERRORS_SHOWN
        raise ValidationError(errors[:_ERRORS_SHOWN] + ([f"And {more:,} more."] if more > 0 else []))
    if len(networks) > MOST:
        raise ValidationError(f"At most {MOST} networks; these are {len(networks):,}.")
    return [_as_text(network) for network in sorted(networks, key=_place)]


def contains(networks: Sequence[str], address: Address) -> bool:
    """Whether a key with this allow-list may be used from `address`; from anywhere if it is empty."""
    return not networks or any(address in ip_network(network) for network in networks)


def _network(entry: str) -> Network:
    """Raises `ValueError`; host bits that are set are an error, too."""
    if "%" in entry:
        raise ValueError("A zone means nothing on another machine.")
    network = ip_network(entry)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        address = network.network_address.ipv4_mapped
        if address is not None:
            return IPv4Network((address, network.prefixlen - _MAPPED_BITS))
    return network


def _place(network: Network) -> tuple[int, int, int]:
    return network.version, int(network.network_address), network.prefixlen


def _as_text(network: Network) -> str:
    alone = network.prefixlen == network.max_prefixlen
    return str(network.network_address if alone else network)


def _what_is_wrong(entry: str) -> str:
    shown = entry if len(entry) <= _CHARACTERS_SHOWN else entry[:_CHARACTERS_SHOWN] + "…"
    if (address := _host_in_network(entry)) is not None:
        whole = _as_text(_network(str(address[1])))
        return f"{shown}: did you mean {whole}, or {_as_text(_network(str(address[0])))} alone?"
    if (plain := _without_port_or_zone(entry)) is not None:
        return f"{shown}: did you mean {plain}?"
    return f"{shown} is neither an address nor a network, such as 203.0.113.7 or 203.0.113.0/24."


def _host_in_network(entry: str) -> tuple[IPv4Address | IPv6Address, Network] | None:
    """The address and its network if `entry` is a network but for its host bits."""
    try:
        interface = ip_interface(entry)
    except ValueError:
        return None
    return None if "%" in entry else (interface.ip, interface.network)


def _without_port_or_zone(entry: str) -> str | None:
    """The address of `10.0.0.1:80`, `[2001:db8::1]:80` or `fe80::1%eth0`."""
    for bare in (entry.partition("%")[0], entry.rpartition(":")[0].strip("[]"), entry.strip("[]")):
        try:
            return _as_text(_network(str(ip_address(bare))))
        except ValueError:
            continue
    return None
