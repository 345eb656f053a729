"""The staff pages about subjects: finding them, all about one, and what staff do there."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from uuid import uuid4

import pytest
import redis
from django.urls import reverse
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.keys import actions
from accounts.models import ApiKey, AuditEntry, Tier, User
from tests.accounts.conftest import a_limits_editor, a_superuser, a_supporter, browser_of
from tests.usage.escalation.customer import Customer
from usage.books.booking import book_closed_minutes
from usage.books.totals import total_what_is_booked
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.limits import health
from usage.limits.breaker import Breaker
from usage.limits.store import limit_store
from usage.models import EscalationState
from usage.staff import degraded
from usage.subjects import key_subject_id, of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("koalapanel.urls")]

__all__ = ["a_limits_editor", "a_superuser", "a_supporter"]
SEARCH = "/staff/subjects/"
WHY = "They asked for it"


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    driven_clock.set(datetime.now(UTC).replace(hour=12, minute=0, microsecond=0).isoformat()[:19])
    return driven_clock


@pytest.fixture
def books_were_looked_at(monkeypatch):
    """Some seconds ago, by another page: the banner of staff pages asks once for all of them."""
    monkeypatch.setattr(degraded, "REMEMBERED_SECONDS", 1e9)
    monkeypatch.setattr(degraded.memory, "asked_at", 1e9)


@pytest.fixture
def lose_the_store(tmp_path, monkeypatch):
    def lose():
        monkeypatch.setattr(limit_store(), "url", f"unix://{tmp_path}/gone.sock")
        monkeypatch.setattr(limit_store(), "_threads", threading.local())
        monkeypatch.setattr(limit_store(), "breaker", Breaker())
        monkeypatch.setattr(limit_store(), "client", _gone(tmp_path))
        monkeypatch.setattr(health, "_healths", {})

    return lose


def _gone(folder):
    return redis.Redis.from_url(f"unix://{folder}/gone.sock", retry=Retry(NoBackoff(), 0))


class _Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        self.words += data.split()


def read(response, status=200):
    assert response.status_code == status
    words = _Words()
    words.feed(response.content.decode())
    return " ".join(words.words)


def search(browser, text="", **filters):
    """As the form does it: posted, then read at the address that the answer leads to."""
    answer = browser.post(SEARCH, {"q": text, **filters})
    assert answer.status_code == 302
    return browser.get(answer.headers["Location"])


def found(response):
    return [row.key or row.network for row in response.context["results"].rows]


def page_of(key, name="subject"):
    return reverse(name, args=[key_subject_id(key.pk) if isinstance(key, ApiKey) else key])


def send(browser, key, name, **fields):
    """The page's own form, with these fields filled in."""
    address = page_of(key, name)
    form = browser.get(address).context["form"]
    sent = {field.html_name: field.value() for field in form if field.value() is not None}
    return browser.post(address, {**sent, "reason": WHY, **fields})


