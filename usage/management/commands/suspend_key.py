"""`manage.py suspend_key KEY_OR_START --reason TEXT`: as the staff pages do."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from accounts.management.key_argument import add_key_argument, find_key
from accounts.management.panel_command import PanelCommand
from usage.escalation.reactivation import NotPossible, suspend
from usage.management.dry_run import taken_back


class Command(PanelCommand):
    help = "Refuses a key, with 403, until a person reactivates it. Its owner gets an email with the reason."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_key_argument(parser)
        parser.add_argument("--reason", required=True, help="why; the owner and the history are told")
        parser.add_argument("--dry-run", action="store_true", help="only say what would happen")

    def handle(self, *, key: str, reason: str, dry_run: bool, **options: Any) -> None:
        found = find_key(key)
        try:
            with taken_back(only=dry_run):
                suspend(found, by=None, reason=reason)
        except NotPossible as why_not:
            raise CommandError(str(why_not)) from None
        self.stdout.write(f"{found} of {found.owner}: suspended{' (dry run)' if dry_run else ''}")
