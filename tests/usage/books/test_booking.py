"""What the limit store counted comes to SQL once, whatever happens on the way; pages tell the same number."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection

from usage.books import booking
from usage.books.retention import forget_what_is_old
from usage.limits.outcomes import column_of
from usage.limits.store import LimitStore, limit_store
from usage.models import BookedUntil, RateHit, UsageDay, UsageHour, UsageMinute
from usage.models.usage import COUNTS
from usage.standing import standing_of_key
from usage.subjects import BUCKETS, bucket_of, key_subject_id, of_key

pytestmark = pytest.mark.django_db

SETTLED = 65  # seconds after a minute's start it may be booked


def hit(key, times):
    """Requests of a key of one a minute: the first is admitted, the others are hits."""
    store = limit_store()
    for _ in range(times + 1):
        lease = store.new_lease()
        if store.decide(of_key(key), "convert", lease).admitted:
            store.settle(of_key(key), "convert", lease)


def rows():
    return list(RateHit.objects.values_list("subject", "kind", "route", "count"))


@pytest.fixture
def count(valkey, driven_clock):
    """Puts counts of this minute into the store, as its scripts do."""

    def put(subject, sample=None, **outcomes):
        b, minute = bucket_of(subject), driven_clock.seconds // 60
        for outcome, n in outcomes.items():
            field = f"{subject}|convert|{outcome}"
            valkey.hincrby(f"kp1:{{{b}}}:u:{minute}", field, n)
            if sample is not None:
                valkey.hset(f"kp1:{{{b}}}:hs:{minute}", field, sample)

    return put


def counted(valkey):
    """Everything the store has, as the books must have it: by minute, hour, day, and as hits."""
    minutes, hours, days, hits = {}, {}, {}, {}
    for name in valkey.scan_iter("kp1:*:u:*"):
        at = datetime.fromtimestamp(int(name.decode().rpartition(":")[2]) * 60, UTC)
        for field, count in valkey.hgetall(name).items():
            subject, route, outcome = field.decode().split("|")
            for kept, start in (
                (minutes, at),
                (hours, at.replace(minute=0)),
                (days, at.replace(minute=0, hour=0)),
            ):
                kept.setdefault((subject, start), Counter())[column_of(outcome)] += int(count)
            if outcome not in ("admitted", "failed"):
                hits[subject, at, outcome, route] = int(count)
    return minutes, hours, days, hits


def booked():
    of_spans = [
        {
            (row.subject, row.start): Counter({name: n for name in COUNTS if (n := getattr(row, name))})
            for row in model.objects.all()
        }
        for model in (UsageMinute, UsageHour, UsageDay)
    ]
    return *of_spans, {
        (hit.subject, hit.minute, hit.kind, hit.route): hit.count for hit in RateHit.objects.all()
    }


def test_the_open_minute_is_not_booked(issue, driven_clock):
    key, _ = issue(minute_override=1)
    hit(key, 3)
    driven_clock.advance(59)
    assert booking.book_closed_minutes(limit_store()) == 0


def test_a_minute_that_is_over_settles_before_it_is_booked(issue, driven_clock):
    key, _ = issue(minute_override=1)
    hit(key, 3)
    driven_clock.advance(64.9)
    assert booking.book_closed_minutes(limit_store()) == 0
    driven_clock.advance(0.1)
    assert booking.book_closed_minutes(limit_store()) == 2


def test_a_closed_minute_is_booked_once_however_often_it_runs(issue, driven_clock, valkey):
    key, _ = issue(minute_override=1)
    hit(key, 3)
    driven_clock.advance(SETTLED)
    for _ in range(3):
        booking.book_closed_minutes(limit_store())
    assert rows() == [(f"k:{key.pk}", "minute", "convert", 3)]
    BookedUntil.objects.all().delete()
    booking.book_closed_minutes(limit_store())
    assert rows() == [(f"k:{key.pk}", "minute", "convert", 3)]
    assert booked() == counted(valkey)


def test_each_minute_is_booked_when_it_has_closed_and_none_is_left_out(issue, driven_clock, valkey):
    key, _ = issue(minute_override=1)
    driven_clock.set("2026-03-01T12:00:06")
    for hits in (1, 2, 3):
        hit(key, hits)
        driven_clock.advance(60)
        booking.book_closed_minutes(limit_store())
    assert sorted(count for *_, count in rows()) == [1, 2, 3]
    assert booked() == counted(valkey)


def test_hours_and_days_are_the_sums_of_their_minutes_across_their_borders(count, driven_clock, valkey):
    driven_clock.set("2026-02-28T22:58:06")
    for minute in range(0, 130, 3):
        count("k:1", admitted=minute, failed=1, minute=2, cooldown=3)
        count("ip:192.0.2.1", admitted=1, day=minute + 1, blocked=4, suspended=5, unavailable=6)
        driven_clock.advance(180)
        booking.book_closed_minutes(limit_store())
    assert booked() == counted(valkey)
    assert (UsageHour.objects.count(), UsageDay.objects.count()) == (8, 4)
    assert set(UsageDay.objects.filter(subject="k:1").values_list("bucket", flat=True)) == {bucket_of("k:1")}


def test_all_that_waited_is_booked_in_portions(count, driven_clock, valkey, monkeypatch):
    monkeypatch.setattr(booking, "PORTION", 7)
    for _ in range(90):
        for subject in ("k:1", "k:2", "ip:2001:db8::/56"):
            count(subject, admitted=2, minute=1, concurrent=1)
        driven_clock.advance(60)
    driven_clock.advance(5)
    booking.book_closed_minutes(limit_store())
    assert booked() == counted(valkey)
    assert BookedUntil.objects.count() == BUCKETS


def test_what_the_store_took_back_again_is_no_row(count, driven_clock):
    count("k:1", admitted=-1)
    count("k:2", admitted=0, minute=2)
    driven_clock.advance(SETTLED)
    booking.book_closed_minutes(limit_store())
    assert list(UsageMinute.objects.values_list("subject", "admitted", "minute_hits")) == [("k:2", 0, 2)]


def test_an_outcome_that_nobody_told_the_books_about_is_kept(count, driven_clock):
    count("k:1", queue=2)
    driven_clock.advance(SETTLED)
    booking.book_closed_minutes(limit_store())
    assert rows() == [("k:1", "queue", "convert", 2)]
    assert UsageDay.objects.get().other_hits == 2


def test_more_keys_cost_no_more_statements(count, driven_clock, django_assert_max_num_queries):
    BookedUntil.objects.bulk_create(
        BookedUntil(bucket=bucket, minute=driven_clock.seconds // 60) for bucket in range(1, BUCKETS)
    )
    subjects = [subject for n in range(5000) if bucket_of(subject := f"ip:{n}") == 0]
    for subject in subjects:
        count(subject, admitted=1)
    driven_clock.advance(SETTLED)
    with django_assert_max_num_queries(12):
        booking.book_closed_minutes(limit_store())
    assert UsageDay.objects.count() == len(subjects) > 50


class TestSamples:
    def book(self, driven_clock):
        driven_clock.advance(SETTLED)
        booking.book_closed_minutes(limit_store())
        return RateHit.objects.get()

    def test_a_hit_says_who_was_refused(self, count, driven_clock):
        count("ip:192.0.2.7", minute=2, sample="192.0.2.7\ncurl/8.14.1")
        row = self.book(driven_clock)
        assert (row.address, row.user_agent) == ("192.0.2.7", "curl/8.14.1")

    @pytest.mark.parametrize(
        ("sample", "kept"),
        [
            (b"192.0.2.7\n", ("192.0.2.7", "")),
            (b"\ncurl", ("", "curl")),
            (b"", ("", "")),
            (b"192.0.2.7\na\x00b\x1b[31m\r\nc\x7f", ("192.0.2.7", "ab[31mc")),
            (b"192.0.2.7\n\xff\xfe", ("192.0.2.7", "\ufffd\ufffd")),
            (b"192.0.2.7\n" + b"x" * 5000, ("192.0.2.7", "x" * 200)),
            (b"9" * 100 + b"\ncurl", ("9" * 45, "curl")),
        ],
    )
    def test_whatever_a_client_sent_fits(self, count, driven_clock, sample, kept):
        count("ip:192.0.2.7", minute=2, sample=sample)
        row = self.book(driven_clock)
        assert (row.address, row.user_agent) == kept

    @pytest.mark.parametrize(
        ("sample", "kept"),
        [
            (b"192.0.2.7\ncurl\n34\n200", ("192.0.2.7", "curl", 34, 200)),
            (b"192.0.2.7\n\n34\n0", ("192.0.2.7", "", 34, 0)),
            (b"192.0.2.7\ncurl\n31622400\n31622399000", ("192.0.2.7", "curl", 31622400, 2**31 - 1)),
            (b"192.0.2.7\ncurl", ("192.0.2.7", "curl", None, None)),
            (b"192.0.2.7\ncurl\n34", ("192.0.2.7", "curl34", None, None)),
            (b"192.0.2.7\ncurl\nsoon\nlater", ("192.0.2.7", "curlsoonlater", None, None)),
        ],
    )
    def test_who_came_too_early_is_booked_with_what_they_were_told(self, count, driven_clock, sample, kept):
        """The last lines of a sample, which those of older processes don't have."""
        count("ip:192.0.2.7", minute=2, sample=sample)
        row = self.book(driven_clock)
        assert (row.address, row.user_agent, row.told_seconds, row.waited_ms) == kept

    def test_a_sample_that_is_gone_takes_nothing_from_the_row(self, count, driven_clock, valkey):
        count("ip:192.0.2.7", minute=2, sample="192.0.2.7\ncurl")
        self.book(driven_clock)
        BookedUntil.objects.all().delete()
        valkey.delete(*valkey.keys("kp1:*:hs:*"))
        assert self.book(driven_clock).address == "192.0.2.7"

    def test_no_sample_of_a_key_is_booked_whose_account_is_gone(self, count, driven_clock):
        count("k:1", minute=2, sample="192.0.2.7\ncurl")
        row = self.book(driven_clock)
        assert (row.count, row.address, row.user_agent) == (2, "", "")


