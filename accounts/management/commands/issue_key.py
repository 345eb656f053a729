"""A key from the command line: its text, alone, on standard output."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.core.validators import validate_email
from django.db import transaction

from accounts import api_keys, audit, signals
from accounts.management.limit_arguments import read_limits
from accounts.management.panel_command import PanelCommand
from accounts.models import ApiKey, Tier, User
from accounts.snapshots import snapshot_of, what_is_said


class Command(PanelCommand):
    help = (
        "Issues an API key and prints its text, which is shown this once, alone on standard output. An "
        "account that doesn't exist is made; nobody can sign in to it before a password is set."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="the account the key will belong to")
        parser.add_argument("--tier", metavar="SLUG", default=Tier.FREE, help="free unless told")
        parser.add_argument("--name", default="command line", help="what pages call it")
        parser.add_argument(
            "--rehearsal",
            action="store_true",
            help="a key that answers any refusal on demand, is never charged, and converts nothing",
        )
        parser.add_argument(
            *("--limit", "--limits"),
            nargs="+",
            action="extend",
            default=[],
            metavar="KIND=N",
            dest="limits",
            help="the key's own limits instead of its tier's, e.g. minute=60 day=5000",
        )

    def handle(
        self, *, email: str, tier: str, name: str, limits: list[str], rehearsal: bool, **options: Any
    ) -> None:
        overrides = read_limits(limits, may_be_none=False)
        email = email.strip().lower()
        try:
            validate_email(email)
        except ValidationError:
            raise CommandError(f"{email!r} is not an email address.") from None
        longest = ApiKey._meta.get_field("name").max_length or 0
        if not 0 < len(name.strip()) <= longest:
            raise CommandError(f"A key's name has 1 to {longest} characters.")
        with transaction.atomic():
            owner = User.objects.filter(email__iexact=email).first()
            if owner is None:
                owner = User.objects.create_user(email)
                audit.record("added", owner, by=None, after=what_is_said(snapshot_of(owner)))
                self.stderr.write(f"New account: {email}")
            key, text = api_keys.issue(
                owner,
                name=name.strip(),
                tier=_tier_for_keys(tier),
                is_rehearsal=rehearsal,
                **{f"{kind}_override": number for kind, number in overrides.items()},
            )
            audit.record("created", key, by=None, after=what_is_said(snapshot_of(key)))
            signals.key_changed.send(sender=ApiKey, key=key, action=signals.CREATED, facts={})
        kind = "rehearsal key" if rehearsal else "key"
        self.stderr.write(f"New {kind}: {key}, tier {key.tier.slug}")
        self.stdout.write(text)


def _tier_for_keys(slug: str) -> Tier:
    tiers = {tier.slug: tier for tier in Tier.objects.exclude(slug=Tier.ANONYMOUS)}
    if slug not in tiers:
        raise CommandError(f"Keys have no tier {slug!r}: it is one of {', '.join(tiers)}.")
    return tiers[slug]
