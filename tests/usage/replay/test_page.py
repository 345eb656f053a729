"""The page of a replay: how far it is while it runs, and then in words what would have happened."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse

from accounts.models import Tier
from tests.accounts.conftest import a_limits_editor, a_supporter
from usage.escalation.policy import read_ladder
from usage.models import Replay
from usage.replay import numbers, running, words
from usage.subjects import key_subject_id

pytestmark = [pytest.mark.django_db, pytest.mark.urls("koalapanel.urls")]

__all__ = ["a_limits_editor", "a_supporter"]
NOW = datetime(2026, 3, 8, 15, 30, tzinfo=UTC)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nobody_is_woken(monkeypatch):
    monkeypatch.setattr(running, "wake_worker", lambda: None)


@pytest.fixture
def ask(owner):
    def start(slug="free", **proposed):
        current = numbers.of_limits(Tier.objects.get(slug=slug).limits)
        return running.start("tier", slug, current, current | proposed, owner)

    return start


@pytest.fixture
def done(ask):
    def start(*args, **proposed):
        asked = ask(*args, **proposed)
        running.run_next(NOW)
        asked.refresh_from_db()
        return asked

    return start


def page(browser, replay, **headers):
    response = browser.get(reverse("replay", args=[replay.pk]), headers=headers)
    return response, " ".join(response.content.decode().split())


def test_it_says_in_one_sentence_what_would_have_been(issue, record, done, a_limits_editor):
    for minutes, admitted in ((5, 30), (1, 21), (1, 20)):
        record(key_subject_id(issue()[0].pk), MONDAY, minutes=minutes, admitted=admitted)
    _, html = page(a_limits_editor, done(minute=20))
    assert "With 20 a minute, 2 of 3 keys would have been limited, 1 escalated." in html
    assert "With what is in force, 0 are limited, none escalated." in html


def test_it_names_who_fares_differently_with_before_and_after(issue, record, done, a_limits_editor):
    key, _ = issue()
    record(key_subject_id(key.pk), MONDAY, minutes=5, admitted=30)
    _, html = page(a_limits_editor, done(minute=20))
    assert f"{key.start}…" in html
    assert "olivia@example.com" in html
    assert "0 → <strong>90</strong>" in html
    assert "Extended cooldown" in html
    assert reverse("subject", args=[key_subject_id(key.pk)]) in html


def test_it_says_how_exact_it_is_and_why(issue, record, done, a_limits_editor):
    record(key_subject_id(issue()[0].pk), MONDAY, admitted=21, concurrent_hits=3)
    _, html = page(a_limits_editor, done(minute=20))
    assert "An estimate" in html
    assert "too many were in flight is left out" in html
    assert "(3 requests)." in html


def test_nobody_who_notices_is_good_news(issue, record, done, a_limits_editor):
    record(key_subject_id(issue()[0].pk), MONDAY, admitted=5)
    _, html = page(a_limits_editor, done(minute=20))
    assert "0 of 1 key would have been limited, none escalated." in html
    assert "Nobody would have noticed the change." in html
    assert "Every recorded request would have been answered" in html


def test_without_records_it_says_so(done, a_limits_editor):
    _, html = page(a_limits_editor, done(minute=20))
    assert "there is nothing to replay" in html


def test_limits_that_leave_no_trace_are_not_told(issue, record, done, a_limits_editor):
    record(key_subject_id(issue()[0].pk), MONDAY, admitted=5)
    _, html = page(a_limits_editor, done(concurrent=1))
    assert "Concurrent requests and jobs leave no trace" in html


def test_while_it_runs_it_asks_for_itself_and_then_no_more(ask, a_limits_editor):
    asked = ask(minute=20)
    Replay.objects.update(status=Replay.Status.RUNNING, progress=42)
    response, html = page(a_limits_editor, asked)
    assert 'value="42"' in html
    assert 'hx-trigger="every 1s"' in html
    assert '<noscript><meta http-equiv="refresh"' in html
    assert "HX-Request" in response["Vary"]
    _, part = page(a_limits_editor, asked, hx_request="true")
    assert "<html" not in part
    assert 'hx-trigger="every 1s"' in part
    Replay.objects.update(status=Replay.Status.WAITING)
    running.run_next(NOW)
    _, part = page(a_limits_editor, asked, hx_request="true")
    assert "hx-trigger" not in part
    assert "noscript" not in page(a_limits_editor, asked)[1]


def test_it_says_what_is_proposed(ask, a_limits_editor, owner):
    assert (
        "requests per minute 30 → 20, requests per UTC day 1,000 → no limit."
        in page(a_limits_editor, ask(minute=20, day=None))[1]
    )
    ladder = numbers.of_ladder(read_ladder())
    steps = [dict(step) for step in ladder["steps"]]
    steps[0]["strikes"] = 2
    asked = running.start("ladder", "", ladder, ladder | {"decay_hours": 12, "steps": steps}, owner)
    assert words.differences(asked) == [
        "clean hours that lower the tier by one 24 → 12",
        "Extended cooldown: strikes that lead to it 3 → 2",
    ]


def test_a_failed_one_says_what_to_do(ask, a_limits_editor):
    asked = ask()
    Replay.objects.update(status=Replay.Status.FAILED, error=running.TOO_LONG)
    _, html = page(a_limits_editor, asked)
    assert "The replay failed." in html
    assert "propose the change once more" in html


def test_whoever_may_see_tiers_sees_it_and_a_customer_finds_nothing(ask, a_supporter, owner, client):
    asked = ask()
    assert page(a_supporter, asked)[0].status_code == 200
    client.force_login(owner)
    assert page(client, asked)[0].status_code == 404


def test_whoever_signed_out_meanwhile_gets_the_page_anew(ask, client):
    response, _ = page(client, ask(), hx_request="true")
    assert response.headers["HX-Refresh"] == "true"


def test_it_takes_few_queries_however_many_are_named(
    issue, record, done, a_limits_editor, django_assert_max_num_queries
):
    for _ in range(20):
        record(key_subject_id(issue()[0].pk), MONDAY, admitted=25)
    asked = done(minute=20)
    with django_assert_max_num_queries(12):
        page(a_limits_editor, asked)


def test_a_ladder_and_guests_have_words_of_their_own(record, done, owner, a_limits_editor):
    record("ip:192.0.2.7/32", MONDAY, minutes=9, admitted=10, minute_hits=3)
    assert "1 of 1 address would" in words.headline(done("anonymous", minute=4))
    ladder = numbers.of_ladder(read_ladder())
    asked = running.start("ladder", "", ladder, ladder | {"strike_refusals": 3}, owner)
    running.run_next(NOW)
    _, html = page(a_limits_editor, asked)
    assert "With this ladder, 1 of 1 key or address would have been limited, 1 escalated." in html
    assert "192.0.2.7/32" in html


@pytest.mark.parametrize(
    ("proposed", "said"),
    [
        ({"minute": 20}, "20 a minute"),
        ({"day": 1500}, "1,500 a day"),
        ({"minute": None}, "no limit by the minute"),
        ({"minute": 20, "day": None}, "20 a minute and no limit by the day"),
        ({}, "30 a minute and 1,000 a day"),
    ],
)
def test_the_proposal_is_told_by_what_differs(ask, proposed, said):
    assert words._proposal(ask(**proposed)) == said
