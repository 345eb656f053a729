"""The road back from a suspension: the owner asks, staff answer, and both read the same of it."""

import threading
from contextlib import suppress

import pytest
from django.core import mail
from django.db import connection, transaction
from django.urls import reverse

from accounts.keys import actions
from accounts.models import ApiKey, AuditEntry, Letter, User
from tests.accounts.conftest import browser_of, member_of
from tests.usage.blocks.test_block_page import words
from usage import tasks
from usage.blocks import asking
from usage.escalation import answering, reactivation
from usage.escalation.answering import Answer, Overtaken
from usage.escalation.reactivation import NotPossible
from usage.models import EscalationEvent, EscalationState, Notice, ReactivationRequest

pytestmark = [pytest.mark.django_db(transaction=True)]

NOTE = "The loop had no wait. It has one now."
REASON = "Thank you: that was it."


@pytest.fixture
def suspended(issue, driven_clock):
    """A key that staff suspended. (How the ladder does it is told elsewhere.)"""
    key, _ = issue(minute_override=10)
    reactivation.suspend(key, by=None, reason="It never waits.")
    return ApiKey.objects.get(pk=key.pk)


@pytest.fixture
def olivia(owner):
    return browser_of(owner)


@pytest.fixture
def sue(db):
    return member_of("Support", "sue@example.com")


@pytest.fixture
def sam(db):
    return member_of("Support", "sam@example.com")


@pytest.fixture
def lionel(db):
    return member_of("Limits", "lionel@example.com")


@pytest.fixture
def root(db):
    return browser_of(User.objects.create_superuser("root@example.com"))


def ask(client, key, note=NOTE, **kwargs):
    return client.post(reverse("ask_for_reactivation", args=[key.pk]), {"note": note}, follow=True, **kwargs)


def case_page(client, key):
    return client.get(reverse("staff_reactivation", args=[key.pk]))


def send_answer(client, key, what="probation", reason=REASON, seen=None):
    if seen is None:
        waiting = ReactivationRequest.objects.waiting().first()
        seen = waiting.pk if waiting else ""
    fields = {"answer": what, "reason": reason, "seen": seen}
    return client.post(reverse("staff_reactivation", args=[key.pk]), fields, follow=True)


class TestTheOwnerAsks:
    def test_and_reads_that_it_was_sent(self, olivia, suspended):
        page = ask(olivia, suspended)
        assert page.redirect_chain[-1][0] == reverse("block", args=[EscalationEvent.objects.get().pk])
        request = ReactivationRequest.objects.get()
        assert (request.key, request.note, request.sent_by) == (suspended, NOTE, olivia.person)
        assert request.suspension == EscalationEvent.objects.get()
        said = words(page)
        assert "UTC, waiting for staff" in said
        assert NOTE in said
        assert "What did you change?" not in said

    def test_twice_is_once(self, olivia, suspended):
        ask(olivia, suspended)
        page = ask(olivia, suspended, "Sent again by a finger that slipped.")
        assert page.status_code == 200
        assert [one.note for one in ReactivationRequest.objects.all()] == [NOTE]
        assert AuditEntry.objects.filter(action="asked for reactivation").count() == 1

    @pytest.mark.parametrize(
        ("note", "complaint"),
        [
            ("", "Say what you have changed"),
            ("  \n ", "Say what you have changed"),
            ("x" * 2001, "At most 2,000 characters fit here; these are 2001."),
        ],
    )
    def test_what_staff_could_not_decide_by_is_refused_and_kept(self, olivia, suspended, note, complaint):
        page = ask(olivia, suspended, note)
        assert (page.status_code, ReactivationRequest.objects.count()) == (422, 0)
        assert complaint in words(page)
        assert "It never waits." in words(page)  # the whole page is there
        assert page.context["form"]["note"].value() == note

    def test_as_many_characters_as_the_page_says_fit(self, olivia, suspended):
        ask(olivia, suspended, "x\r\n" * 999 + "xx")
        assert len(ReactivationRequest.objects.get().note) == 2000

    def test_not_for_a_key_that_works_again(self, olivia, suspended):
        reactivation.reactivate(suspended, by=None, reason="A mistake.")
        page = ask(olivia, suspended)
        assert (page.status_code, ReactivationRequest.objects.count()) == (409, 0)
        assert "isn't suspended any more" in words(page)

    def test_not_for_one_that_is_revoked(self, olivia, suspended):
        actions.revoke(suspended, by=olivia.person)
        page = ask(olivia, suspended)
        assert (page.status_code, ReactivationRequest.objects.count()) == (409, 0)
        assert "revoked, for good" in words(page)

    def test_where_the_history_has_nothing_left_there_is_a_page_all_the_same(self, olivia, suspended):
        EscalationEvent.objects.all().delete()
        page = olivia.get(reverse("ask_for_reactivation", args=[suspended.pk]))
        assert "What did you change?" in words(page)
        assert "waiting for staff" in words(ask(olivia, suspended))

    def test_staff_get_a_letter_at_their_address(self, olivia, suspended, settings):
        settings.CONTACT_EMAIL = "staff@example.com"
        settings.BASE_URL = "https://panel.example.com"
        ask(olivia, suspended)
        tasks.send_mail()
        letter = next(one for one in mail.outbox if one.to == ["staff@example.com"])
        assert letter.subject == f"Reactivation asked for: {suspended}"
        assert NOTE in letter.body
        assert f"https://panel.example.com/staff/reactivations/{suspended.pk}/" in letter.body
        assert letter.reply_to == ["olivia@example.com"]

    def test_and_none_where_they_have_no_address(self, olivia, suspended, settings):
        settings.CONTACT_EMAIL = ""
        ask(olivia, suspended)
        assert not Letter.objects.exists()

    def test_what_was_asked_leaves_with_the_account(self, olivia, suspended):
        ask(olivia, suspended)
        olivia.person.delete()
        assert not ReactivationRequest.objects.exists()