class TestFinding:
    def test_by_the_start_of_any_secret_that_it_has_or_had(self, a_supporter, issue, owner):
        key, old = issue()
        issue()
        key, new = actions.rotate(key, by=owner, revision=None, overlap=timedelta(0))
        for start in (old[:12], new[:12], new[:9], new[6:11]):
            assert found(search(a_supporter, start)) == [key], start

    def test_a_whole_key_that_was_pasted_is_used_by_its_start_alone(self, a_supporter, issue, caplog):
        key, text = issue()
        caplog.set_level(logging.DEBUG)
        for pasted in (
            text,
            f"  Bearer {text}",
            f"X-Api-Key: {text}\n",
            text.removeprefix("koala_"),
            text.removeprefix("k"),
            f"Bearer {text.removeprefix('koala_')}",
            text[:20],
        ):
            answer = a_supporter.post(SEARCH, {"q": pasted})
            assert answer.headers["Location"] == f"{SEARCH}?q={key.start}", pasted
        by_get = a_supporter.get(SEARCH, {"q": text})
        assert by_get.headers["Location"] == f"{SEARCH}?q={key.start}"
        page = a_supporter.get(f"{SEARCH}?q={key.start}")
        assert found(page) == [key]
        assert text[12:] not in page.content.decode() + answer.content.decode() + caplog.text

    def test_by_its_owners_address_or_a_part_of_it_and_by_its_name(self, a_supporter, issue):
        theirs, _ = issue(owner=User.objects.create_user("wanda@Shop.example"))
        ours, _ = issue()
        ApiKey.objects.filter(pk=ours.pk).update(name="Nightly import")
        assert found(search(a_supporter, "wanda@shop.example")) == [theirs]
        for part in ("SHOP", "wanda@", "anda@shop.ex", "@shop"):
            assert found(search(a_supporter, part)) == [theirs], part
        assert found(search(a_supporter, "nightly IMP")) == [ours]
        assert found(search(a_supporter, "100%")) == []
        assert found(search(a_supporter, key_subject_id(ours.pk))) == [ours]

    @pytest.mark.parametrize(
        ("asked", "network"),
        [
            ("192.0.2.7", "192.0.2.7"),
            (" 192.0.2.7:443 ", "192.0.2.7"),
            ("ip:192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:0:1ff::9", "2001:db8:0:100::/56"),
            ("[2001:db8:0:1ff::9]:443", "2001:db8:0:100::/56"),
            ("2001:db8:0:100::/64", "2001:db8:0:100::/56"),
            ("192.0.2.7/32", "192.0.2.7"),
        ],
    )
    def test_an_address_is_the_network_that_it_counts_as(self, a_supporter, asked, network):
        assert found(search(a_supporter, asked)) == [network]

    def test_a_wider_network_has_those_in_it_that_were_on_the_ladder(self, a_supporter, driven_clock):
        for network in ("203.0.113.9", "203.0.114.9", "2001:db8:0:100::/56", "2001:db9::/56"):
            EscalationState.objects.create(
                subject=f"ip:{network}", bucket=1, escalation=2, changed_at=driven_clock.at
            )
        assert found(search(a_supporter, "203.0.113.0/24")) == ["203.0.113.9"]
        assert found(search(a_supporter, "2001:db8::/32")) == ["2001:db8:0:100::/56"]
        EscalationState.objects.create(
            subject="ip:2a00:0:0:100::/56", bucket=1, escalation=2, changed_at=driven_clock.at
        )
        assert found(search(a_supporter, "2a00::/48")) == ["2a00:0:0:100::/56"]
        assert len(found(search(a_supporter, "0.0.0.0/0"))) == 2

    def test_the_filters_narrow_it(self, a_supporter, issue, driven_clock, owner):
        plain, text = issue()
        pro, _ = issue(tier=Tier.objects.get(slug="pro"))
        revoked, _ = issue(status=ApiKey.Status.REVOKED)
        suspended, _ = issue(status=ApiKey.Status.SUSPENDED)
        expired, _ = issue(expires_at=driven_clock.at - timedelta(days=1))
        blocked, text = issue(minute_override=10)
        Customer(text, driven_clock).climbs_to(2)
        follow_changes(limit_store())
        for filters, expected in (
            ({"tier": "pro"}, [pro]),
            ({"status": "revoked"}, [revoked]),
            ({"status": "suspended"}, [suspended]),
            ({"status": "expired"}, [expired]),
            ({"status": "blocked"}, [blocked]),
            ({"status": "active", "tier": "free"}, [blocked, plain]),
        ):
            assert found(search(a_supporter, **filters)) == expected, filters
        page = read(search(a_supporter, "olivia"))
        for words in ("Revoked", "Suspended", "Expired", "Blocked until", "Active"):
            assert words in page

    def test_pages_go_on_where_one_ends(self, a_supporter, issue, monkeypatch):
        monkeypatch.setattr("usage.subject_search.PAGE", 2)
        keys = [issue()[0] for _ in range(5)]
        seen, address = [], f"{SEARCH}?q=prod"
        for number in (1, 2, 3):
            page = a_supporter.get(f"{address}&page={number}")
            seen += found(page)
            assert page.context["results"].has_next is (number < 3)
        assert seen == keys[::-1]
        for nonsense in ("0", "-1", "x", "201", "9" * 40):
            assert a_supporter.get(f"{address}&page={nonsense}").status_code == 404

    @pytest.mark.parametrize("text", ["\0", "%", "koala_\0", "a" * 10_000, "\N{OGHAM SPACE MARK}", "'\"<b>"])
    def test_whatever_is_typed_is_answered(self, a_supporter, text):
        assert search(a_supporter, text).status_code == 200

    def test_without_a_search_it_shows_who_stands_out(self, a_supporter, issue, driven_clock):
        busy, text = issue(minute_override=10)
        one = Customer(text, driven_clock)
        one.climbs_to(2)
        stopped, _ = issue()
        reactivation.suspend(stopped, by=a_supporter.person, reason=WHY)
        follow_changes(limit_store())
        book_closed_minutes(limit_store())
        total_what_is_booked()
        page = a_supporter.get(SEARCH)
        shown = page.context["of_note"]
        assert [row.key for row in shown.blocked] == [busy]
        assert [row.key for row in shown.suspended] == [stopped]
        assert [row.key for row in shown.busiest] == [busy]
        assert "30 of 1,000" in read(page)  # three minutes of ten: as the counters have it

    def test_a_panel_that_is_new_says_what_will_be_there(self, a_supporter):
        page = read(a_supporter.get(SEARCH))
        assert "Nobody is blocked just now." in page
        assert "Nothing is booked for this UTC day yet." in page
        assert "Nothing fits “nobody”" in read(search(a_supporter, "nobody"))

    def test_a_rehearsal_key_says_what_it_is(self, a_supporter, issue):
        key, _ = issue(is_rehearsal=True)
        assert "Rehearsal" in read(search(a_supporter, key.start))
        assert "It answers any refusal on demand" in read(a_supporter.get(page_of(key)))

    def test_its_queries_dont_grow(
        self, a_supporter, issue, driven_clock, built, django_assert_max_num_queries
    ):
        for _ in range(3):
            _, text = issue(minute_override=10)
        Customer(text, driven_clock).climbs_to(2)
        follow_changes(limit_store())
        book_closed_minutes(limit_store())
        total_what_is_booked()
        limit_store().reload_ladder()
        a_supporter.get("/staff/")  # once a minute it is written down that somebody was there
        for address in (
            SEARCH,
            f"{SEARCH}?q=olivia",
            f"{SEARCH}?q=koala_",
            f"{SEARCH}?q=192.0.2.7&status=blocked",
        ):
            with django_assert_max_num_queries(12):
                a_supporter.get(address)


