"""`S3_URL`: which bucket keeps uploads and results, as one address.

`s3://BUCKET[/PREFIX][?endpoint_url=URL&region_name=NAME&addressing_style=path|virtual]`. Who we are to the
bucket is none of it: boto3 finds credentials as it does everywhere (`AWS_ACCESS_KEY_ID` and
`AWS_SECRET_ACCESS_KEY`, a profile, the machine's role).
"""

import re
from importlib.util import find_spec
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
PREFIX = r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*"
OPTIONS = {
    "endpoint_url": r"https?://[^/\s@?#]+/?",
    "region_name": r"[a-z0-9-]+",
    "addressing_style": r"path|virtual",
}


def checked_s3_url(text: str, name: str = "S3_URL") -> str:
    """`text`, if it is such an address and what it needs is installed; empty stays empty."""
    if text:
        s3_options(text, name)
        missing = [package for package in ("storages", "boto3") if find_spec(package) is None]
        if missing:
            raise ImproperlyConfigured(
                f"{name} needs the packages of the group s3: run `uv sync --inexact --group s3`."
            )
    return text


def s3_options(text: str, name: str = "S3_URL") -> dict[str, str]:
    """The options of `images.bucket.Bucket` that the address stands for."""
    # Never the value itself: somebody may have put their credentials into it.
    try:
        url = urlsplit(text)
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=bool(url.query))
    except ValueError:
        raise ImproperlyConfigured(f"{name} must look like s3://BUCKET.") from None
    if url.scheme != "s3" or "@" in url.netloc or url.fragment or not re.fullmatch(BUCKET, url.netloc):
        raise ImproperlyConfigured(
            f"{name} must look like s3://BUCKET, without credentials: boto3 finds those by itself."
        )
    prefix = unquote(url.path).strip("/")
    if prefix and not re.fullmatch(PREFIX, prefix):
        raise ImproperlyConfigured(f"{name}: a prefix may have letters, digits, - and _ between its slashes.")
    options = {"bucket_name": url.netloc, "location": prefix}
    for option, value in pairs:
        if option not in OPTIONS or option in options:
            raise ImproperlyConfigured(f"{name} takes {', '.join(OPTIONS)}, once each, behind its ?.")
        if not re.fullmatch(OPTIONS[option], value):
            raise ImproperlyConfigured(f"{name}: {option} is none that we understand.")
        options[option] = value
    # Servers of one's own seldom have a host name for each bucket.
    if "endpoint_url" in options:
        options.setdefault("addressing_style", "path")
    return options
