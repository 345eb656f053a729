"""Requests are UTF-8, whatever their Content-Type claims.

Django looks a request's charset up among Python's codecs while it makes the request, outside of its own
handling of errors: `charset=hex` ends in a bare 500. Browsers and API clients send UTF-8, so any other claim
is dropped.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_CHARSET = re.compile(r""";\s*charset\s*=\s*("[^"]*"|[^;]*)""", re.IGNORECASE)


def utf8_only(application: Application) -> Application:
    """`application`, which never sees a charset in a request's Content-Type."""

    def called(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        content_type = environ.get("CONTENT_TYPE")
        if content_type and ";" in content_type:
            environ["CONTENT_TYPE"] = _CHARSET.sub("", content_type)
        return application(environ, start_response)

    return called
