"""A tier's limits from the command line, in force on a running panel at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts.limit_changes import TIER
from accounts.management.limit_arguments import NO_LIMIT, read_limits
from accounts.management.panel_command import PanelCommand
from accounts.models import Tier
from accounts.tiers import LIMIT_KINDS


class Command(PanelCommand):
    help = "Changes a tier's limits. Prints each changed limit, old → new."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", metavar="SLUG", help="the tier: anonymous, free, pro, …")
        parser.add_argument(
            "limits",
            nargs="+",
            metavar="KIND=N",
            help=f"any of {', '.join(LIMIT_KINDS)}; {NO_LIMIT} for no limit, e.g. minute=20 day={NO_LIMIT}",
        )
        parser.add_argument("--reason", default="", help="why; your colleagues read it in the audit log")
        parser.add_argument("--dry-run", action="store_true", help="only print what would change")

    def handle(self, *, slug: str, limits: list[str], reason: str, dry_run: bool, **options: Any) -> None:
        wanted = read_limits(limits, may_be_none=True)
        tier = Tier.objects.filter(slug=slug).first()
        if tier is None:
            known = ", ".join(Tier.objects.values_list("slug", flat=True))
            raise CommandError(f"No tier {slug!r}: it is one of {known}.")
        if dry_run:
            before, after = TIER.difference(tier, wanted)
        else:
            entry = TIER.change(tier, wanted, by=None, revision=None, reason=reason.strip())
            before, after = ({}, {}) if entry is None else (entry.before, entry.after)
        lines = [f"{kind} {_shown(before[kind])} → {_shown(after[kind])}" for kind in after]
        for line in lines or ["nothing to change"]:
            self.stdout.write(f"{slug}: {line}{' (dry run)' if dry_run else ''}")


def _shown(number: int | None) -> str:
    return NO_LIMIT if number is None else str(number)
