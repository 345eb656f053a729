"""What may be a `webhook_url`: read strictly, and written one way, the same however it was sent."""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from images.models.webhook import LONGEST_URL
from images.webhooks.addresses import Address, may_be_called

LONGEST_HOST = 253
# Below 1024, other ports belong to mail, shells and the like, which HTTP has no business with.
WEB_PORTS = (80, 443)

# RFC 3986's characters, but for "#".
_ADDRESS = re.compile(r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# What C libraries take for an IPv4 address, however odd: 127.1, 0x7f000001, 0177.0.0.1.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


class Unfit(ValueError):
    """It can't be a webhook's address; the text says why, and what would do."""


def destination(text: str) -> str:
    """The address in the one form that it is kept in.

    Raises `Unfit`. A host's name is looked up when an event is sent, each time anew, and not here.
    """
    parts = _split(text.strip())
    if parts.scheme not in ("http", "https"):
        raise Unfit("It must begin with https://.")
    if parts.username is not None or parts.password is not None:
        raise Unfit("It may not hold a user name or password. Our signature tells that it is us.")
    host = parts.hostname or ""
    address = _checked_host(host)
    is_loopback = host == "localhost" or (address is not None and address.is_loopback)
    if parts.scheme == "http" and settings.BASE_URL.startswith("https://") and not is_loopback:
        raise Unfit("It must begin with https://: whoever reads an event on its way can download the result.")
    port = _checked_port(parts)
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        netloc += f":{port}"
    return parts._replace(netloc=netloc, path=parts.path or "/").geturl()


def _split(text: str) -> SplitResult:
    if len(text) > LONGEST_URL:
        raise Unfit(f"It may have {LONGEST_URL:,} characters at most.")
    if "#" in text:
        raise Unfit("It may not have a part behind #, which is never sent.")
    if not _ADDRESS.fullmatch(text):
        raise Unfit(
            "It must be a whole address such as https://example.com/hook, in ASCII: others are encoded."
        )
    try:
        return urlsplit(text)
    except ValueError:
        raise Unfit("It isn't a well-formed address.") from None


def _checked_host(host: str) -> Address | None:
    """The address, where the host is one. Raises `Unfit`."""
    if settings.WEBHOOK_ALLOW_LOOPBACK and host == "localhost":
        return None
    labels = host.split(".")
    if ":" in host or _NUMBER.fullmatch(labels[-1]):
        try:
            address = ip_address(host)
        except ValueError:
            raise Unfit("Its host is neither a name nor a whole IP address.") from None
        if not may_be_called(address):
            raise Unfit("Its host is no public address.")
        return address
    if len(host) > LONGEST_HOST or len(labels) < 2 or not all(map(_LABEL.fullmatch, labels)):
        raise Unfit("Its host must be a whole public name, such as hooks.example.com.")
    return None


def _checked_port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise Unfit("Its port must be a number up to 65535.") from None
    if port is not None and port < 1024 and port not in WEB_PORTS:
        raise Unfit("Its port must be 80, 443, or one from 1024 on.")
    return port
