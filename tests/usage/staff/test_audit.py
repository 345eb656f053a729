"""The audit page: who did what, filtered, page by page, and as CSV."""

import csv
import io
import logging
from datetime import UTC, datetime, timedelta

import pytest

from accounts import api_keys, audit
from accounts.audit_log import paging
from accounts.models import AuditEntry, Tier, User
from tests.accounts.conftest import browser_of
from usage.models import EscalationState

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

PAGE, CSV = "/staff/audit/", "/staff/audit/csv/"


@pytest.fixture
def free():
    return Tier.objects.get(slug="free")


@pytest.fixture
def log(free):
    """Writes some entries, one minute after the other; gives them, the newest first."""

    def write(number, action="changed", by=None, target=None, reason=""):
        first = datetime(2026, 3, 1, tzinfo=UTC)
        entries = [
            AuditEntry(
                at=first + timedelta(minutes=n),
                actor=by,
                actor_label=by.email if by else audit.COMMAND_LINE,
                action=action,
                target_type=(target or free)._meta.label_lower,
                target_id=str((target or free).pk),
                target_label=str(target or free),
                before={"minute": n},
                after={"minute": n + 1},
                reason=reason or f"reason-{n}",
            )
            for n in range(number)
        ]
        AuditEntry.objects.bulk_create(entries)
        return list(AuditEntry.objects.all())

    return write


def shown(client, **query):
    response = client.get(PAGE, query)
    assert response.status_code == 200
    return [line.entry for line in response.context["lines"]]


def test_a_whole_key_that_was_pasted_is_looked_for_by_its_start_alone(a_supporter, issue, caplog):
    key, text = issue()
    entry = audit.record("renamed", key, by=None)
    caplog.set_level(logging.DEBUG)
    found = f"{PAGE}?action=renamed&q={key.start}"
    posted = a_supporter.post(PAGE, {"q": f" {text}", "action": "renamed", "before": "1-1", "who": ""})
    assert posted.headers["Location"] == found
    assert a_supporter.get(PAGE, {"action": "renamed", "q": text}).headers["Location"] == found
    page = a_supporter.get(found)
    assert [line.entry for line in page.context["lines"]] == [entry]
    assert text[12:] not in page.content.decode() + caplog.text


def test_a_filter_of_nothing_is_the_page_itself(a_supporter):
    assert a_supporter.post(PAGE, {"q": "", "who": ""}).headers["Location"] == PAGE


def rows_of(client, **query):
    response = client.get(CSV, query)
    assert (response.status_code, response.streaming) == (200, True)
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


class TestWhoMayReadIt:
    def test_both_roles_and_superusers(self, a_supporter, a_limits_editor, a_superuser):
        for reader in (a_supporter, a_limits_editor, a_superuser):
            assert {reader.get(page).status_code for page in (PAGE, CSV)} == {200}
            assert 'href="/staff/audit/" aria-current="page"' in reader.get(PAGE).content.decode()

    def test_staff_without_a_role_read_which_it_takes_and_customers_find_no_page(self, a_customer, client):
        nobody = browser_of(User.objects.create_user("nina@example.com", is_staff=True))
        for page in (PAGE, CSV):
            assert nobody.get(page).status_code == 403
            assert a_customer.get(page).status_code == 404
            assert client.get(page)["Location"].startswith("/accounts/login/")
        assert 'href="/staff/audit/"' not in nobody.get("/staff/").content.decode()

    def test_nothing_is_changed_there(self, a_superuser):
        assert a_superuser.post(PAGE).headers["Location"] == PAGE
        assert a_superuser.post(CSV).status_code == 405
        assert not AuditEntry.objects.exists()


