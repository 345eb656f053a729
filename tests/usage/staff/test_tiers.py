"""The pages about tiers: whom a change affects, two steps to make it, one to take it back."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, AuditEntry, Tier, User
from images.models import AccountQueue
from tests.accounts.conftest import browser_of
from tests.usage.staff.proposals import change, confirm, form_at, has_form, propose, said, text_of, undo
from usage.limits.store import limit_store
from usage.models import Replay, UsageDay, UsageMinute
from usage.spans import day_start
from usage.subjects import bucket_of, key_subject_id, of_limits

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "no_worker")]

LIST, FREE, GUESTS = "/staff/tiers/", "/staff/tiers/free/", "/staff/tiers/anonymous/"


def free():
    return Tier.objects.get(slug="free")


def used_today(key, admitted):
    subject = key_subject_id(key.pk)
    start = day_start(timezone.now())
    UsageDay.objects.create(subject=subject, start=start, admitted=admitted, bucket=bucket_of(subject))


def used_in_a_minute(subject, admitted):
    start = (timezone.now() - timedelta(minutes=1)).replace(second=0, microsecond=0)
    UsageMinute.objects.create(subject=subject, start=start, admitted=admitted)


class TestWhoMayDoWhat:
    @pytest.mark.parametrize("page", [LIST, FREE, f"{FREE}preview/"])
    def test_for_customers_there_is_no_such_page(self, a_customer, page):
        assert a_customer.get(page).status_code == 404

    def test_for_staff_without_a_role_there_is_nothing_to_see(self, db):
        client = browser_of(User.objects.create_user("new@example.com", is_staff=True))
        assert client.get(LIST).status_code == 403
        assert client.post(f"{FREE}undo/").status_code == 403

    def test_support_reads_the_numbers_and_whose_they_are(self, a_supporter):
        page = a_supporter.get(FREE)
        assert "Requests per UTC day 1,000" in text_of(page)
        assert "for colleagues with the Limits role" in text_of(page)
        assert not has_form(page, FREE)

    def test_support_changes_nothing_however_it_is_sent(self, a_supporter, a_limits_editor):
        preview = propose(a_limits_editor, FREE, minute="40")
        form = form_at(preview, f"{FREE}preview/") | {"reason": "mine"}
        assert a_supporter.post(FREE, form).status_code == 403
        assert a_supporter.post(f"{FREE}preview/", form).status_code == 403
        change(a_limits_editor, FREE, minute="40")
        entry = AuditEntry.objects.get()
        assert a_supporter.post(f"{FREE}undo/", {"entry": entry.pk}).status_code == 403
        assert free().minute == 40

    def test_a_tier_is_added_in_the_records_by_those_who_may(self, a_limits_editor, a_supporter):
        assert "/admin/accounts/tier/add/" in a_limits_editor.get(LIST).content.decode()
        assert "/admin/accounts/tier/add/" not in a_supporter.get(LIST).content.decode()

    def test_a_tier_that_is_not_there_has_no_page(self, a_limits_editor):
        assert a_limits_editor.get("/staff/tiers/gold/").status_code == 404


class TestTheList:
    def test_it_has_each_tiers_limits_its_keys_and_who_changed_it_last(self, a_limits_editor, a_key):
        api_keys.issue(a_key.owner, name="old", status=ApiKey.Status.REVOKED)
        change(a_limits_editor, "/staff/tiers/pro/", day="20000")
        page = text_of(a_limits_editor.get(LIST))
        assert "Free free Every new API key." in page
        assert "1 key Never changed" in page
        assert "0 keys Changed by lionel@example.com" in page
        assert "20,000" in page

    def test_more_tiers_and_keys_take_no_more_queries(
        self, a_limits_editor, a_key, django_assert_max_num_queries
    ):
        for n in range(5):
            tier = Tier.objects.create(slug=f"t{n}", name=f"T{n}")
            api_keys.issue(a_key.owner, name="k", tier=tier)
            call_command("set_tier", tier.slug, "minute=9", verbosity=0)
        a_limits_editor.get(LIST)
        with django_assert_max_num_queries(8):
            a_limits_editor.get(LIST)


class TestThePreview:
    def test_it_shows_both_side_by_side_and_saves_nothing(self, a_limits_editor):
        preview = propose(a_limits_editor, FREE, minute="20", day="", queued="300", name="Basic")
        assert preview.redirect_chain[-1][0].startswith(f"{FREE}preview/?")
        page = text_of(preview)
        assert "Requests per minute now 30 proposed 20 Falls" in page
        assert "Requests per UTC day now 1,000 proposed no limit Rises" in page
        assert "Queued jobs now 200 proposed 300 Rises" in page
        assert "Name now “Free” proposed “Basic”" in page
        assert "Concurrent requests" not in page
        assert (free().minute, free().name) == (30, "Free")
        assert not AuditEntry.objects.exists()

    def test_it_counts_the_keys_that_follow_the_tier_and_those_with_their_own(self, a_limits_editor, a_key):
        api_keys.issue(a_key.owner, name="b")
        api_keys.issue(a_key.owner, name="c", minute_override=7)
        api_keys.issue(a_key.owner, name="d", status=ApiKey.Status.REVOKED)
        page = text_of(propose(a_limits_editor, FREE, minute="20", day="900"))
        assert "2 keys of this tier follow it; 1 has a number of its own, and stays as it is." in page
        assert "3 keys of this tier follow it." in page

    def test_it_names_the_keys_that_used_more_today(self, a_limits_editor, a_key):
        own = api_keys.issue(a_key.owner, name="has its own", day_override=5000)[0]
        pro = api_keys.issue(a_key.owner, name="of another tier", tier=Tier.objects.get(slug="pro"))[0]
        few = api_keys.issue(a_key.owner, name="uses little")[0]
        for key, admitted in ((a_key, 900), (own, 900), (pro, 900), (few, 500)):
            used_today(key, admitted)
        page = text_of(propose(a_limits_editor, FREE, day="500"))
        assert f"Above 500 now, the busiest first: prod {a_key.start}… of olivia@example.com" in page
        assert "900 requests today" in page
        for name in ("has its own", "of another tier", "uses little"):
            assert name not in page

    def test_it_names_the_keys_that_used_more_in_a_minute(self, a_limits_editor, a_key):
        used_in_a_minute(key_subject_id(a_key.pk), 25)
        assert "25 requests in a minute" in text_of(propose(a_limits_editor, FREE, minute="20"))
        assert "Nobody is above 25 now" in text_of(propose(a_limits_editor, FREE, minute="25"))

    def test_it_names_the_keys_with_more_requests_in_flight(self, a_limits_editor, a_key, built):
        subject = of_limits(a_key)
        used_in_a_minute(subject.id, 3)
        for _ in range(3):
            limit_store().insist(subject, "convert", limit_store().new_lease())
        assert "3 requests at this moment" in text_of(propose(a_limits_editor, FREE, concurrent="2"))
        assert "Nobody is above 3 now" in text_of(propose(a_limits_editor, FREE, concurrent="3"))

    def test_it_names_the_accounts_with_more_jobs(self, a_limits_editor, a_key):
        AccountQueue.objects.create(id=f"a:{a_key.owner_id}", running=3, queued=150)
        AccountQueue.objects.create(id="ip:192.0.2.7", running=3, queued=90)
        page = text_of(propose(a_limits_editor, FREE, parallel="2", queued="100"))
        assert "olivia@example.com all of its keys 3 jobs running" in page
        assert "olivia@example.com all of its keys 150 jobs waiting" in page
        assert "192.0.2.7" not in page

    def test_guests_are_networks(self, a_limits_editor, a_key):
        used_in_a_minute("ip:192.0.2.7", 9)
        used_in_a_minute(key_subject_id(a_key.pk), 9)
        AccountQueue.objects.create(id="ip:192.0.2.8", running=3)
        page = text_of(propose(a_limits_editor, GUESTS, minute="5", parallel="2"))
        assert "Everyone without a key, counted per network." in page
        assert "192.0.2.7 network 9 requests in a minute" in page
        assert "192.0.2.8 network 3 jobs running" in page
        assert "prod" not in page

    def test_a_raised_limit_is_nobodys_trouble(self, a_limits_editor, a_key):
        used_today(a_key, 900)
        page = text_of(propose(a_limits_editor, FREE, day="2000"))
        assert "Nobody can do less by it than now." in page
        assert "Type “Free”" not in page
        assert "prod" not in page

    def test_lists_are_bounded(self, a_limits_editor, a_key):
        for n in range(15):
            used_in_a_minute(key_subject_id(api_keys.issue(a_key.owner, name=f"busy {n}")[0].pk), 25)
        page = text_of(propose(a_limits_editor, FREE, minute="20"))
        assert "(10 of them)" in page
        assert page.count("25 requests in a minute") == 10

    def test_nothing_changed_leads_nowhere(self, a_limits_editor):
        page = propose(a_limits_editor, FREE)
        assert "Change something first" in text_of(page)
        assert not Replay.objects.exists()

    def test_a_number_that_is_none_is_refused_with_what_was_typed(self, a_limits_editor):
        page = propose(a_limits_editor, FREE, minute="0", day="99999999999999999999", name="Basic")
        assert "greater than or equal to 1" in text_of(page)
        assert "less than or equal to" in text_of(page)
        assert form_at(page, FREE)["name"] == "Basic"

    @pytest.mark.parametrize("query", ["", "?minute=x", "?as_read=9&minute=20", "?replay=x&as_read=²"])
    def test_an_address_that_somebody_made_up_leads_back_to_the_form(self, a_limits_editor, query):
        response = a_limits_editor.get(f"{FREE}preview/{query}", follow=True)
        assert response.status_code == 200
        assert free().minute == 30

    def test_back_from_it_the_form_has_what_was_proposed(self, a_limits_editor):
        preview = propose(a_limits_editor, FREE, minute="20")
        page = a_limits_editor.get(preview.context["back"])
        assert form_at(page, FREE)["minute"] == "20"

    def test_all_kinds_at_once_take_twelve_queries(
        self, a_limits_editor, a_key, django_assert_max_num_queries
    ):
        for n in range(10):
            key = api_keys.issue(a_key.owner, name=f"k{n}")[0]
            used_today(key, 900)
            used_in_a_minute(key_subject_id(key.pk), 25)
        AccountQueue.objects.create(id=f"a:{a_key.owner_id}", running=3, queued=150)
        preview = propose(
            a_limits_editor, FREE, minute="1", day="1", concurrent="1", parallel="1", queued="1"
        )
        address = preview.redirect_chain[-1][0]
        with django_assert_max_num_queries(12):
            a_limits_editor.get(address)


class TestTheReplay:
    def test_a_proposal_starts_one_of_the_recorded_days(self, a_limits_editor):
        propose(a_limits_editor, FREE, minute="20")
        replay = Replay.objects.get()
        assert (replay.about, replay.slug, replay.asked_by) == ("tier", "free", a_limits_editor.person)
        assert (replay.current["minute"], replay.proposed["minute"]) == (30, 20)
        assert replay.proposed["queued"] == 200

    def test_what_leaves_no_trace_in_the_books_starts_none(self, a_limits_editor):
        propose(a_limits_editor, FREE, queued="100", name="Basic")
        assert not Replay.objects.exists()

    def test_looking_at_the_preview_again_starts_no_other(self, a_limits_editor):
        preview = propose(a_limits_editor, FREE, minute="20")
        a_limits_editor.get(preview.redirect_chain[-1][0])
        assert Replay.objects.count() == 1

    def test_beside_numbers_that_somebody_changed_it_is_told_to_be_old(self, a_limits_editor, another_editor):
        preview = propose(another_editor, FREE, minute="20")
        assert "was replayed beside other numbers" not in text_of(preview)
        change(a_limits_editor, FREE, minute="50")
        assert "was replayed beside other numbers" in text_of(
            confirm(another_editor, preview, FREE, reason="mine")
        )

    def test_one_of_another_tier_is_not_shown(self, a_limits_editor):
        propose(a_limits_editor, "/staff/tiers/pro/", minute="20")
        address = propose(a_limits_editor, FREE, minute="20").redirect_chain[-1][0]
        other = Replay.objects.get(slug="pro")
        response = a_limits_editor.get(f"{address.partition('&replay=')[0]}&replay={other.pk}")
        assert response.context["replay"] is None

    def test_a_change_can_be_saved_while_it_runs(self, a_limits_editor):
        change(a_limits_editor, FREE, minute="20")
        assert Replay.objects.get().status == "waiting"
        assert free().minute == 20


class TestSaving:
    @pytest.mark.parametrize("reason", ["", "   "])
    def test_it_takes_a_reason(self, a_limits_editor, reason):
        response = change(a_limits_editor, FREE, minute="40", reason=reason)
        assert "This field is required" in text_of(response)
        assert free().minute == 30
        assert form_at(response, f"{FREE}preview/")["minute"] == "40"

    def test_it_is_written_down_with_who_and_why(self, a_limits_editor):
        response = change(a_limits_editor, FREE, minute="40", description="", reason=" They asked. ")
        assert said(response) == ["Saved. In force everywhere within 2 seconds."]
        entry = AuditEntry.objects.get()
        assert (entry.action, entry.actor, entry.reason) == (
            *("changed", a_limits_editor.person),
            "They asked.",
        )
        assert entry.before == {"minute": 30, "description": "Every new API key."}
        assert entry.after == {"minute": 40, "description": ""}
        assert entry.revision == free().revision

    def test_every_process_is_told(self, a_limits_editor, built, django_capture_on_commit_callbacks, valkey):
        with django_capture_on_commit_callbacks(execute=True):
            change(a_limits_editor, FREE, minute="40")
        assert int(valkey.hget("kp1:{0}:t", "free")) == free().revision

    def test_lowering_a_limit_that_holds_somebody_takes_the_tiers_name(self, a_limits_editor, a_key):
        response = change(a_limits_editor, FREE, minute="20")
        assert "Type “Free” to confirm" in text_of(response)
        assert free().minute == 30
        response = change(a_limits_editor, FREE, minute="20", typed="Pro")
        assert "Type “Free”, as it is written here." in text_of(response)
        assert free().minute == 30
        change(a_limits_editor, FREE, minute="20", typed=" free ")
        assert free().minute == 20

    def test_lowering_one_that_holds_nobody_takes_none(self, a_limits_editor, a_key):
        ApiKey.objects.update(minute_override=5)
        change(a_limits_editor, FREE, minute="20")
        assert free().minute == 20

    def test_guests_are_always_somebody(self, a_limits_editor):
        change(a_limits_editor, GUESTS, minute="5")
        assert Tier.objects.get(slug="anonymous").minute == 10
        change(a_limits_editor, GUESTS, minute="5", typed="Guest")
        assert Tier.objects.get(slug="anonymous").minute == 5

    def test_from_no_limit_to_one_is_lowering(self, a_limits_editor, a_key):
        Tier.objects.filter(slug="free").update(day=None)
        assert "Type “Free”" in text_of(propose(a_limits_editor, FREE, day="1000000"))


class TestTwoAtOnce:
    def test_the_second_is_refused_with_what_the_first_did_and_keeps_what_was_typed(
        self, a_limits_editor, another_editor
    ):
        fields = form_at(another_editor.get(FREE), FREE)
        change(a_limits_editor, FREE, minute="50", reason="Capacity came.")
        page = another_editor.post(FREE, fields | {"minute": "40", "day": "2000"})
        text = text_of(page)
        assert "nothing was saved" in text
        assert "lionel@example.com" in text
        assert "requests per minute 30 → 50 (“Capacity came.”)" in text
        assert "Requests per minute: 50; Requests per UTC day: 1,000" in text
        assert (form_at(page, FREE)["minute"], form_at(page, FREE)["day"]) == ("40", "2000")
        assert free().minute == 50

    def test_so_is_one_who_was_at_the_preview(self, a_limits_editor, another_editor):
        preview = propose(another_editor, FREE, minute="40")
        change(a_limits_editor, FREE, minute="50")
        page = confirm(another_editor, preview, FREE, reason="My reason.")
        assert "requests per minute 30 → 50" in text_of(page)
        assert "Requests per minute now 50 proposed 40 Falls" in text_of(page)
        assert form_at(page, f"{FREE}preview/")["reason"] == "My reason."
        assert free().minute == 50

    def test_and_may_put_theirs_in_its_place_having_read_that(self, a_limits_editor, another_editor):
        preview = propose(another_editor, FREE, minute="40")
        change(a_limits_editor, FREE, minute="50")
        page = confirm(another_editor, preview, FREE, reason="My reason.")
        confirm(another_editor, page, FREE)
        assert free().minute == 40
        assert AuditEntry.objects.first().before == {"minute": 50}

    def test_a_lowering_that_became_one_meanwhile_takes_the_name(
        self, a_limits_editor, another_editor, a_key
    ):
        preview = propose(another_editor, FREE, minute="40")
        change(a_limits_editor, FREE, minute="50")
        page = confirm(another_editor, preview, FREE, reason="My reason.")
        confirm(another_editor, page, FREE)
        assert free().minute == 50

    def test_what_the_command_changes_counts_as_somebody(self, a_limits_editor):
        preview = propose(a_limits_editor, FREE, minute="40")
        call_command("set_tier", "free", "minute=35", verbosity=0)
        page = confirm(a_limits_editor, preview, FREE, reason="a test")
        assert "command line" in text_of(page)
        assert free().minute == 35

    def test_a_form_sent_twice_saves_once(self, a_limits_editor):
        preview = propose(a_limits_editor, FREE, minute="40")
        for _ in range(2):
            confirm(a_limits_editor, preview, FREE, reason="a test")
        assert AuditEntry.objects.count() == 1


class TestUndo:
    def test_it_gives_back_what_was_before_and_is_written_down(self, a_limits_editor):
        response = change(a_limits_editor, FREE, minute="40", name="Basic", reason="They asked.")
        response = undo(a_limits_editor, response, FREE)
        assert said(response) == ["Undone. In force everywhere within 2 seconds."]
        assert (free().minute, free().name) == (30, "Free")
        entry = AuditEntry.objects.first()
        assert (entry.action, entry.actor) == ("undid a change of", a_limits_editor.person)
        assert (entry.before, entry.after) == (
            {"minute": 40, "name": "Basic"},
            {"minute": 30, "name": "Free"},
        )
        assert "lionel@example.com" in entry.reason
        assert "They asked." in entry.reason

    def test_it_is_offered_later_and_to_a_colleague_too(self, a_limits_editor, another_editor):
        change(a_limits_editor, FREE, minute="40")
        undo(another_editor, another_editor.get(FREE), FREE)
        assert free().minute == 30

    def test_a_change_by_command_or_in_the_records_can_be_undone_as_well(self, a_limits_editor):
        call_command("set_tier", "free", "minute=1", verbosity=0)
        undo(a_limits_editor, a_limits_editor.get(FREE), FREE)
        assert free().minute == 30

    def test_once_somebody_has_changed_it_again_it_is_refused_with_why(self, a_limits_editor, another_editor):
        shown = change(a_limits_editor, FREE, minute="40")
        change(another_editor, FREE, day="2000", reason="Capacity came.")
        response = undo(a_limits_editor, shown, FREE)
        (message,) = said(response)
        assert message.startswith("Nothing was undone: Free was changed again after that.")
        assert "mia@example.com" in message
        assert "Capacity came." in message
        assert (free().minute, free().day) == (40, 2000)

    def test_only_the_newest_change_offers_it(self, a_limits_editor):
        change(a_limits_editor, FREE, minute="40")
        response = change(a_limits_editor, FREE, minute="50")
        steps = response.context["history"]
        assert [step.can_undo for step in steps] == [True, False]
        a_limits_editor.get(FREE)  # the message is gone
        assert a_limits_editor.get(FREE).content.decode().count(f'action="{FREE}undo/"') == 1

    def test_after_something_that_nobody_wrote_down_it_is_not_offered(self, a_limits_editor):
        change(a_limits_editor, FREE, minute="40")
        free().save()
        assert not has_form(a_limits_editor.get(FREE), f"{FREE}undo/")

    def test_an_undo_can_be_undone(self, a_limits_editor):
        response = undo(a_limits_editor, change(a_limits_editor, FREE, minute="40"), FREE)
        undo(a_limits_editor, response, FREE)
        assert free().minute == 40

    def test_pressed_twice_it_is_done_once(self, a_limits_editor):
        shown = change(a_limits_editor, FREE, minute="40")
        undo(a_limits_editor, shown, FREE)
        undo(a_limits_editor, shown, FREE)
        assert free().minute == 30
        assert AuditEntry.objects.count() == 2

    @pytest.mark.parametrize("entry", ["", "x", "0", "²", "99999999999999999999"])
    def test_what_is_no_change_of_this_tier_is_not_found(self, a_limits_editor, entry):
        assert a_limits_editor.post(f"{FREE}undo/", {"entry": entry}).status_code == 404

    def test_nor_is_one_of_another(self, a_limits_editor):
        change(a_limits_editor, "/staff/tiers/pro/", minute="200")
        entry = AuditEntry.objects.get()
        assert a_limits_editor.post(f"{FREE}undo/", {"entry": entry.pk}).status_code == 404

    def test_it_takes_a_post(self, a_limits_editor):
        assert a_limits_editor.get(f"{FREE}undo/").status_code == 405


class TestHistory:
    def test_each_change_is_listed_with_what_was_before_and_why(self, a_limits_editor):
        change(a_limits_editor, FREE, day="", reason="They asked.")
        page = text_of(a_limits_editor.get(FREE))
        assert "Changed by lionel@example.com" in page
        assert "Requests per UTC day: 1,000 → no limit They asked." in page

    def test_it_is_bounded_and_so_are_its_queries(self, a_limits_editor, django_assert_max_num_queries):
        for n in range(25):
            call_command("set_tier", "free", f"minute={n + 100}", verbosity=0)
        a_limits_editor.get(FREE)
        with django_assert_max_num_queries(8):
            page = a_limits_editor.get(FREE)
        assert len(page.context["history"]) == 20
        assert "The newest 20 are listed" in text_of(page)
