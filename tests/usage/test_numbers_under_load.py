"""Every number that pages and answers show agrees with what clients really got, while they are at it.

Clients hammer the API over HTTP, each counting what it is answered. Pages that are opened meanwhile must lie
between what had been answered before they were asked for and what has been sent when they are there; when
the clients rest, nothing but equality will do: with the counters that enforce, and with the books.
"""

import re
import threading
from collections import Counter

import pytest
import requests
from django.test import Client

from accounts.models import User
from usage.books.booking import book_closed_minutes
from usage.books.totals import total_what_is_booked
from usage.escalation.following import follow_changes
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store
from usage.models import HitTotal, RateHit, UsageDay, UsageHour, UsageMinute, UsageTotal
from usage.models.usage import COUNTS
from usage.subjects import key_subject_id, of_key

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]

MINUTES = 5
THREADS = 3


class Clients:
    """Threads that ask with one key until told to stop."""

    def __init__(self, home: str, text: str) -> None:
        self.answered: Counter[int] = Counter()
        self._home, self._headers = home, {"X-Api-Key": text}
        self._lock = threading.Lock()
        self._asking = threading.Event()
        self._resting = [threading.Event() for _ in range(THREADS)]
        self._ended = False
        self._threads = [threading.Thread(target=self._run, args=(each,)) for each in self._resting]

    def _run(self, resting: threading.Event) -> None:
        with requests.Session() as session:
            while not self._ended:
                if not self._asking.wait(0.05):
                    resting.set()
                    continue
                resting.clear()
                answer = session.post(f"{self._home}/api/v1/convert", headers=self._headers, timeout=20)
                with self._lock:
                    self.answered[answer.status_code] += 1

    def ask(self) -> None:
        self._asking.set()

    def rest(self) -> None:
        self._asking.clear()
        for each in self._resting:
            each.clear()
            assert each.wait(20)

    @property
    def counts(self) -> tuple[int, int]:
        """What was admitted, and what was refused."""
        with self._lock:
            refused = self.answered[429]
            return self.answered.total() - refused, refused

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = True
        self._asking.clear()
        for thread in self._threads:
            thread.join(20)


def quotas_of(page: str) -> dict[str, int]:
    """The used numbers of the usage page, by limit kind."""
    found = re.findall(r'id="quota-(\w+)".*?class="kp-used">([\d,]+)<', page, re.DOTALL)
    assert len(found) == 5
    return {kind: int(number.replace(",", "")) for kind, number in found}


def hits_of(page: str) -> int:
    return int(re.search(r'kp-hits-number">([\d,]+)<', page)[1].replace(",", ""))


def staff_see(page: str) -> tuple[int, int]:
    """What the page about a subject says: used of the day, and refused in 24 hours."""
    row = re.search(r"Requests today</th>(.*?)</tr>", page, re.DOTALL)[1]
    used = re.findall(r"<td>([\d,]+)(?: <span[^>]*>[^<]*</span>)?</td>", row)[-1]
    return int(used.replace(",", "")), hits_of(page)


def sums(model, subject: str) -> tuple[int, int]:
    rows = model.objects.filter(subject=subject)
    return sum(row.admitted for row in rows), sum(row.refused for row in rows)


def test_numbers_agree_while_clients_hammer_and_after(live_server, issue, owner, driven_clock):
    driven_clock.set("2026-03-01T12:00:10")
    key, text = issue(minute_override=40, day_override=150)
    customer = Client()
    customer.force_login(owner)
    staff = Client()
    staff.force_login(User.objects.create_superuser("sam@example.com", "correct horse battery"))

    def look():
        """What the pages and the answer say, each as admitted and refused of the day."""
        page = customer.get(f"/?key={key.start}").content.decode()
        body = requests.get(f"{live_server.url}/api/v1/usage", headers={"X-Api-Key": text}, timeout=20).json()
        return {
            "page": (quotas_of(page)["day"], hits_of(page)),
            "staff": staff_see(staff.get(f"/staff/subjects/k:{key.pk}/").content.decode()),
            "answer": (body["quotas"][0]["used"], body["hits_24h"]["total"]),
            **{
                name: (sum(one["admitted"] for one in points), sum(one["refused"] for one in points))
                for name, points in body["series"].items()
            },
        }

    with Clients(live_server.url, text) as clients:
        for minute in range(MINUTES):
            before = clients.counts
            clients.ask()
            while clients.counts[0] < before[0] + 15 and clients.counts[1] < before[1] + 15:
                pass
            for _ in range(2):
                low = clients.counts
                local_hits().flush()
                seen = look()
                high = [number + THREADS for number in clients.counts]
                for where, numbers in seen.items():
                    # (What a process refuses by itself is brought to the store within a second.)
                    assert low[0] <= numbers[0] <= high[0], (minute, where, low, numbers, high)
                    assert numbers[1] <= high[1], (minute, where, low, numbers, high)
            clients.rest()
            local_hits().flush()
            for where, numbers in look().items():
                assert numbers == clients.counts, (minute, where)
            driven_clock.advance(60)
            book_closed_minutes(limit_store())
            follow_changes(limit_store())
        admitted, refused = clients.counts

    assert (admitted, refused) > (100, 20)
    assert limit_store().look(of_key(key)).day_count == admitted
    driven_clock.advance(60)
    book_closed_minutes(limit_store())
    subject = key_subject_id(key.pk)
    for model in (UsageMinute, UsageHour, UsageDay):
        assert sums(model, subject) == (admitted, refused), model
    assert sum(hit.count for hit in RateHit.objects.filter(subject=subject)) == refused
    for where, numbers in look().items():
        assert numbers == (admitted, refused), where
    total_what_is_booked()
    totals = UsageTotal.objects.filter(tier="free")
    counts = [sum(getattr(one, name) for one in totals) for name in COUNTS]
    assert (counts[0], sum(counts[2:])) == (admitted, refused)
    assert sum(one.count for one in HitTotal.objects.all()) == refused
