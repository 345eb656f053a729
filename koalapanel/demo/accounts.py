"""The sample accounts: three of staff, each with another role, and four customers, each with a key.

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
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, Tier, User
from koalapanel.demo import past


@dataclass(frozen=True, slots=True)
class Sample:
    """An account to be made.

    `client` is how its sample traffic behaves (`koalapanel.demo.clients`); `minute` and `queued` are limits
    of its key's own. Without a `key_name` it has none, and `group` is the role on the staff pages.
    """

    email: str
    name: str
    client: str = ""
    tier: str = "free"
    key_name: str = ""
    minute: int | None = None
    queued: int | None = None
    is_superuser: bool = False
    group: str = ""


SAMPLES = (
    Sample("admin@example.com", "Ada, of the staff", "polite", "free", "try-out", is_superuser=True),
    Sample("sue@example.com", "Sue, who reactivates keys", group="Support"),
    Sample("lionel@example.com", "Lionel, who edits limits", group="Limits"),
    Sample("polly@example.com", "Polly, who waits as told", "polite", "free", "web shop"),
    Sample("ben@example.com", "Ben, who comes in bursts", "bursty", "pro", "nightly batch", minute=60),
    Sample("harry@example.com", "Harry, who never waits", "hammering", "free", "prod"),
    Sample("fiona@example.com", "Fiona, who sends whole folders", "folders", "free", "archive", queued=12),
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person needs to try a sample account. One of staff may have no key, and no client."""

    email: str
    password: str
    key: str
    client: str


def prepare() -> list[Credentials]:
    """Make the sample accounts that are missing; the same credentials as ever for those that are there.

    In a database in which nobody has been yet, they get a past as well.
    """
    kept = _kept()
    with transaction.atomic():
        is_new = not User.objects.exists() and not past.is_there()
        credentials = [_one(sample, kept.get(sample.email)) for sample in SAMPLES]
        if is_new:
            keys = {made.email: api_keys.find(made.key) for made in credentials if made.key}
            past.write({email: key for email, key in keys.items() if key is not None}, timezone.now())
    _keep(credentials)
    return credentials


def as_table(credentials: Sequence[Credentials], url: str) -> Iterator[str]:
    """Lines to print: who can sign in where, and with which key, or in which role."""
    rows = [("sign in at", "password", "key")]
    groups = {sample.email: f"({sample.group})" for sample in SAMPLES}
    rows += [(made.email, made.password, made.key or groups[made.email]) for made in credentials]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    yield f"sample accounts of {url}"
    for row in rows:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def kept_credentials() -> list[Credentials]:
    """What the last `prepare()` made, for the sample clients: of accounts that have one."""
    return [made for made in _kept().values() if made.client]


def _one(sample: Sample, kept: Credentials | None) -> Credentials:
    """One account, made or found: the password told opens it and the key told is its own."""
    password = kept.password if kept else secrets.token_urlsafe(9)
    user = User.objects.filter(email=sample.email).first()
    if user is None:
        user = User.objects.create_user(
            sample.email,
            password,
            name=sample.name,
            is_staff=sample.is_superuser or bool(sample.group),
            is_superuser=sample.is_superuser,
        )
        if sample.group:
            user.groups.add(Group.objects.get(name=sample.group))
    elif kept is None:
        user.set_password(password)
        user.save(update_fields=["password"])
    user.vouch_for_address()  # nobody reads mail for example.com
    if not sample.key_name:
        return Credentials(sample.email, password, "", "")
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
