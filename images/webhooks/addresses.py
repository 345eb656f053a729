"""Which addresses webhooks may go to: public ones, so that nobody reaches more by us than alone."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from django.conf import settings

Address = IPv4Address | IPv6Address

# Public by their number alone.
_NOT_OURS_TO_CALL = (
    IPv4Network("192.0.0.0/24"),  # of protocols; a cloud keeps its metadata there, too
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # what Azure's machines are told by
)
# All that is public in IPv6 so far (RFC 4291). Outside of it are the forms that carry an IPv4 address
# (mapped, compatible, NAT64), site-local and multicast addresses.
_PUBLIC_IPV6 = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6 = (
    IPv6Network("2001::/23"),  # of protocols: Teredo, benchmarks, ORCHID
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4, which carries an IPv4 address
    IPv6Network("3fff::/20"),  # documentation
)


def may_be_called(address: Address) -> bool:
    """Whether it is public, or this machine's own where the settings let those through."""
    return is_public(address) or (settings.WEBHOOK_ALLOW_LOOPBACK and address.is_loopback)


def is_public(address: Address) -> bool:
    """Python's own word isn't enough: by it multicast, 6to4 and site-local addresses are global."""
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv6Address):
        return address in _PUBLIC_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)
    return not any(address in network for network in _NOT_OURS_TO_CALL)
