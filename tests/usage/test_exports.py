"""What the pages show, as CSV files."""

import csv
import io

import pytest
import redis
import time_machine
from django.urls import reverse

from accounts.models import ApiKey
from usage.books.booking import book_closed_minutes
from usage.guard.local_hits import local_hits
from usage.limits.outcomes import HITS
from usage.limits.store import limit_store
from usage.models import BookedUntil, RateHit
from usage.subjects import bucket_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    driven_clock.set("2026-03-01T12:00:30")
    return driven_clock


@pytest.fixture
def call(client):
    def make(text, times=1, **headers):
        for _ in range(times):
            client.post("/api/v1/convert", headers={"X-Api-Key": text, **headers})

    return make


@pytest.fixture
def rows(signed_in):
    """A file's rows, its heads first."""

    def fetch(name, **query):
        response = signed_in.get(reverse(name), query)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
        return list(csv.reader(io.StringIO(response.getvalue().decode())))

    return fetch


@pytest.mark.parametrize(("span", "number"), [("hour", 60), ("day", 24), ("month", 30), ("century", 60)])
def test_the_charts_points_are_all_there_by_what_refused(rows, issue, call, span, number):
    _, text = issue(minute_override=2)
    call(text, 5)
    heads, *points = rows("requests_csv", span=span)
    assert heads == [
        *("start", "admitted", "failed", "refused by minute", "refused by day", "refused by concurrency"),
        *("refused by a block", "refused by anything else"),
    ]
    assert len(points) == number
    start = "2026-03-01T00:00:00+00:00" if span == "month" else "2026-03-01T12:00:00+00:00"
    assert points[-1] == [start, "2", "2", "3", "0", "0", "0", "0"]  # 2 without a file: they failed
    assert {tuple(point[1:]) for point in points[:-1]} == {("0",) * 7}


def test_the_file_is_named_for_the_key_and_its_span(signed_in, issue):
    key, _ = issue()
    told = {
        name: signed_in.get(reverse(name), {"span": "day"}).headers["Content-Disposition"]
        for name in ("requests_csv", "hits_csv")
    }
    assert told == {
        "requests_csv": f'attachment; filename="requests-{key.start}-day.csv"',
        "hits_csv": f'attachment; filename="hits-{key.start}.csv"',
    }


def test_hits_are_listed_newest_first_in_utc_with_every_column(rows, issue, call, driven_clock):
    key, text = issue(minute_override=1)
    call(text, 3, user_agent="impatient/1.0")
    local_hits().flush()
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    call(text, 2)
    assert rows("hits_csv") == [
        ["minute", "key", "route", "refused by", "requests", "address", "user agent"],
        ["2026-03-01T12:01:00+00:00", key.start, "convert", "minute", "1", "", ""],
        ["2026-03-01T12:00:00+00:00", key.start, "convert", "minute", "2", "127.0.0.1", "impatient/1.0"],
    ]


def test_every_kind_of_hit_has_its_row(rows, issue, driven_clock):
    key, _ = issue()
    subject = f"k:{key.pk}"
    BookedUntil.objects.create(bucket=bucket_of(subject), minute=driven_clock.seconds // 60)
    minute = driven_clock.at.replace(second=0)
    RateHit.objects.bulk_create(
        RateHit(subject=subject, minute=minute, kind=kind, route="convert", count=1) for kind in HITS
    )
    assert sorted(row[3] for row in rows("hits_csv")[1:]) == sorted(HITS)


def test_no_cell_is_a_formula(rows, issue, driven_clock):
    key, _ = issue()
    subject = f"k:{key.pk}"
    BookedUntil.objects.create(bucket=bucket_of(subject), minute=driven_clock.seconds // 60)
    RateHit.objects.create(
        subject=subject,
        minute=driven_clock.at.replace(second=0),
        kind="day",
        route="convert",
        count=1,
        user_agent='=HYPERLINK("http://evil.example")',
    )
    assert rows("hits_csv")[1][-1] == '\'=HYPERLINK("http://evil.example")'


@pytest.mark.parametrize("status", [ApiKey.Status.SUSPENDED, ApiKey.Status.REVOKED])
def test_a_key_that_is_refused_has_its_files(rows, issue, call, status):
    key, text = issue(minute_override=1)
    call(text, 3)
    ApiKey.objects.filter(pk=key.pk).update(status=status)
    assert rows("requests_csv", key=key.start)[-1][1:4] == ["1", "1", "2"]
    assert rows("hits_csv", key=key.start)[1][4] == "2"


def test_one_key_has_nothing_of_another(rows, issue, call):
    _, text = issue(minute_override=1)
    other, _ = issue()
    call(text, 3)
    assert rows("hits_csv", key=other.start)[1:] == []
    assert {tuple(row[1:]) for row in rows("requests_csv", key=other.start)[1:]} == {("0",) * 7}


def test_without_the_limit_store_what_is_booked_is_exported(rows, issue, call, driven_clock, lose_the_store):
    _, text = issue(minute_override=1)
    call(text, 3)
    driven_clock.advance(65)
    book_closed_minutes(limit_store())
    lose_the_store()
    with time_machine.travel(driven_clock.seconds, tick=False):
        assert [row[4] for row in rows("hits_csv")[1:]] == ["2"]
        assert rows("requests_csv")[-2][1:4] == ["1", "1", "2"]


def test_a_store_that_goes_away_just_then_spoils_no_file(rows, issue, call, driven_clock, monkeypatch):
    _, text = issue(minute_override=1)
    call(text, 3)
    driven_clock.advance(65)
    book_closed_minutes(limit_store())

    def gone(*asked):
        raise redis.ConnectionError("away")

    monkeypatch.setattr(limit_store(), "booked", gone)
    assert [row[4] for row in rows("hits_csv")[1:]] == ["2"]
    assert rows("requests_csv")[-2][1:4] == ["1", "1", "2"]


def test_many_hits_are_not_held_in_memory_at_once(signed_in, issue, driven_clock):
    key, _ = issue()
    subject = f"k:{key.pk}"
    BookedUntil.objects.create(bucket=bucket_of(subject), minute=driven_clock.seconds // 60)
    response = signed_in.get(reverse("hits_csv"))
    # Rows that come after the answer has begun are read all the same: it is read as it is sent.
    RateHit.objects.create(
        subject=subject, minute=driven_clock.at.replace(second=0), kind="day", route="convert", count=1
    )
    assert response.streaming
    assert len(response.getvalue().decode().splitlines()) == 2
