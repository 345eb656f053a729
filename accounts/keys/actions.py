"""What people do to API keys: each action is one transaction, written in the audit log.

Whoever changes a key says by `revision` which state of it they looked at. If it was changed since, nothing is
done and `Stale` is raised, unless what they want is so already: a form that is sent twice does once what it
says. `revision=None` is for who looks at no page, such as staff with many keys at once.

`ApiKey.save()` is part of every action, also where only a secret changes: it is what tells all processes to
read the key anew.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import api_keys, audit, signals
from accounts.keys import allow_list
from accounts.keys.names import clean_name
from accounts.models import ApiKey, KeySecret, Tier, User
from accounts.snapshots import difference
from accounts.tiers import LIMIT_KINDS

# How long the old secret goes on working beside the new one.
OVERLAPS = (timedelta(0), timedelta(hours=1), timedelta(hours=24), timedelta(days=7))
DEFAULT_OVERLAP = timedelta(hours=24)
MOST_WORKING_SECRETS = 5
LATEST_EXPIRY = timedelta(days=3653)


class Stale(Exception):
    """The key was changed after the caller had read it; nothing was done."""


class NotPossible(Exception):
    """The key can't be changed that way; the message says why, and what to do."""


class MadeBefore(Exception):
    """The form was sent before and made `key`; no second one is made, and its text can't be had again."""

    def __init__(self, key: ApiKey) -> None:
        super().__init__(str(key))
        self.key = key


@transaction.atomic
def create(
    owner: User,
    *,
    by: User,
    name: str,
    expires_at: datetime | None = None,
    allowed_networks: Iterable[str] = (),
    is_rehearsal: bool = False,
    form_id: UUID | None = None,
) -> tuple[ApiKey, str]:
    """A new key of `owner`, and its text, which can't be had again.

    Raises `MadeBefore` if `form_id` made one before, `NotPossible` if the account has as many as it may,
    `ValidationError` for a name or network that is none.
    """
    # Held until the end: of two who create the last key that is allowed, one waits and then counts both.
    owner = User.objects.select_for_update(no_key=True).get(pk=owner.pk)
    keys = ApiKey.objects.owned_by(owner)
    if form_id is not None:
        # One of our own, made from theirs: a form of another account is another form.
        form_id = uuid5(form_id, str(owner.pk))
        if (made := keys.filter(form_id=form_id).first()) is not None:
            raise MadeBefore(made)
    if (full := why_no_more(owner)) is not None:
        raise NotPossible(full)
    key, text = api_keys.issue(
        owner,
        name=clean_name(name),
        expires_at=_future(expires_at),
        allowed_networks=allow_list.normalised(allowed_networks),
        is_rehearsal=is_rehearsal,
        form_id=form_id,
    )
    after: dict[str, Any] = {"start": key.start, "name": key.name, "tier": key.tier.slug}
    if expires_at is not None:
        after["expires_at"] = expires_at.isoformat()
    if is_rehearsal:
        after["is_rehearsal"] = True
    audit.record("created", key, by=by, after=after | _networks_if_any(key))
    _tell(key, signals.CREATED, {})
    return key, text


def why_no_more(owner: User) -> str | None:
    """Why `owner` can't have another key; `None` if there is room for one. Staff have no bound."""
    most = settings.KEYS_PER_ACCOUNT
    if owner.is_staff:
        return None
    if ApiKey.objects.owned_by(owner).exclude(status=ApiKey.Status.REVOKED).count() < most:
        return None
    return f"An account has at most {most} keys that aren't revoked. Revoke one that nothing uses any more."


@transaction.atomic
def rename(key: ApiKey, *, by: User, revision: int | None, name: str) -> ApiKey:
    """Raises `Stale`, `NotPossible`, and `ValidationError` for a name that is none."""
    key, name = _locked(key), clean_name(name)
    if key.name == name:
        return key
    _check(key, revision)
    before, key.name = key.name, name
    key.save(update_fields=["name"])
    audit.record("renamed", key, by=by, before={"name": before}, after={"name": name})
    return key


@transaction.atomic
def change_expiry(key: ApiKey, *, by: User, revision: int | None, expires_at: datetime | None) -> ApiKey:
    """When the key ends; `None`: never. A key that has expired works again once this lies ahead.

    Raises `Stale`, and `NotPossible` for a time that is past or too far ahead.
    """
    key = _locked(key)
    if key.expires_at == expires_at:
        return key
    _check(key, revision)
    before, key.expires_at = key.expires_at, _future(expires_at)
    key.save(update_fields=["expires_at"])
    audit.record(
        "changed expiry",
        key,
        by=by,
        before={"expires_at": _iso(before)},
        after={"expires_at": _iso(expires_at)},
    )
    return key


@transaction.atomic
def change_allow_list(
    key: ApiKey, *, by: User, revision: int | None, allowed_networks: Iterable[str]
) -> ApiKey:
    """The networks the key may be used from; none: from anywhere.

    Raises `Stale`, `NotPossible`, and `ValidationError` for a network that is none.
    """
    key, networks = _locked(key), allow_list.normalised(allowed_networks)
    if key.allowed_networks == networks:
        return key
    _check(key, revision)
    before, key.allowed_networks = key.allowed_networks, networks
    key.save(update_fields=["allowed_networks"])
    audit.record(
        "changed allow-list",
        key,
        by=by,
        before={"allowed_networks": before},
        after={"allowed_networks": networks},
    )
    return key


