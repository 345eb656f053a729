"""The addresses that a service may have people sent back to."""

import re
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ValidationError

LONGEST = 500
LOOPBACK = {"127.0.0.1", "::1", "localhost"}

# What RFC 3986 lets an address consist of; neither spaces nor backslashes, which programs read differently.
_CHARACTERS = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()+,;=%]+")


def check_redirect_uri(uri: str) -> None:
    """Raise `ValidationError` with what is wrong with an address that staff want to register."""
    if len(uri) > LONGEST:
        raise ValidationError(f"An address has at most {LONGEST} characters.")
    if "*" in uri:
        raise ValidationError(f"{uri}: no wildcards; write each address out.")
    if not _CHARACTERS.fullmatch(uri):
        raise ValidationError(f"{uri}: an address has neither spaces nor characters beyond ASCII.")
    if "#" in uri:
        raise ValidationError(f"{uri}: the part from # on never reaches a server; leave it out.")
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValidationError(f"{uri}: this is no address.") from None
    if not host:
        raise ValidationError(f"{uri}: write the whole address, with https:// and the host.")
    if "@" in parts.netloc:
        raise ValidationError(f"{uri}: leave the name and password out.")
    if parts.scheme != "https" and not _is_loopback(parts):
        raise ValidationError(f"{uri}: use https; http is for this very machine alone (http://127.0.0.1/…).")


def is_registered(uri: object, registered: list[str]) -> bool:
    """Whether people may be sent to `uri`: character for character what a service registered.

    On the loopback interface any port will do: a program takes the one it is given (RFC 8252, 7.3).
    """
    if not isinstance(uri, str):
        return False
    try:
        check_redirect_uri(uri)
    except ValidationError:
        return False
    if uri in registered:
        return True
    return is_loopback(uri) and _without_port(uri) in {_without_port(one) for one in registered}


def is_loopback(uri: str) -> bool:
    """Whether a checked address leads to a program on the person's own machine."""
    return _is_loopback(urlsplit(uri))


def _is_loopback(parts: SplitResult) -> bool:
    return parts.scheme == "http" and parts.hostname in LOOPBACK


def _without_port(uri: str) -> str:
    parts = urlsplit(uri)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return parts._replace(netloc=host or "").geturl()
