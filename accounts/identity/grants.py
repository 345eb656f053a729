"""Grants: what a person gave a service by one consent, from the code to the last token that came of it.

A code that was used stays behind as a row of its own (`Token` of the type `AUTHORIZATION_CODE`), under the
code's digest. Its primary key names the grant in the `data` of each token. A used refresh token stays behind
as well, marked as spent. So a code or a token that comes twice is known as such: two have it, one of
whom stole it, and everything the grant gave is taken back (RFC 9700, sections 2.1.1 and 4.14.2).
"""

from datetime import datetime, timedelta
from typing import Any

from allauth.idp.oidc.models import Client, Token
from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User

_GIVEN = [Token.Type.ACCESS_TOKEN, Token.Type.REFRESH_TOKEN]


def use_code(code_digest: str, client: Client, user: User) -> int | None:
    """Start the grant of a code: its number; `None` if this code was used before.

    Of two requests at once one gets the number: the digest is unique.
    """
    lifetime = timedelta(seconds=settings.IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN)
    used, is_first = Token.objects.get_or_create(
        type=Token.Type.AUTHORIZATION_CODE,
        hash=code_digest,
        defaults={"client": client, "user": user, "expires_at": timezone.now() + lifetime},
    )
    return int(used.pk) if is_first else None


def end_by_code(code_digest: str, client: Client) -> None:
    """Take back what a used code gave, if this is one."""
    used = Token.objects.filter(type=Token.Type.AUTHORIZATION_CODE, hash=code_digest, client=client).first()
    if used is not None:
        _of(used.client_id, used.user_id, used.pk).delete()


def end_by_token(token: Token) -> None:
    """Take back everything of the grant that this token is part of."""
    _of(token.client_id, token.user_id, grant_of(token)).delete()


def grant_of(token: Token) -> int | None:
    return (token.data or {}).get("grant")


def is_spent(token: Token) -> bool:
    """Whether this is a refresh token that was exchanged for the next one."""
    return bool((token.data or {}).get("spent"))


def spend(token: Token) -> None:
    token.data = {**(token.data or {}), "spent": True}
    token.save(update_fields=["data"])


def in_force(user: User) -> QuerySet[Any]:
    """The tokens with which services can learn about this person now."""
    # A spent refresh token among them tells nothing else: the next one lasts longer, and ends with it.
    tokens: QuerySet[Any] = Token.objects.valid().filter(user=user, type__in=_GIVEN)
    return tokens


def end_all(user: User, client: Client | None = None) -> None:
    """Take back what this person gave: to one service, or to all of them."""
    tokens = Token.objects.filter(user=user, type__in=_GIVEN)
    (tokens if client is None else tokens.filter(client=client)).delete()


def tokens_that_ended(now: datetime) -> QuerySet[Any]:
    """What is good for nothing any more, the oldest first."""
    ended: QuerySet[Any] = Token.objects.filter(expires_at__lte=now).order_by("expires_at")
    return ended


def _of(client_id: str | None, user_id: int | None, grant: int | None) -> QuerySet[Any]:
    tokens: QuerySet[Any] = Token.objects.filter(client=client_id, user=user_id, type__in=_GIVEN)
    return tokens.filter(data__grant=grant)