class TestAnEntry:
    def test_it_says_who_what_why_and_what_it_was_before(self, a_supporter, free):
        audit.record(
            *("changed", free),
            **{
                "by": a_supporter.person,
                "before": {"minute": 30},
                "after": {"minute": 20},
                "reason": "Fair.",
            },
        )
        page = a_supporter.get(PAGE).content.decode()
        for words in ("sue@example.com", "<strong>Changed</strong>", "Free", "Fair."):
            assert words in page
        assert "<del>30</del>" in page
        assert "<ins>20</ins>" in page

    def test_what_was_not_there_before_is_not_called_empty(self, a_supporter, free):
        audit.record("added", free, by=None, after={"name": "Free", "groups": ["A"]})
        audit.record("changed", free, by=None, before={"groups": ["A", "B"]}, after={"groups": ["B", "C"]})
        page = a_supporter.get(PAGE).content.decode()
        assert "empty" not in page.partition("<ol>")[2].partition("</ol>")[0]
        assert "<del>A</del> <ins>+ C</ins>" in page

    def test_what_has_parts_is_told_part_by_part(self, a_supporter, free):
        audit.record("changed", free, by=None, after={"retires_at": {"koala_abc": "2026-03-01"}, "facts": {}})
        page = a_supporter.get(PAGE).content.decode()
        assert "<ins>koala_abc: 2026-03-01</ins>" in page
        assert "<ins>empty</ins>" in page

    def test_what_people_typed_is_text_to_the_page(self, a_supporter, free):
        evil = "<script>alert(1)</script>"
        audit.record("changed", free, by=None, before={evil: evil}, after={evil: [evil]}, reason=evil)
        assert "<script>alert(1)" not in a_supporter.get(PAGE).content.decode()

    def test_it_leads_to_what_it_is_about_and_to_all_that_was_done_to_it(self, a_superuser, a_customer):
        key, _ = api_keys.issue(a_customer.person, name="prod")
        account = a_customer.person
        audit.record("renamed", key, by=account)
        audit.record("changed", account, by=None)
        page = a_superuser.get(PAGE).content.decode()
        assert f'href="/admin/accounts/user/{account.pk}/change/"' in page
        assert f'href="/staff/subjects/k:{key.pk}/"' in page or f"apikey/{key.pk}/change" in page
        assert f"?about=accounts.apikey%3A{key.pk}" in page

    def test_links_lead_nobody_where_they_may_not_go(self, a_supporter, a_superuser):
        group = a_supporter.person.groups.get()
        audit.record("changed", group, by=a_superuser.person)
        assert f'href="/admin/auth/group/{group.pk}/change/"' in a_superuser.get(PAGE).content.decode()
        assert "/admin/auth/group/" not in a_supporter.get(PAGE).content.decode()

    def test_of_what_has_no_page_it_tells_all_the_same(self, a_superuser, free):
        entry = audit.record("changed", free, by=None)
        AuditEntry.objects.filter(pk=entry.pk)._raw_delete("default")
        entry.pk, entry.target_type = None, "gone.thing"
        entry._state.adding = True
        entry.save()
        state = EscalationState.objects.create(
            subject="ip:192.0.2.0/24", bucket=0, changed_at=datetime.now(UTC)
        )
        audit.record("reset counters", state, by=None)
        page = a_superuser.get(PAGE).content.decode()
        assert "gone.thing" in page
        assert "192.0.2.0/24" in page


class TestFilter:
    def test_by_who_what_kind_thing_period_and_words(self, a_supporter, a_customer, free):
        pro, customer = Tier.objects.get(slug="pro"), a_customer.person
        by_command = audit.record("changed", free, by=None, reason="Too many requests.")
        theirs = audit.record("revoked", pro, by=customer, reason="Lost it.")
        ours = audit.record("changed", customer, by=a_supporter.person, reason="Asked by phone.")
        today = datetime.now(UTC).date()
        yesterday, tomorrow = today - timedelta(days=1), today + timedelta(days=1)
        for query, found in (
            ({}, [ours, theirs, by_command]),
            ({"who": "command line"}, [by_command]),
            ({"who": "sue@example.com"}, [ours]),
            ({"who": "customers"}, [theirs]),
            ({"who": "olivia@example.com"}, [theirs]),
            ({"action": "changed"}, [ours, by_command]),
            ({"action": "changed", "who": "command line"}, [by_command]),
            ({"kind": "accounts.tier"}, [theirs, by_command]),
            ({"kind": "accounts.tier", "action": "revoked", "q": "lost"}, [theirs]),
            ({"about": f"accounts.tier:{pro.pk}"}, [theirs]),
            ({"about": f"accounts.tier:{pro.pk}", "action": "changed"}, []),
            ({"about": "no such thing"}, []),
            ({"q": "TOO many"}, [by_command]),
            ({"q": "phone many"}, []),
            ({"q": "olivia"}, [ours, theirs]),
            ({"since": today, "until": today}, [ours, theirs, by_command]),
            ({"since": tomorrow}, []),
            ({"until": yesterday}, []),
            ({"since": yesterday, "q": "lost"}, [theirs]),
        ):
            assert shown(a_supporter, **query) == found, query
            assert len(rows_of(a_supporter, **query)) == len(found), query

    def test_it_stays_filled_in_and_offers_what_there_is(self, a_supporter, free):
        audit.record("changed", free, by=None)
        page = a_supporter.get(PAGE, {"action": "changed", "who": "old@example.com", "q": "a"})
        for chosen in ('value="changed" selected', 'value="old@example.com" selected', 'value="a"'):
            assert chosen in page.content.decode()
        assert '<option value="accounts.tier">tier</option>' in page.content.decode()

    @pytest.mark.parametrize(
        "query",
        [
            {"since": "yesterday"},
            {"until": "9999-12-31"},
            {"q": "too many words " * 20},
            {"who": "a\x00b"},
            {"since": "0000-01-01"},
        ],
    )
    def test_what_makes_no_sense_is_said_and_nothing_looked_for(self, a_supporter, free, query):
        audit.record("changed", free, by=None)
        page = a_supporter.get(PAGE, query)
        assert page.context["lines"] == []
        assert "Nothing was looked for" in page.content.decode()
        assert a_supporter.get(CSV, query)["Location"].startswith(f"{PAGE}?")

    @pytest.mark.parametrize(
        "before", ["", "x", "1", "1-x", "-1-1", "9" * 30 + "-1", "1-" + "9" * 30, "1-1-1", "\x00-1"]
    )
    def test_a_place_that_is_none_is_the_newest(self, a_supporter, free, before):
        entry = audit.record("changed", free, by=None)
        assert shown(a_supporter, before=before) == [entry]

    def test_an_empty_log_says_what_will_be_in_it(self, a_supporter):
        assert "Nothing was done yet" in a_supporter.get(PAGE).content.decode()
        assert "Nothing like that was done" in a_supporter.get(PAGE, {"q": "x"}).content.decode()


