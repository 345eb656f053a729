"""Whose request it is when it carries no key: the client's address, and the network it counts as.

A header is believed only from a hop we were told to trust. `X-Forwarded-For` is read from the right: each
trusted proxy appended the address it saw, so the right-most one that isn't a trusted proxy is the client's;
everything left of it is the client's own claim.
"""

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

from django.conf import settings

Address = IPv4Address | IPv6Address

# What a server that listens on a Unix socket reports: the proxy in front of it is on this machine.
_LOCAL = IPv4Address("127.0.0.1")


def client_address(meta: Mapping[str, Any]) -> Address:
    """The client's address from a request's META; IPv4-mapped IPv6 comes out as IPv4."""
    return _client_address(meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", ""))


def network_of(address: Address) -> str:
    """What an address counts as: itself for IPv4, its /56 (or `IPV6_PREFIX`) for IPv6, as text."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((address, settings.IPV6_PREFIX), strict=False))


def client_network(meta: Mapping[str, Any]) -> str:
    return network_of(client_address(meta))


# The hop's and the header's text are bounded by the server's own limit on headers.
@lru_cache(maxsize=4096)
def _client_address(remote: str, forwarded_for: str) -> Address:
    address = parse(remote) or _LOCAL
    if not forwarded_for or not _is_trusted(address):
        return address
    for text in reversed(forwarded_for.split(",")):
        hop = parse(text)
        if hop is None:
            break  # unreadable: the trusted hop that passed it on is the last thing we know
        address = hop
        if not _is_trusted(address):
            break
    return address


def _is_trusted(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def parse(text: str) -> Address | None:
    """An address as proxies write it: plain, `[v6]`, with a port, with a zone; `None` if it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