@transaction.atomic
def rotate(key: ApiKey, *, by: User, revision: int | None, overlap: timedelta) -> tuple[ApiKey, str]:
    """Another secret for the key, and its text, which can't be had again. The old ones work for `overlap`.

    An old one that ends sooner anyway keeps its end. A suspended key stays suspended. Raises `Stale` and
    `NotPossible`.
    """
    key = _locked(key)
    _check(key, revision)
    if key.has_expired:
        raise NotPossible("This key has expired, and so would its new secret: give it a later end first.")
    now = timezone.now()
    working = list(key.secrets.working(now))
    if overlap and len(working) >= MOST_WORKING_SECRETS:
        raise NotPossible(
            f"{len(working)} secrets of this key work already: stop one of the old ones first, "
            "or rotate without an overlap."
        )
    old_start, retires_at = key.start, now + overlap
    for secret in working:
        if secret.retires_at is None or secret.retires_at > retires_at:
            secret.retires_at = retires_at
            secret.save(update_fields=["retires_at"])
    text = api_keys.give_new_secret(key)
    key.save(update_fields=["start", "end"])
    audit.record(
        "rotated",
        key,
        by=by,
        before={"start": old_start},
        after={"start": key.start, "old_retires_at": retires_at.isoformat()},
    )
    _tell(key, signals.ROTATED, {"old_start": old_start, "retires_at": retires_at.isoformat()})
    return key, text


@transaction.atomic
def end_overlap(key: ApiKey, *, by: User, revision: int | None, secret_id: int | None = None) -> ApiKey:
    """Stop the old secret with this primary key, or all the old ones, now. The newest one goes on working.

    One that has stopped already is no error. Raises `Stale` and `NotPossible`.
    """
    key = _locked(key)
    now = timezone.now()
    old = key.secrets.filter(retires_at__gt=now)
    if secret_id is not None:
        old = old.filter(pk=secret_id)
    stopped: list[KeySecret] = list(old)
    if not stopped:
        return key
    _check(key, revision)
    old.update(retires_at=now)
    key.save(update_fields=["revision"])
    audit.record(
        "ended overlap",
        key,
        by=by,
        before={"retires_at": {secret.start: _iso(secret.retires_at) for secret in stopped}},
        after={"retires_at": {secret.start: _iso(now) for secret in stopped}},
    )
    return key


@transaction.atomic
def change_limits(
    key: ApiKey,
    *,
    by: User,
    revision: int | None,
    tier: Tier,
    overrides: Mapping[str, int | None],
    reason: str,
) -> bool:
    """Give the key a tier, and limits of its own by kind (`None`: the tier's); gives whether that changed it.

    Raises `Stale` and `NotPossible`.
    """
    key = _locked(key)
    _check(key, revision)
    before = _limits_of(key)
    key.tier = tier
    for kind in LIMIT_KINDS:
        setattr(key, f"{kind}_override", overrides.get(kind))
    was, became = difference(before, _limits_of(key))
    if not became:
        return False
    key.save(update_fields=["tier", *(f"{kind}_override" for kind in LIMIT_KINDS)])
    audit.record("changed limits", key, by=by, before=was, after=became, reason=reason)
    return True


@transaction.atomic
def revoke(key: ApiKey, *, by: User | None, revision: int | None = None, reason: str = "") -> bool:
    """Refuse the key from now on, for good; gives whether it wasn't revoked before. Raises `Stale`."""
    key = _locked(key)
    if key.status == ApiKey.Status.REVOKED:
        return False
    _check(key, revision)
    before = key.status
    key.revoke()
    audit.record(
        "revoked", key, by=by, before={"status": before}, after={"status": key.status}, reason=reason
    )
    return True


def _limits_of(key: ApiKey) -> dict[str, Any]:
    """The tier, and what is the key's own, as the audit log has them."""
    return {
        "tier": key.tier.slug,
        **{f"{kind}_override": getattr(key, f"{kind}_override") for kind in LIMIT_KINDS},
    }


def _locked(key: ApiKey) -> ApiKey:
    """The key as it is now, which nobody else changes before the transaction's end."""
    return ApiKey.objects.select_for_update(no_key=True).get(pk=key.pk)


def _check(key: ApiKey, revision: int | None) -> None:
    if key.status == ApiKey.Status.REVOKED:
        raise NotPossible("This key is revoked, for good: nothing of it can be changed any more.")
    if revision is not None and key.revision != revision:
        raise Stale


def _future(at: datetime | None) -> datetime | None:
    now = timezone.now()
    if at is not None and at <= now:
        raise NotPossible("A key can't have ended in the past. To stop it now, revoke it.")
    if at is not None and at > now + LATEST_EXPIRY:
        raise NotPossible("A key ends within ten years, or never.")
    return at


def _networks_if_any(key: ApiKey) -> dict[str, Any]:
    return {"allowed_networks": key.allowed_networks} if key.allowed_networks else {}


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _tell(key: ApiKey, action: str, facts: Mapping[str, Any]) -> None:
    signals.key_changed.send(sender=ApiKey, key=key, action=action, facts=facts)
