"""`manage.py reactivate_key KEY_OR_START --reason TEXT [--clean]`: as the staff pages do."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts.management.key_argument import add_key_argument, find_key
from accounts.management.panel_command import PanelCommand
from usage.escalation.policy import read_ladder
from usage.escalation.reactivation import NotPossible, reactivate
from usage.management.dry_run import taken_back


class Command(PanelCommand):
    help = (
        "Lets a suspended or blocked key go on, on probation unless told otherwise. Its owner gets an email "
        "with the reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_key_argument(parser)
        parser.add_argument("--reason", required=True, help="why; the owner and the history are told")
        parser.add_argument("--clean", action="store_true", help="hold nothing of what happened against it")
        parser.add_argument("--dry-run", action="store_true", help="only say what would happen")

    def handle(self, *, key: str, reason: str, clean: bool, dry_run: bool, **options: Any) -> None:
        found = find_key(key)
        try:
            with taken_back(only=dry_run):
                tier = reactivate(found, by=None, reason=reason, clean=clean)
        except NotPossible as why_not:
            raise CommandError(str(why_not)) from None
        how = "clean" if clean else f"on probation, at tier {tier} ({read_ladder().steps[tier].name})"
        self.stdout.write(f"{found} of {found.owner}: reactivated {how}{' (dry run)' if dry_run else ''}")
