"""What the commands for a running panel have in common."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError


class PanelCommand(BaseCommand):
    """A command about a panel that exists: without one it says so, where Django would show a traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError) as error:
            raise CommandError(
                f"The panel's database can't be used ({error}). Its state is looked for in VAR_DIR, now "
                f"{settings.VAR_DIR}; `manage.py up` makes one."
            ) from error