class TestOneSubject:
    def test_its_limits_say_which_number_wins(self, a_supporter, issue, driven_clock):
        key, text = issue(minute_override=40)
        Customer(text, driven_clock).asks(3)
        page = read(a_supporter.get(page_of(key)))
        assert "This minute 30 40 in force 3 37 all back 12:01 UTC" in page
        assert "Requests today 1,000 in force none 3 997" in page
        assert "In flight now 5 in force none 0 5" in page
        assert "Jobs queued 200 in force none 0 200" in page
        assert f"{key.start}…{key.end} olivia@example.com Free" in page

    def test_the_live_counters_are_the_stores(self, a_supporter, issue, driven_clock):
        key, text = issue(minute_override=5)
        Customer(text, driven_clock).asks(9)
        page = read(a_supporter.get(page_of(key, "subject_live")))
        assert "Escalation tier 1, Standard" in page
        assert "Refused in this minute 4; 5 make a strike" in page
        assert "Strikes 0 of 3" in page
        limit_store().decide(of_key(key), "convert", "abcdef0123456789")
        driven_clock.advance(60)
        limit_store().decide(of_key(key), "convert", "abcdef0123456789")
        page = read(a_supporter.get(page_of(key, "subject_live")))
        assert "1 request holds a lease" in page
        assert "abcd…456789 since 12:01 UTC ends 12:03 UTC" in page

    def test_its_history_is_there(self, a_supporter, issue, driven_clock):
        key, text = issue(minute_override=10)
        Customer(text, driven_clock).climbs_to(2)
        follow_changes(limit_store())
        actions.rename(key, by=key.owner, revision=None, name="Nightly")
        page = read(a_supporter.get(page_of(key)))
        assert "Blocked Charged requests are refused. The history says why. Served again" in page
        assert "Cooldown of 5 minutes 20 requests in one minute, limit 10; third strike." in page
        assert "Requests over time 30 served 31 refused" in page
        assert "Renamed by olivia@example.com Name: prod → Nightly" in page

    def test_what_was_done_to_its_secrets_is_told(self, a_supporter, issue):
        key, text = issue()
        actions.rotate(key, by=key.owner, revision=None, overlap=timedelta(hours=1))
        actions.end_overlap(key, by=key.owner, revision=None)
        page = read(a_supporter.get(page_of(key)))
        assert f"Retires at: {text[:12]}: 20" in page

    def test_a_guest_has_a_page_whoever_it_is(self, a_supporter, driven_clock):
        Customer(None, driven_clock).asks(2)
        page = read(a_supporter.get("/staff/subjects/ip:127.0.0.1/"))
        assert "This minute 10 in force 2 8" in page
        assert "Everybody behind it together" in page
        assert "All clear" not in page
        assert "Suspend" not in page
        assert read(a_supporter.get("/staff/subjects/ip:2001:db8::9/")).count("2001:db8::/56") >= 2

    @pytest.mark.parametrize(
        "nonsense",
        [
            "k:0",
            "k:-1",
            "k:999",
            "k:" + "9" * 30,
            "k:x",
            "ip:",
            "ip:x",
            "ip:192.0.2.0/24",
            "ip:1.2.3",
            "17",
            "ip:::::",
        ],
    )
    def test_what_is_none_is_not_found(self, a_supporter, nonsense):
        assert a_supporter.get(f"/staff/subjects/{nonsense}/").status_code == 404

    def test_without_the_limit_store_it_says_so_and_guesses_nothing(self, a_supporter, issue, lose_the_store):
        key, _ = issue()
        lose_the_store()
        page = read(a_supporter.get(page_of(key)))
        assert "The limit store can't be reached." in page
        assert "This minute 30 in force none unknown unknown" in page
        assert "Strikes unknown" in page
        assert "Unknown while the limit store is away" in page
        assert "prod" in read(search(a_supporter, key.start))
        answer = send(a_supporter, key, "reset_counters", counters=["minute"])
        assert "can't be asked just now, so nothing was done" in read(answer)
        assert not AuditEntry.objects.exists()

    @pytest.mark.usefixtures("books_were_looked_at")
    def test_its_queries(self, a_supporter, issue, driven_clock, built, django_assert_max_num_queries):
        key, text = issue(minute_override=10)
        Customer(text, driven_clock).climbs_to(2)
        follow_changes(limit_store())
        limit_store().reload_ladder()
        for subject in (key, "ip:192.0.2.7"):
            a_supporter.get(page_of(subject))
            for name in ("subject", "subject_live", "reset_counters", "release_leases", "reactivate_subject"):
                with django_assert_max_num_queries(12):
                    assert a_supporter.get(page_of(subject, name)).status_code == 200


