"""The pages about endpoint limits."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, EndpointLimit
from tests.usage.staff.proposals import change, confirm, form_at, has_form, propose, said, text_of, undo
from usage.endpoint_limits import refused
from usage.models import HitTotal, RateHit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "no_worker")]

LIST, LOGIN = "/staff/endpoint-limits/", "/staff/endpoint-limits/login/"


def login():
    return EndpointLimit.objects.get(name="login")


def refuse(subject, count, ago=timedelta(hours=1), kind="login"):
    minute = (timezone.now() - ago).replace(second=0, microsecond=0)
    RateHit.objects.create(subject=subject, minute=minute, kind=kind, route="account_login", count=count)


class TestWhoMayDoWhat:
    @pytest.mark.parametrize("page", [LIST, LOGIN, f"{LOGIN}preview/"])
    def test_for_customers_there_is_no_such_page(self, a_customer, page):
        assert a_customer.get(page).status_code == 404

    def test_support_reads_and_changes_nothing(self, a_supporter):
        assert "10 requests per minute" in text_of(a_supporter.get(LIST))
        page = a_supporter.get(LOGIN)
        assert "In how many seconds 1 minute" in text_of(page)
        assert not has_form(page, LOGIN)
        for address in (LOGIN, f"{LOGIN}preview/", f"{LOGIN}undo/"):
            assert a_supporter.post(address, {"requests": "1"}).status_code == 403


def test_the_list_has_all_seven_and_who_changed_them(a_limits_editor, django_assert_max_num_queries):
    change(a_limits_editor, LOGIN, requests="20")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    for ago, count in ((0, 1200), (3, 34), (30, 1000)):
        HitTotal.objects.create(start=hour - timedelta(hours=ago), kind="login", count=count)
    page = text_of(a_limits_editor.get(LIST))
    assert "20 requests per minute 1,234 refused in the last 24 hours Changed by lionel@example.com" in page
    assert page.count("Never changed") == 6
    with django_assert_max_num_queries(8):
        a_limits_editor.get(LIST)


class TestWhatWasRefused:
    def test_it_is_told_for_a_day_and_a_week_with_those_who_had_the_most(self, a_limits_editor):
        refuse("ip:192.0.2.7", 40)
        refuse("ip:192.0.2.8", 5)
        refuse("ip:192.0.2.7", 100, timedelta(days=3))
        refuse("ip:192.0.2.9", 1000, timedelta(days=8))
        refuse("ip:192.0.2.9", 1000, kind="download")
        page = text_of(a_limits_editor.get(LOGIN))
        assert "Last 24 hours 45 requests from 2 addresses" in page
        assert "Last 7 days 145 requests from 2 addresses" in page
        assert "192.0.2.7 140 192.0.2.8 5" in page
        assert "192.0.2.9" not in page

    def test_nothing_is_nothing(self, a_limits_editor):
        assert "Last 24 hours Nothing Last 7 days Nothing" in text_of(a_limits_editor.get(LOGIN))

    def test_of_a_flood_the_newest_are_counted(self, a_limits_editor, monkeypatch):
        monkeypatch.setattr(refused, "MOST_ROWS", 3)
        for n in range(5):
            refuse(f"ip:192.0.2.{n}", 2, timedelta(minutes=n))
        assert "at least 6 requests from 3 addresses" in text_of(a_limits_editor.get(LOGIN))

    def test_the_page_takes_ten_queries(self, a_limits_editor, django_assert_max_num_queries):
        for n in range(30):
            refuse(f"ip:192.0.2.{n}", 2)
        a_limits_editor.get(LOGIN)
        with django_assert_max_num_queries(12):
            a_limits_editor.get(LOGIN)


class TestChanging:
    def test_the_preview_says_it_in_a_sentence_and_saves_nothing(self, a_limits_editor):
        page = text_of(propose(a_limits_editor, LOGIN, requests="5", seconds="900"))
        assert "5 requests in 15 minutes instead of 10 requests per minute: less than now" in page
        assert "Requests now 10 proposed 5 Stricter" in page
        assert "In how many seconds now 1 minute proposed 15 minutes Stricter" in page
        assert login().rate == (10, 60)

    @pytest.mark.parametrize(
        ("requests", "seconds", "is_less"),
        [
            ("5", "60", True),
            ("20", "60", False),
            ("10", "120", True),
            ("10", "30", False),
            ("20", "3600", True),
            ("5", "30", True),
            ("20", "120", False),
            ("", "60", False),
        ],
    )
    def test_admitting_less_takes_the_limits_name(self, a_limits_editor, requests, seconds, is_less):
        preview = propose(a_limits_editor, LOGIN, requests=requests, seconds=seconds)
        assert ("Type “login”" in text_of(preview)) is is_less
        confirm(a_limits_editor, preview, LOGIN, reason="a test")
        assert (login().rate == (10, 60)) is is_less
        if is_less:
            confirm(a_limits_editor, preview, LOGIN, reason="a test", typed="login")
            assert login().rate == (int(requests), int(seconds))

    def test_a_first_number_is_less_than_none(self, a_limits_editor):
        EndpointLimit.objects.filter(name="login").update(requests=None)
        assert "Type “login”" in text_of(propose(a_limits_editor, LOGIN, requests="1000000"))

    def test_it_takes_a_reason_and_is_written_down(self, a_limits_editor):
        assert "This field is required" in text_of(change(a_limits_editor, LOGIN, requests="20", reason=" "))
        change(a_limits_editor, LOGIN, requests="20", reason="An office behind one address.")
        entry = AuditEntry.objects.get()
        assert (entry.before, entry.after) == ({"requests": 10}, {"requests": 20})
        assert entry.reason == "An office behind one address."

    def test_the_second_of_two_is_refused_and_keeps_what_was_typed(self, a_limits_editor, another_editor):
        preview = propose(another_editor, LOGIN, requests="30")
        change(a_limits_editor, LOGIN, requests="20")
        page = confirm(another_editor, preview, LOGIN, reason="mine")
        assert "requests 10 → 20" in text_of(page)
        assert form_at(page, f"{LOGIN}preview/")["reason"] == "mine"
        assert login().requests == 20

    def test_it_can_be_undone(self, a_limits_editor):
        response = undo(a_limits_editor, change(a_limits_editor, LOGIN, requests="20"), LOGIN)
        assert said(response) == ["Undone. In force everywhere within 2 seconds."]
        assert login().rate == (10, 60)
