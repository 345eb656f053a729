"""The overview: what staff see of the panel at a glance, at a cost that doesn't follow the number of keys."""

from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.utils import timezone

from accounts.models import Letter, Tier, User
from images.models import Job
from tests.accounts.conftest import browser_of
from tests.servers import limit_store as a_limit_store
from tests.servers import valkey_binary
from usage.books.booking import book_closed_minutes
from usage.books.totals import total_what_is_booked
from usage.limits import health
from usage.limits.store import limit_store
from usage.models import (
    BookedUntil,
    EscalationState,
    HitTotal,
    ReactivationRequest,
    TaskRun,
    TopSubject,
    TotalledUntil,
    UsageTotal,
)
from usage.spans import hour_start
from usage.staff import degraded
from usage.subjects import BUCKETS, key_subject_id, of_key, of_network
from usage.task_runs import BOOK, FOLLOW

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

PAGE, LIVE = "/staff/", "/staff/live/"


@pytest.fixture(autouse=True)
def nothing_remembered():
    degraded.memory.forget()


@pytest.fixture
def now(time_machine):
    now = datetime(2026, 3, 1, 14, 32, 30, tzinfo=UTC)
    time_machine.move_to(now, tick=False)
    return now


@pytest.fixture
def booked(now):
    """Says up to when the books are written, in all buckets, and that the worker is at it."""

    def until(at=None):
        minute = int((at or now).timestamp()) // 60 - 1
        for model in (BookedUntil, TotalledUntil):
            model.objects.all().delete()
            model.objects.bulk_create(model(bucket=bucket, minute=minute) for bucket in range(BUCKETS))
        for name in (BOOK, FOLLOW):
            TaskRun.objects.update_or_create(pk=name, defaults={"at": now})

    until()
    return until


def vital(client, name):
    vitals = client.get(PAGE).context["facts"].vitals
    return next(one for one in vitals if one.name == name)


def facts_of(one):
    return dict(one.facts)


class TestWhoMaySeeIt:
    def test_all_staff_and_nobody_else(self, a_supporter, a_limits_editor, a_superuser, a_customer, client):
        for reader in (a_supporter, a_limits_editor, a_superuser):
            assert reader.get(PAGE).status_code == reader.get(LIVE).status_code == 200
        assert a_customer.get(PAGE).status_code == 404
        assert client.get(PAGE)["Location"].startswith("/accounts/login/")
        for stranger in (a_customer, client):
            assert stranger.get(LIVE)["HX-Refresh"] == "true"

    def test_who_stands_out_is_for_those_who_may_see_keys(self, a_supporter, issue, now, booked):
        key = issue()[0]
        subject, until = key_subject_id(key.pk), now + timedelta(minutes=5)
        EscalationState.objects.create(
            subject=subject, key=key, bucket=0, escalation=3, until=until, changed_at=now
        )
        TopSubject.objects.create(by="served", rank=1, day=now, subject=subject, served=9, refused=2)
        nobody = browser_of(User.objects.create_user("nina@example.com", is_staff=True))
        page, theirs = a_supporter.get(PAGE).content.decode(), nobody.get(PAGE).content.decode()
        assert page.count(f'href="/staff/subjects/{subject}/">prod</a>') == 2
        assert "olivia@example.com" in page
        assert "prod" not in theirs
        assert nobody.get(PAGE).context["facts"].blocked.number == 1


