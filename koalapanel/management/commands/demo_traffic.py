"""The sample clients of `up --demo`, all in one process, until it is told to stop."""

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from koalapanel.demo.accounts import kept_credentials
from koalapanel.demo.clients import MANNERS, Client


class Command(BaseCommand):
    help = (
        "Sends sample traffic to the panel of VAR_DIR, as its sample accounts and as a guest, until stopped."
    )
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        credentials = kept_credentials()
        if not credentials:
            raise CommandError("There are no sample accounts: `manage.py up --demo` makes them.")
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        clients = [(made.client, made.key) for made in credentials]
        threads = []
        for manner, key in (*clients, ("guest", None)):
            client = Client(settings.BASE_URL, key, stopping, self.stderr.write)
            # Daemons: one that waits for an answer doesn't keep the others from ending.
            threads.append(threading.Thread(target=MANNERS[manner], args=[client], name=manner, daemon=True))
        for thread in threads:
            thread.start()
        while not stopping.wait(1):
            if not all(thread.is_alive() for thread in threads):
                raise CommandError("A sample client ended unasked.")
