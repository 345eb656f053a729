"""The API key that a request presents, if any.

A key in the query string is not looked at: it would be in every log on the way.
"""

from collections.abc import Mapping
from typing import Any


def presented_key(meta: Mapping[str, Any]) -> str | None:
    """The key's text; `""` for a header that presents none in a form we know; `None` without any header.

    `Authorization: Bearer KEY` wins over `X-Api-Key` and that over `X-Fast-Api-Key`.
    """
    authorization = meta.get("HTTP_AUTHORIZATION")
    if authorization is not None:
        scheme, _, key = authorization.partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""
    key = meta.get("HTTP_X_API_KEY")
    if key is None:
        key = meta.get("HTTP_X_FAST_API_KEY")
    return None if key is None else key.strip()