class TestActions:
    def test_a_reset_is_felt_by_the_next_request(self, a_supporter, issue, driven_clock):
        key, text = issue(minute_override=5)
        one = Customer(text, driven_clock)
        assert one.asks(6).status_code == 429
        page = read(a_supporter.get(page_of(key, "reset_counters")))
        assert "Requests of this minute (5 used)" in page
        assert "What was served stays in the books" in page
        answer = send(a_supporter, key, "reset_counters", counters=["minute", "strikes"])
        assert answer.headers["Location"] == page_of(key)
        page = read(a_supporter.get(page_of(key)))
        assert "Reset: the minute, strikes." in page
        assert "Reset counters by sue@example.com “They asked for it” Minute: 5 → 0" in page
        assert one.asks().status_code != 429

    def test_a_form_that_is_sent_twice_resets_once(self, a_supporter, issue, driven_clock):
        key, text = issue()
        Customer(text, driven_clock).asks(3)
        order = uuid4()
        for _ in range(2):
            assert send(a_supporter, key, "reset_counters", counters=["day"], order=order).status_code == 302
            Customer(text, driven_clock).asks(2)
        assert limit_store().look(of_key(key)).day_count == 4
        assert AuditEntry.objects.count() == 1

    @pytest.mark.parametrize(
        ("name", "fields"),
        [
            ("reset_counters", {"counters": ["minute"]}),
            ("release_leases", {}),
            ("suspend_key", {}),
            ("reactivate_subject", {}),
            ("staff_revoke_key", {}),
            ("change_key_limits", {"minute_override": 7}),
        ],
    )
    def test_each_wants_a_reason(self, a_superuser, issue, driven_clock, name, fields):
        key, text = issue()
        Customer(text, driven_clock).asks()
        answer = send(a_superuser, key, name, **fields, reason=" ")
        assert "This field is required." in read(answer)
        assert not AuditEntry.objects.exists()
        key.refresh_from_db()
        assert (key.status, key.minute_override) == ("active", None)

    def test_one_lease_or_all_are_released(self, a_supporter, issue):
        key, _ = issue(concurrent_override=3)
        for lease in ("aa01", "aa02", "aa03"):
            limit_store().decide(of_key(key), "convert", lease)
        address = page_of(key, "release_leases")
        form = a_supporter.get(address, {"lease": "aa02"}).context["form"]
        sent = {"lease": "aa02", "order": form["order"].value(), "reason": WHY}
        assert a_supporter.post(address, sent).status_code == 302
        assert limit_store().look(of_key(key)).in_flight == 2
        assert "Released: 2 leases." in read(
            a_supporter.get(send(a_supporter, key, "release_leases").headers["Location"])
        )
        assert limit_store().look(of_key(key)).in_flight == 0
        assert "nothing to release" in read(send(a_supporter, key, "release_leases"))
        assert a_supporter.get(address, {"lease": "<x>"}).status_code == 404

    def test_a_key_is_suspended_and_reactivated(self, a_supporter, issue, driven_clock):
        key, text = issue()
        one = Customer(text, driven_clock)
        assert send(a_supporter, key, "suspend_key").status_code == 302
        assert one.asks().status_code == 403
        page = read(a_supporter.get(page_of(key)))
        assert "Suspended Its requests are refused until somebody reactivates it." in page
        assert "suspended already" in read(send(a_supporter, key, "suspend_key"))
        send(a_supporter, key, "reactivate_subject", how="clean")
        assert one.asks().status_code not in (403, 429)
        assert "Active" in read(a_supporter.get(page_of(key)))
        assert "nothing to lift" in read(send(a_supporter, key, "reactivate_subject"))

    def test_the_block_of_an_address_is_lifted(self, a_supporter, driven_clock):
        guest, address = Customer(None, driven_clock), "ip:127.0.0.1"
        assert guest.climbs_to(2).status_code == 429
        follow_changes(limit_store())
        assert "Lift the block" in read(a_supporter.get(page_of(address)))
        send(a_supporter, address, "reactivate_subject", how="clean")
        assert guest.asks().status_code != 429
        page = read(a_supporter.get(page_of(address)))
        assert "Reactivated by sue@example.com “They asked for it”" in page

    @pytest.mark.parametrize("name", ["suspend_key", "staff_revoke_key", "change_key_limits"])
    def test_what_is_done_to_keys_is_not_done_to_addresses(self, a_superuser, name):
        assert a_superuser.get(page_of("ip:192.0.2.7", name)).status_code == 404
        assert a_superuser.post(page_of("ip:192.0.2.7", name), {"reason": WHY}).status_code == 404

    def test_a_key_is_revoked_unless_it_was_changed_meanwhile(self, a_supporter, issue, owner):
        key, _ = issue()
        stale = a_supporter.get(page_of(key, "staff_revoke_key")).context["form"]["revision"].value()
        actions.rename(key, by=owner, revision=None, name="Nightly")
        a_supporter.post(page_of(key, "staff_revoke_key"), {"revision": stale, "reason": WHY})
        key.refresh_from_db()
        assert key.status == "active"
        assert send(a_supporter, key, "staff_revoke_key").status_code == 302
        key.refresh_from_db()
        assert key.status == "revoked"
        page = read(a_supporter.get(page_of(key)))
        assert "Change limits" not in page
        assert "Revoked It is refused, for good" in page

    def test_limits_of_its_own_decide_the_next_request(self, a_limits_editor, issue, driven_clock):
        key, text = issue()
        one = Customer(text, driven_clock)
        assert one.asks().headers["X-RateLimit-Limit"] == "30"
        pro = Tier.objects.get(slug="pro")
        answer = send(a_limits_editor, key, "change_key_limits", tier=pro.pk, day_override=2)
        assert answer.status_code == 302
        assert one.asks().headers["X-RateLimit-Limit"] == "120"
        assert one.asks().json()["limit"] == "day"
        page = read(a_limits_editor.get(page_of(key)))
        assert "Requests today 10,000 2 in force 2 used up 0" in page
        assert "Changed limits by lionel@example.com “They asked for it” Tier: free → pro" in page
        assert "Day override: empty → 2" in page

    def test_two_who_change_the_same_limits_dont_overwrite_each_other(self, a_limits_editor, issue):
        key, _ = issue()
        form = a_limits_editor.get(page_of(key, "change_key_limits")).context["form"]
        stale = {"as_read": form["as_read"].value(), "tier": key.tier_id, "reason": WHY}
        send(a_limits_editor, key, "change_key_limits", minute_override=20)
        answer = a_limits_editor.post(page_of(key, "change_key_limits"), {**stale, "minute_override": 90})
        page = read(answer)
        assert "This was changed after you opened the page, so nothing was saved." in page
        assert "Requests per minute: 20" in page
        key.refresh_from_db()
        assert key.minute_override == 20

    @pytest.mark.parametrize("number", ["0", "-1", "many"])
    def test_what_is_no_limit_is_refused_beside_its_field(self, a_limits_editor, issue, number):
        key, _ = issue()
        answer = send(a_limits_editor, key, "change_key_limits", minute_override=number)
        assert answer.context["form"].errors["minute_override"]
        assert answer.status_code == 200

    def test_the_tier_of_guests_is_none_of_a_keys(self, a_limits_editor, issue):
        key, _ = issue()
        guests = Tier.objects.get(slug="anonymous")
        answer = send(a_limits_editor, key, "change_key_limits", tier=guests.pk)
        assert answer.context["form"].errors["tier"]


