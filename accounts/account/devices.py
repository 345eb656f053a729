"""What a User-Agent header says of a browser, in a few words that people recognise their devices by.

Headers are what clients say of themselves: good for recognising one's own, no proof of anything.
"""

import re
from typing import NamedTuple

# The first that fits: browsers also name those they want to be taken for.
_BROWSERS = (
    (r"\bEdg(?:e|A|iOS)?/", "Edge"),
    (r"\b(?:OPR|OPX)/|\bOpera\b", "Opera"),
    (r"\bSamsungBrowser/", "Samsung Internet"),
    (r"\bVivaldi/", "Vivaldi"),
    (r"\b(?:Firefox|FxiOS)/", "Firefox"),
    (r"\b(?:Headless)?Chrom(?:e|ium)/|\bCriOS/", "Chrome"),
    (r"\bSafari/", "Safari"),
    (r"^curl/", "curl"),
    (r"^python-requests/", "Python"),
)
_SYSTEMS = (
    (r"\biPhone\b", "iPhone"),
    (r"\biPad\b", "iPad"),
    (r"\bAndroid\b", "Android"),
    (r"\bWindows\b", "Windows"),
    (r"\bCrOS\b", "ChromeOS"),
    (r"\bMac OS X\b|\bMacintosh\b", "macOS"),
    (r"\bLinux\b|\bX11\b", "Linux"),
)
_HANDHELD = frozenset({"iPhone", "iPad", "Android"})


class Device(NamedTuple):
    name: str
    is_handheld: bool


def device_of(user_agent: str) -> Device:
    """`Firefox on Windows`, with as much of it as the header tells."""
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    words = [browser or "Unknown browser"] + (["on", system] if system else [])
    return Device(" ".join(words), system in _HANDHELD)


def _first(known: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for pattern, name in known if re.search(pattern, user_agent)), None)