class TestStaffAnswer:
    def test_the_oldest_first_and_then_who_has_not_asked(self, olivia, suspended, issue, sue):
        later, _ = issue()
        reactivation.suspend(later, by=None, reason="It never waits.")
        silent, _ = issue(owner=User.objects.create_user("silent@example.com"))
        reactivation.suspend(silent, by=None, reason="It never waits.")
        ask(olivia, suspended)
        ask(olivia, later, "I read the docs.")
        page = sue.get(reverse("staff_reactivations"))
        assert [one.key for one in page.context["page"]] == [suspended, later]
        assert [state.key for state in page.context["others"]] == [silent]
        assert "Reactivations 2 waiting" in words(page)

    def test_on_probation(self, olivia, suspended, sue):
        ask(olivia, suspended)
        page = send_answer(sue, suspended)
        assert "works again, on probation" in words(page)
        request = ReactivationRequest.objects.get()
        assert (request.status, request.answer, request.answered_by) == ("reactivated", REASON, sue.person)
        assert ApiKey.objects.get().status == "active"
        assert EscalationState.objects.get().escalation == 3
        assert Notice.objects.get(kind="reactivation").facts["reason"] == REASON
        assert AuditEntry.objects.get(action="reactivated").reason == REASON
        said = words(olivia.get(reverse("block", args=[EscalationEvent.objects.get(cause="suspended").pk])))
        assert f"Lifted by staff: {REASON}" in said
        assert f"Staff {REASON}" in said

    def test_clean(self, olivia, suspended, sue):
        ask(olivia, suspended)
        send_answer(sue, suspended, "clean")
        assert EscalationState.objects.get().escalation == 0

    def test_with_no_and_the_owner_reads_why_and_asks_again(self, olivia, suspended, sue):
        ask(olivia, suspended)
        send_answer(sue, suspended, "keep", "The wait is too short: read Retry-After.")
        request = ReactivationRequest.objects.get()
        assert (request.status, ApiKey.objects.get().status) == ("kept", "suspended")
        assert AuditEntry.objects.get(action="kept suspended").reason == request.answer
        page = olivia.get(reverse("ask_for_reactivation", args=[suspended.pk]), follow=True)
        assert "Kept suspended" in words(page)
        assert "The wait is too short" in words(page)
        tasks.send_mail()
        letter = next(one for one in mail.outbox if "stays suspended" in one.subject)
        assert "The wait is too short" in letter.body
        ask(olivia, suspended, "Now it reads Retry-After.")
        assert ReactivationRequest.objects.waiting().get().note == "Now it reads Retry-After."
        send_answer(sue, suspended, "keep", "Still not.")
        assert Notice.objects.filter(kind="suspension_kept").count() == 2

    @pytest.mark.parametrize("reason", ["", "  "])
    def test_never_without_a_reason(self, olivia, suspended, sue, reason):
        ask(olivia, suspended)
        page = send_answer(sue, suspended, reason=reason)
        assert page.status_code == 422
        assert "it is what the customer reads" in words(page)
        assert ReactivationRequest.objects.waiting().exists()

    def test_the_second_is_told_what_the_first_did(self, olivia, suspended, sue, sam):
        ask(olivia, suspended)
        seen = ReactivationRequest.objects.get().pk
        send_answer(sue, suspended)
        page = send_answer(sam, suspended, "keep", "No.", seen=seen)
        assert page.status_code == 409
        assert "Nothing was changed: sue@example.com reactivated it at" in words(page)
        assert f"Their reason: “{REASON}”" in words(page)
        assert ReactivationRequest.objects.get().answer == REASON
        assert not Notice.objects.filter(kind="suspension_kept").exists()

    def test_who_asks_while_staff_read_is_not_answered_unread(self, olivia, suspended, sue):
        ask(olivia, suspended)
        page = send_answer(sue, suspended, seen="")
        assert page.status_code == 409
        assert "has asked meanwhile" in words(page)
        assert NOTE in words(page)
        assert page.context["form"]["reason"].value() == REASON

    def test_a_key_that_nobody_asked_for(self, suspended, sue):
        assert "Keep suspended" not in words(case_page(sue, suspended))
        send_answer(sue, suspended, reason="A mistake of ours.")
        assert ApiKey.objects.get().status == "active"

    @pytest.mark.parametrize("way", ["reactivated elsewhere", "revoked"])
    def test_whoever_waits_is_answered_in_any_other_way_as_well(self, olivia, suspended, way):
        ask(olivia, suspended)
        if way == "revoked":
            actions.revoke(ApiKey.objects.get(), by=None, reason="Stolen.")
        else:
            reactivation.reactivate(suspended, by=None, reason=REASON)
        request = ReactivationRequest.objects.get()
        expected = ("revoked", "") if way == "revoked" else ("reactivated", REASON)
        assert (request.status, request.answer) == expected
        assert request.answered_at is not None

    def test_what_led_to_it_is_there_with_all_steps(self, customer, sue, owner):
        customer.climbs_to(5)
        customer.is_booked()
        reactivation.reactivate(customer.key, by=sue.person, reason="Once.")
        reactivation.suspend(customer.key, by=sue.person, reason="Once more.")
        said = words(case_page(sue, customer.key))
        assert "suspended 1 time before" in said
        assert "Suspended by the ladder" in said
        assert "Reactivated on probation, tier 3 remembered Once." in said
        assert "Suspended sue@example.com Once more." in said

    def test_the_minutes_are_those_that_the_owner_reads(self, customer, sue, olivia):
        customer.climbs_to(5)
        customer.is_booked()
        said = words(case_page(sue, customer.key))
        assert said.count("requests, limit 10") == 3 + 2 + 2 + 2
        assert "20 requests in one minute, limit 10." in said
        event = EscalationEvent.objects.get(after=5)
        assert words(olivia.get(reverse("block", args=[event.pk]))).count("requests, limit 10") == 2