class Killed(DatabaseError):
    pass


class TestKilled:
    """Only two buckets are behind, so that every statement of a run can be the last one."""

    @pytest.fixture(autouse=True)
    def _minutes(self, count, driven_clock, issue):
        self.key, _ = issue(day_override=20)
        subjects = [key_subject_id(self.key.pk), "ip:198.51.100.0"]
        self.others = set(range(BUCKETS)) - {bucket_of(subject) for subject in subjects}
        driven_clock.set("2026-02-28T23:59:00")
        for _ in range(3):
            for subject in subjects:
                count(subject, admitted=9, minute=2, sample="192.0.2.1\ncurl")
                count(subject, failed=1, concurrent=3, cooldown=1)
            driven_clock.advance(60)
        driven_clock.advance(5)

    def start_anew(self, driven_clock):
        for model in (UsageMinute, UsageHour, UsageDay, RateHit, BookedUntil):
            model.objects.all().delete()
        BookedUntil.objects.bulk_create(
            BookedUntil(bucket=bucket, minute=driven_clock.seconds // 60) for bucket in self.others
        )

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("portion", [booking.PORTION, 1])
    def test_at_any_statement_and_run_again_the_sums_are_the_stores(
        self, driven_clock, valkey, monkeypatch, portion
    ):
        monkeypatch.setattr(booking, "PORTION", portion)
        killed_at = 0
        while True:
            killed_at += 1
            self.start_anew(driven_clock)
            statements = 0

            def kill(execute, sql, params, many, context, killed_at=killed_at):
                nonlocal statements
                statements += 1
                if statements == killed_at:
                    raise Killed(sql)
                return execute(sql, params, many, context)

            try:
                with connection.execute_wrapper(kill):
                    booking.book_closed_minutes(limit_store())
            except Killed:
                booking.book_closed_minutes(limit_store())
                assert booked() == counted(valkey), f"killed at statement {killed_at}"
                continue
            break
        assert killed_at > 20
        assert booked() == counted(valkey)

    @pytest.mark.django_db(transaction=True)
    def test_within_a_bucket_none_of_it_is_there_or_all_of_it(self, driven_clock, monkeypatch):
        self.start_anew(driven_clock)

        def kill(*_, **__):
            raise Killed

        # The last thing of a bucket, when all of its rows are written.
        monkeypatch.setattr(booking, "owe_quota_notices", kill)
        with pytest.raises(Killed):
            booking.book_closed_minutes(limit_store())
        assert booked() == ({}, {}, {}, {})

    def test_between_buckets_what_was_booked_stays(self, driven_clock, valkey, monkeypatch):
        self.start_anew(driven_clock)
        read = LimitStore.usage_of_bucket
        calls = []

        def read_once(store, bucket, minutes):
            calls.append(bucket)
            if len(calls) == 2:
                raise Killed
            return read(store, bucket, minutes)

        monkeypatch.setattr(LimitStore, "usage_of_bucket", read_once)
        with pytest.raises(Killed):
            booking.book_closed_minutes(limit_store())
        assert UsageMinute.objects.count() == 3
        booking.book_closed_minutes(limit_store())
        assert booked() == counted(valkey)


@pytest.mark.django_db(transaction=True)
def test_two_runs_at_once_write_what_one_does(count, driven_clock, valkey, monkeypatch):
    for _ in range(4):
        for n in range(40):
            count(f"k:{n}", admitted=3, minute=n + 1)
        driven_clock.advance(60)
    driven_clock.advance(5)
    both_have_read = threading.Barrier(2)
    read, met = LimitStore.usage_of_bucket, threading.local()

    def read_and_wait(store, bucket, minutes):
        usage = read(store, bucket, minutes)
        if not hasattr(met, "other"):
            met.other = both_have_read.wait(10)
        return usage

    monkeypatch.setattr(LimitStore, "usage_of_bucket", read_and_wait)
    written, broken = [], []

    def run():
        try:
            written.append(booking.book_closed_minutes(limit_store()))
        except Exception as error:
            broken.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert broken == []
    assert booked() == counted(valkey)
    # Whoever came second left at once.
    assert sorted(written) == [0, 4 * 40 * 2]


class TestAfterAStandstill:
    def test_an_hour_whose_minutes_are_gone_is_never_summed_up_again(self, count, driven_clock, valkey):
        count("k:1", admitted=5)
        driven_clock.advance(SETTLED)
        booking.book_closed_minutes(limit_store())
        count("k:1", admitted=7)
        BookedUntil.objects.all().delete()
        driven_clock.advance(7 * 86_400 - 60)
        now = datetime.fromtimestamp(driven_clock.seconds, UTC)
        forget_what_is_old(now + timedelta(hours=1))
        assert UsageMinute.objects.count() == 0
        booking.book_closed_minutes(limit_store())
        assert (UsageHour.objects.get().admitted, UsageDay.objects.get().admitted) == (5, 5)

    @pytest.mark.parametrize("minute", [0, 1, 29, 59])
    def test_what_a_run_may_read_back_has_all_of_its_hour_in_sql(self, count, driven_clock, minute):
        driven_clock.set(f"2026-03-01T12:{minute:02}:00")
        end = driven_clock.seconds - 5 - 60 * (booking.LONGEST_STRETCH + 1)
        now = datetime.fromtimestamp(driven_clock.seconds, UTC)
        first = datetime.fromtimestamp(end - end % 60, UTC).replace(minute=0)
        UsageMinute.objects.create(subject="k:1", start=first)
        forget_what_is_old(now)
        assert UsageMinute.objects.count() == 1

    def test_nothing_of_almost_a_week_is_lost(self, count, driven_clock, valkey):
        count("k:1", admitted=5, minute=1)
        driven_clock.advance(86_400 * 3 + 7)
        count("k:1", admitted=6)
        driven_clock.advance(86_400 * 3 + 7)
        booking.book_closed_minutes(limit_store())
        assert booked() == counted(valkey)

    def test_a_run_that_takes_long_leaves_the_rest_to_the_next(
        self, count, driven_clock, valkey, monkeypatch
    ):
        for n in range(20):
            count(f"k:{n}", admitted=1)
        driven_clock.advance(SETTLED)
        with monkeypatch.context() as impatient:
            impatient.setattr(booking, "LONGEST_RUN", -1)
            assert booking.book_closed_minutes(limit_store()) == 0
        booking.book_closed_minutes(limit_store())
        assert booked() == counted(valkey)


def test_a_page_tells_the_same_number_of_hits_before_and_after_booking(issue, driven_clock):
    key, _ = issue(minute_override=1)
    for _ in range(3):
        hit(key, 2)
        driven_clock.advance(60)
    driven_clock.advance(5)
    before = standing_of_key(key)
    booking.book_closed_minutes(limit_store())
    after = standing_of_key(key)
    assert before.hits.total == after.hits.total == 6
    assert before.hits.newest == after.hits.newest
    assert [one.count for one in after.hits.newest] == [2, 2, 2]


def test_hits_older_than_a_day_are_left_out_to_the_minute(issue, driven_clock):
    key, _ = issue(minute_override=1)
    hit(key, 2)
    driven_clock.advance(SETTLED)
    booking.book_closed_minutes(limit_store())
    driven_clock.advance(86_400 - 120)
    assert standing_of_key(key).hits.total == 2
    driven_clock.advance(60)
    assert standing_of_key(key).hits.total == 0
