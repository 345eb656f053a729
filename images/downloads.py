"""Download addresses: made afresh whenever a job is asked for, checked in constant time, used up one by one.

An address has three guards: the token says which result (stored only as its SHA-256), `expires` bounds the
address's own life, and `signature` binds the two, so that nobody can prolong an address they were given.
"""

import base64
import hashlib
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from images.models import Download, Job
from usage.limits.refusals import ApiError

URL_LIFE = 3600  # seconds; the token's own life is `models.download.LIFE`


@dataclass(frozen=True, slots=True)
class Address:
    url: str
    expires_at: datetime


def grant(job: Job) -> Download:
    """The right to download the result of `job`."""
    download = Download(job=job)
    download.token_hash = _digest(_token(download))
    download.save(force_insert=True)
    return download


def address(job: Job) -> Address | None:
    """A fresh address for the result, or `None` once its token is spent or too old."""
    download = Download.objects.alive().filter(job=job).first()
    if download is None:
        return None
    token = _token(download)
    return signed(token, int(download.expires_at.timestamp()))


def signed(token: str, ends: int) -> Address:
    """The address for a token that ends at this Unix time; no address is good for longer than `URL_LIFE`."""
    expires = min(int(time.time()) + URL_LIFE, ends)
    query = f"expires={expires}&signature={_signature(token, expires)}"
    return Address(
        f"{settings.BASE_URL}/api/v1/downloads/{token}?{query}", datetime.fromtimestamp(expires, UTC)
    )


def find(token: str, expires: str, signature: str) -> Download:
    """The download that an address is for, while it can be used; none of its uses is taken yet.

    Raises `ApiError` `not_found` or `token_exhausted`.
    """
    # Without form and signature no guess at a token reaches the database.
    check_signature(token, expires, signature)
    download = Download.objects.select_related("job").filter(token_hash=_digest(token)).first()
    if download is None:
        raise ApiError("not_found", "No download has this address.")
    if not download.is_alive:
        raise exhausted(download)
    check_expiry(expires)
    return download


def check_signature(token: str, expires: str, signature: str) -> None:
    """Raises `ApiError` `not_found` for an address that isn't ours as it stands."""
    if not re.fullmatch("[0-9]{1,12}", expires) or not constant_time_compare(
        signature, _signature(token, expires)
    ):
        raise ApiError("not_found", "No download has this address.")


def check_expiry(expires: str) -> None:
    """Raises `ApiError` `token_exhausted` for an address of ours that was given too long ago."""
    if int(expires) <= time.time():
        raise address_expired()


def address_expired() -> ApiError:
    return ApiError(
        "token_exhausted", "This address has expired. Ask for the job again: it gives a fresh one."
    )


def exhausted(download: Download) -> ApiError:
    """Why a download that was found can't be had any more."""
    if download.expires_at.timestamp() <= time.time():
        return ApiError(
            "token_exhausted", "The result was kept for 2 hours and is gone. Convert the image again."
        )
    return ApiError("token_exhausted", "All 10 downloads of this result are used. Convert the image again.")


def _token(download: Download) -> str:
    """Looks random, and is the same each time: 256 bits from the nonce under a key made of SECRET_KEY."""
    digest = salted_hmac("images.downloads.token", download.nonce, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _signature(token: str, expires: int | str) -> str:
    return salted_hmac("images.downloads.address", f"{token}:{expires}", algorithm="sha256").hexdigest()