class TestWhoMay:
    @pytest.mark.parametrize("name", ["staff_reactivations", "staff_reactivation"])
    def test_support_and_superusers(self, suspended, olivia, sue, lionel, root, client, name):
        url = reverse(name, args=[suspended.pk] if name == "staff_reactivation" else [])
        who = (sue, root, lionel, olivia, client)
        assert [one.get(url).status_code for one in who] == [200, 200, 403, 404, 302]

    def test_nobody_else_answers(self, suspended, olivia, lionel):
        for one in (olivia, lionel):
            assert send_answer(one, suspended).status_code in (403, 404)
        assert ApiKey.objects.get().status == "suspended"

    def test_the_menu_says_how_many_wait_to_who_may_answer(self, olivia, suspended, sue, lionel):
        ask(olivia, suspended)
        assert "Reactivations 1 waiting" in words(sue.get("/staff/"))
        assert "Reactivations" not in words(lionel.get("/staff/tiers/"))


def test_pages_of_staff_cost_few_queries(customer, olivia, sue, django_assert_max_num_queries):
    customer.climbs_to(5)
    customer.is_booked()
    ask(olivia, customer.key)
    sue.get("/staff/")
    with django_assert_max_num_queries(12):
        sue.get(reverse("staff_reactivations"))
    with django_assert_max_num_queries(12):
        case_page(sue, customer.key)


def at_once(*calls):
    """Each in a thread of its own, which all begin together; gives what each raised."""
    raised = [None] * len(calls)
    barrier = threading.Barrier(len(calls))

    def run(n, call):
        try:
            barrier.wait(5)
            call()
        except Exception as error:
            raised[n] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=one) for one in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return raised


class TestAtOnce:
    def test_two_requests_are_one(self, suspended, owner):
        def send():
            asking.ask(suspended, by=owner, note=NOTE)

        assert at_once(*[send] * 4) == [None] * 4
        assert ReactivationRequest.objects.count() == 1

    def test_of_two_answers_one_holds_and_the_other_hears_of_it(self, suspended, owner, sue, sam):
        asked = asking.ask(suspended, by=owner, note=NOTE)

        def say(what, who):
            return lambda: answering.answer(
                suspended, what, seen=asked.pk, by=who.person, reason=who.person.email
            )

        raised = at_once(say(Answer.PROBATION, sue), say(Answer.KEEP, sam))
        (overtaken,) = [error for error in raised if error is not None]
        assert isinstance(overtaken, Overtaken)
        winner = (sue, sam)[raised.index(None)].person
        asked.refresh_from_db()
        assert (asked.answered_by, asked.answer) == (winner, winner.email)
        assert winner.email in str(overtaken)
        assert Notice.objects.filter(kind__in=("reactivation", "suspension_kept")).count() == 1

    def test_the_database_lets_no_second_one_wait(self, suspended):
        ReactivationRequest.objects.create(key=suspended, note=NOTE)
        with suppress(Exception), transaction.atomic():
            ReactivationRequest.objects.create(key=suspended, note=NOTE)
        assert ReactivationRequest.objects.count() == 1


def test_a_no_needs_somebody_who_asked(suspended, sue):
    with pytest.raises(NotPossible, match="Nobody waits"):
        answering.answer(suspended, Answer.KEEP, seen=None, by=sue.person, reason="No.")