class TestNumbers:
    def test_they_are_those_of_the_traffic(self, a_supporter, issue, driven_clock, time_machine):
        driven_clock.set("2026-03-01T14:20:00")
        time_machine.move_to(driven_clock.at, tick=False)
        key, pro = issue(minute_override=3)[0], issue(tier=Tier.objects.get(slug="pro"))[0]
        guest = of_network("192.0.2.1", Tier.objects.get(slug=Tier.ANONYMOUS))
        store = limit_store()
        for subject, times in ((of_key(key), 5), (of_key(pro), 7), (guest, 12)):
            for _ in range(times):
                store.settle(subject, "convert", lease) if store.decide(
                    subject, "convert", lease := store.new_lease()
                ).admitted else None
        driven_clock.advance(65)
        time_machine.move_to(driven_clock.at, tick=False)
        book_closed_minutes(store)
        total_what_is_booked()
        facts = a_supporter.get(PAGE).context["facts"]
        assert (facts.served, facts.refused) == (3 + 7 + 10, 2 + 2)
        assert facts.refused_by == [("minute", 4, 100)]
        assert [(top.name or top.subject, top.number) for top in facts.most_served] == [
            ("ip:192.0.2.1", 10),
            ("prod", 7),
            ("prod", 3),
        ]
        assert [top.number for top in facts.most_refused] == [2, 2]
        assert facts.until == driven_clock.at.replace(second=0)
        last = {stack.name: stack.values[-1] for stack in facts.chart.stacks}
        assert last == {"Guest": 10, "Free": 3, "Pro": 7, "Refused": 4}

    def test_a_month_is_told_by_day_and_any_other_span_is_the_last_24_hours(self, a_supporter, now, booked):
        UsageTotal.objects.create(start=hour_start(now) - timedelta(days=3), tier="gone", admitted=4)
        month = a_supporter.get(PAGE, {"span": "month"}).context["facts"].chart
        assert len(month.starts) == 30
        assert {stack.name: sum(stack.values) for stack in month.stacks}["gone"] == 4
        for asked in ("", "hour", "x", "day"):
            chart = a_supporter.get(LIVE, {"span": asked}).context["facts"].chart
            assert (len(chart.starts), chart.is_empty) == (24, True)

    def test_the_table_has_the_same_without_scripts(self, a_supporter, now, booked):
        UsageTotal.objects.create(start=hour_start(now), tier="free", admitted=1234, minute_hits=56)
        page = a_supporter.get(PAGE).content.decode()
        assert '<td class="text-end">1,234</td>' in page
        assert '<td class="text-end">56</td>' in page
        assert "As of <time" in page

    def test_who_waits_for_staff_is_counted_from_the_oldest(self, a_supporter, issue, now, booked):
        for minutes in (5, 90, 20):
            sent_at = now - timedelta(minutes=minutes)
            ReactivationRequest.objects.create(key=issue()[0], note="I slowed down.", sent_at=sent_at)
        facts = a_supporter.get(PAGE).context["facts"]
        assert (facts.waiting.number, facts.waiting_since) == (3, now - timedelta(minutes=90))

    def test_a_count_ends_somewhere(self, a_supporter, now, booked, monkeypatch):
        monkeypatch.setattr("usage.staff.overview_facts.MOST", 3)
        for number in range(5):
            EscalationState.objects.create(
                subject=f"ip:192.0.2.{number}",
                bucket=0,
                escalation=2,
                until=now + timedelta(minutes=number),
                changed_at=now,
            )
        page = a_supporter.get(PAGE)
        assert str(page.context["facts"].blocked) == "3+"
        assert page.context["facts"].newest_blocked[0].subject == "ip:192.0.2.4"

    def test_before_anything_happened_it_says_so(self, a_supporter):
        page = a_supporter.get(PAGE).content.decode()
        for words in (
            "Nothing was refused",
            "Nobody is blocked",
            "Nobody waits for an answer",
            "No request was counted in this time.",
            "Has never run",
        ):
            assert words in page

    def test_what_refused_is_in_words(self, a_supporter, now, booked):
        for kind, count in (("minute", 5), ("login", 7), ("suspended", 1), ("saturated", 2)):
            HitTotal.objects.create(start=hour_start(now), kind=kind, count=count)
        page = a_supporter.get(PAGE).content.decode()
        positions = [
            page.index(words) for words in ("Sign-in limit", "Minute limit", "Worker pool", "Suspension")
        ]
        assert positions == sorted(positions)


