"""The sample accounts: one of staff, four customers, each with a key.

Passwords and the texts of keys can't be had from the database. The demo keeps its own in `VAR_DIR/demo.json`,
for its owner's eyes alone, so that a second `up --demo` prints the same.
"""

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from accounts import api_keys
from accounts.models import ApiKey, Tier, User


@dataclass(frozen=True, slots=True)
class Sample:
    """An account to be made.

    `client` is how its sample traffic behaves (`koalapanel.demo.clients`); `minute` and `queued` are limits
    of its key's own.
    """

    email: str
    name: str
    client: str
    tier: str
    key_name: str
    minute: int | None = None
    queued: int | None = None
    is_staff: bool = False


SAMPLES = (
    Sample("admin@example.com", "Ada, of the staff", "polite", "free", "try-out", is_staff=True),
    Sample("polly@example.com", "Polly, who waits as told", "polite", "free", "web shop"),
    Sample("ben@example.com", "Ben, who comes in bursts", "bursty", "pro", "nightly batch", minute=60),
    Sample("harry@example.com", "Harry, who never waits", "hammering", "free", "prod"),
    Sample("fiona@example.com", "Fiona, who sends whole folders", "folders", "free", "archive", queued=12),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person needs to try a sample account."""

    email: str
    password: str
    key: str
    client: str


def prepare() -> list[Credentials]:
    """Make the sample accounts that are missing; the same credentials as ever for those that are there."""
    kept = _kept()
    with transaction.atomic():
        credentials = [_one(sample, kept.get(sample.email)) for sample in SAMPLES]
    _keep(credentials)
    return credentials


def as_table(credentials: Sequence[Credentials], url: str) -> Iterator[str]:
    """Lines to print: who can sign in where, and with which key."""
    rows = [("sign in at", "password", "key")]
    rows += [(made.email, made.password, made.key) for made in credentials]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    yield f"sample accounts of {url}"
    for row in rows:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def kept_credentials() -> list[Credentials]:
    """What the last `prepare()` made, for the sample clients."""
    return list(_kept().values())


def _one(sample: Sample, kept: Credentials | None) -> Credentials:
    """One account, made or found: the password told opens it and the key told is its own."""
    password = kept.password if kept else secrets.token_urlsafe(9)
    user = User.objects.filter(email=sample.email).first()
    if user is None:
        user = User.objects.create_user(
            sample.email, password, name=sample.name, is_staff=sample.is_staff, is_superuser=sample.is_staff
        )
    elif kept is None:
        user.set_password(password)
        user.save(update_fields=["password"])
    user.vouch_for_address()  # nobody reads mail for example.com
    if kept and _is_owned_by(user, kept.key):
        return kept
    tier = Tier.objects.get(slug=sample.tier)
    _, text = api_keys.issue(
        user,
        name=sample.key_name,
        tier=tier,
        minute_override=sample.minute,
        queued_override=sample.queued,
    )
    return Credentials(sample.email, password, text, sample.client)


def _is_owned_by(user: User, text: str) -> bool:
    key: ApiKey | None = api_keys.find(text)
    return key is not None and key.owner == user


def _path() -> Path:
    return Path(settings.VAR_DIR) / "demo.json"


def _kept() -> dict[str, Credentials]:
    if not _path().exists():
        return {}
    return {row["email"]: Credentials(**row) for row in json.loads(_path().read_text())}


def _keep(credentials: Sequence[Credentials]) -> None:
    draft = _path().with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump([asdict(made) for made in credentials], file, indent=1)
    draft.replace(_path())
