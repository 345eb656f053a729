"""The subject in an address: `k:17`, or `ip:` and a network as it is counted."""

from ipaddress import IPv4Address, ip_network

from accounts.client_address import network_of, parse
from usage.escalation.ladder import GUEST_PREFIX


class SubjectConverter:
    """A path converter. What can't be a subject is no address of ours; an address counts as its network."""

    regex = r"(?:k:[1-9][0-9]{0,17}|ip:[0-9A-Fa-f:.]+(?:/[0-9]{1,3})?)"

    def to_python(self, text: str) -> str:
        """Raises `ValueError` for what is none."""
        if not text.startswith(GUEST_PREFIX):
            return text
        rest = text.removeprefix(GUEST_PREFIX)
        if (address := parse(rest)) is not None:
            return f"{GUEST_PREFIX}{network_of(address)}"
        network = ip_network(rest)
        if isinstance(network.network_address, IPv4Address):
            if network.num_addresses != 1:
                raise ValueError(text)
            return f"{GUEST_PREFIX}{network.network_address}"
        return f"{GUEST_PREFIX}{network}"

    def to_url(self, subject: str) -> str:
        return subject