ACTIONS = {
    "reset_counters": "both",
    "release_leases": "both",
    "suspend_key": "support",
    "reactivate_subject": "support",
    "staff_revoke_key": "support",
    "change_key_limits": "limits",
}


class TestRoles:
    @pytest.mark.parametrize("name", ["subject", "subject_live", *ACTIONS])
    def test_for_a_customer_there_is_no_such_page(self, issue, owner, name):
        key, _ = issue()
        browser = browser_of(owner)
        assert browser.get(page_of(key, name)).status_code == 404
        assert browser.post(page_of(key, name), {"reason": WHY}).status_code in (404, 405)
        assert browser.get(SEARCH).status_code == 404

    @pytest.mark.parametrize(("name", "whose"), ACTIONS.items())
    def test_each_role_does_what_is_its_own(self, a_supporter, a_limits_editor, issue, name, whose):
        key, _ = issue()
        for browser, role in ((a_supporter, "support"), (a_limits_editor, "limits")):
            may = whose in (role, "both")
            assert (browser.get(page_of(key, name)).status_code == 200) is may
            assert (browser.post(page_of(key, name), {"reason": " "}).status_code == 403) is not may
            assert (page_of(key, name) in browser.get(page_of(key)).content.decode()) is (
                may and name not in ("release_leases", "reactivate_subject")
            )

    def test_staff_without_a_role_may_not_look(self, issue):
        key, _ = issue()
        browser = browser_of(User.objects.create_user("new@example.com", is_staff=True))
        assert browser.get(SEARCH).status_code == 403
        assert browser.get(page_of(key)).status_code == 403

    def test_who_is_signed_out_is_sent_to_the_sign_in(self, client):
        assert client.get(SEARCH).headers["Location"].startswith("/accounts/login/")