def pages(client, **query):
    """Every page from the newest on, as the links lead."""
    while True:
        response = client.get(PAGE, query)
        yield response
        if response.context["page"].older is None:
            return
        query["before"] = str(response.context["page"].older)
        assert f"before={query['before']}" in response.content.decode()


class TestPages:
    def test_each_entry_is_on_one_page_also_of_those_of_one_moment(self, a_supporter, log):
        log(60)
        AuditEntry.objects.bulk_create(
            AuditEntry(at=datetime(2026, 3, 2, tzinfo=UTC), action="changed", target_id=n) for n in range(70)
        )
        entries = list(AuditEntry.objects.all())
        found = [[line.entry for line in page.context["lines"]] for page in pages(a_supporter)]
        assert [len(one) for one in found] == [50, 50, 30]
        assert [entry for page in found for entry in page] == entries

    def test_new_entries_move_none(self, a_supporter, log, free):
        entries = log(60)
        first = a_supporter.get(PAGE)
        audit.record("changed", free, by=None)
        assert shown(a_supporter, before=str(first.context["page"].older)) == entries[50:]

    def test_words_are_looked_for_in_so_many_entries_and_then_on_demand(self, a_supporter, log, monkeypatch):
        monkeypatch.setattr(paging, "LOOKED_THROUGH", 20)
        entries = log(50)
        found = list(pages(a_supporter, q="reason-2"))
        assert "Looked back to" in found[0].content.decode()
        assert "Nothing found yet" in a_supporter.get(PAGE, {"q": "reason-0"}).content.decode()
        assert [line.entry for page in found for line in page.context["lines"]] == [
            entry for entry in entries if entry.reason.startswith("reason-2")
        ]
        assert [page.context["page"].looked_back_to for page in found] == [
            entries[19].at,
            entries[39].at,
            None,
        ]

    def test_a_full_page_of_found_ones_goes_on_behind_the_last(self, a_supporter, log, monkeypatch):
        monkeypatch.setattr(paging, "A_PAGE", 5)
        monkeypatch.setattr(paging, "LOOKED_THROUGH", 20)
        entries = log(30)
        found = [line.entry for page in pages(a_supporter, q="reason") for line in page.context["lines"]]
        assert found == entries

    def test_a_log_of_many_asks_no_more_than_one_of_few(
        self, a_supporter, log, django_assert_max_num_queries
    ):
        log(120)
        a_supporter.get(PAGE)
        for query in ({}, {"q": "reason", "who": "command line", "action": "changed"}):
            with django_assert_max_num_queries(11):
                assert len(shown(a_supporter, **query)) == 50
        with django_assert_max_num_queries(8):
            assert len(rows_of(a_supporter)) == 120


class TestCsv:
    def test_it_has_what_the_filter_shows_and_the_page_links_to_it(self, a_supporter, log):
        log(120)
        page = a_supporter.get(PAGE, {"q": "reason-11", "who": "", "before": "1-1"}).content.decode()
        assert 'href="/staff/audit/csv/?q=reason-11"' not in page
        page = a_supporter.get(PAGE, {"q": "reason-11", "who": ""}).content.decode()
        assert 'href="/staff/audit/csv/?q=reason-11"' in page
        rows = rows_of(a_supporter, q="reason-11")
        assert {row["why"] for row in rows} == {"reason-11", *(f"reason-11{n}" for n in range(10))}
        assert rows[0]["before"] == '{"minute": 119}'

    def test_no_cell_is_a_formula(self, a_supporter, log):
        log(1, reason="=cmd()")
        assert rows_of(a_supporter)[0]["why"] == "'=cmd()"