class TestHealth:
    def test_all_is_well(self, a_supporter, now, booked):
        health._healths.clear()
        found = {one.name: one.level for one in a_supporter.get(PAGE).context["facts"].vitals}
        assert found == dict.fromkeys(("Limit store", "Worker", "Jobs", "Webhooks", "Mail", "Database"), "ok")
        store = facts_of(vital(a_supporter, "Limit store"))
        assert store["Ping"].endswith(" ms")
        assert "no limit" in store["Memory"]
        assert 'role="alert"' not in a_supporter.get(PAGE).content.decode()

    def test_a_worker_that_does_nothing_and_one_that_does_not_book(self, a_supporter, now, booked):
        booked(now - timedelta(minutes=6))
        assert vital(a_supporter, "Worker").says == "Runs, but does not get to book"
        TaskRun.objects.update(at=now - timedelta(minutes=6))
        assert vital(a_supporter, "Worker").says.startswith("Does nothing")
        assert facts_of(vital(a_supporter, "Worker"))["Behind"] == "390 s"

    def test_jobs_that_nobody_takes_and_a_queue_that_is_full(self, a_supporter, now, booked, settings):
        for minutes in (1, 5):
            Job.objects.create(
                subject_id="ip:192.0.2.1", created_at=now - timedelta(minutes=minutes), input_bytes=1
            )
        found = vital(a_supporter, "Jobs")
        assert (found.level, facts_of(found)["Oldest waits since"]) == ("full", now - timedelta(minutes=5))
        job = Job.objects.first()
        job.start()
        assert vital(a_supporter, "Jobs").level == "ok"
        settings.POOL_QUEUE_LIMIT = 1
        assert "full" in vital(a_supporter, "Jobs").says

    def test_mail_that_waits(self, a_supporter, now, booked):
        Letter.objects.create(kind="x", recipient="a@example.com", created_at=now - timedelta(minutes=11))
        Letter.objects.create(kind="x", recipient="a@example.com", created_at=now, sent_at=now)
        found = vital(a_supporter, "Mail")
        assert (found.level, facts_of(found)["Owed"]) == ("near", 1)

    def test_a_store_that_is_nearly_full_or_cannot_write(self, a_supporter, now, booked, valkey, monkeypatch):
        told = {"used_memory": 90, "maxmemory": 100, "ping_ms": 0.1, "aof_enabled": 1}
        monkeypatch.setattr(health.Health, "ask", lambda self: {**told, "aof_last_write_status": "ok"})
        assert "nearly full" in vital(a_supporter, "Limit store").says
        monkeypatch.setattr(health.Health, "ask", lambda self: {**told, "aof_last_write_status": "err"})
        assert "disk" in vital(a_supporter, "Limit store").says


class TestDegraded:
    """The banner is on every staff page; the overview has it in the part that refreshes itself."""

    PAGES = (PAGE, LIVE, "/staff/audit/", "/staff/subjects/")

    def test_a_late_worker_is_told_of_everywhere(self, a_supporter, now, booked):
        booked(now - timedelta(minutes=4))
        for page in self.PAGES:
            assert "The worker is late" not in a_supporter.get(page).content.decode(), page
        booked(now - timedelta(minutes=6))
        degraded.memory.forget()
        for page in self.PAGES:
            assert a_supporter.get(page).content.decode().count("The worker is late") >= 1, page

    def test_so_is_a_store_that_was_really_stopped(self, a_supporter, tmp_path, monkeypatch):
        monkeypatch.setattr(health, "REMEMBERED_SECONDS", 0.0)
        socket = tmp_path / "valkey.sock"
        with a_limit_store(valkey_binary(), socket) as url:
            monkeypatch.setattr(limit_store(), "url", url)
            monkeypatch.setattr(limit_store(), "client", redis.Redis.from_url(url))
            for page in self.PAGES:
                assert "be reached.</strong> Blocks" not in a_supporter.get(page).content.decode(), page
        for page in self.PAGES:
            answer = a_supporter.get(page)
            assert answer.status_code == 200
            assert "be reached.</strong> Blocks" in answer.content.decode(), page
        assert vital(a_supporter, "Limit store").says == "Can't be reached"


def test_its_queries(a_supporter, issue, now, booked, django_assert_max_num_queries):
    for number in range(1, 9):
        key = issue()[0]
        subject = key_subject_id(key.pk)
        EscalationState.objects.create(
            subject=subject, key=key, bucket=0, escalation=3, until=now + timedelta(hours=1), changed_at=now
        )
        for by in ("served", "refused"):
            TopSubject.objects.create(by=by, rank=number, day=now, subject=subject, served=9, refused=2)
        ReactivationRequest.objects.create(key=key, note="I slowed down.", sent_at=timezone.now())
    a_supporter.get(PAGE)
    for page in (PAGE, LIVE):
        with django_assert_max_num_queries(12):
            a_supporter.get(page)
