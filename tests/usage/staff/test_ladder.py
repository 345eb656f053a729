"""The page about the ladder: all of its numbers in one form, and who stands on it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from tests.accounts.conftest import browser_of
from tests.accounts.test_staff_roles import User
from tests.admin_pages import change as change_in_the_records
from tests.usage.staff.proposals import change, confirm, form_at, has_form, propose, said, text_of, undo
from usage.escalation.ladder import SUSPENDED
from usage.escalation.policy import read_ladder
from usage.limits.store import LADDER, limit_store
from usage.models import EscalationPolicy, EscalationState, EscalationStep, Replay
from usage.replay.numbers import ladder_of, of_ladder

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey", "no_worker")]

PAGE = "/staff/ladder/"


def strikes(number):
    return EscalationStep.objects.get(number=number).strikes


def stands(escalation, *, blocked=False):
    n, now = EscalationState.objects.count(), timezone.now()
    until = now + timedelta(hours=1 if blocked else -1)
    EscalationState.objects.create(
        subject=f"k:{n}", bucket=0, escalation=escalation, until=until, changed_at=now
    )


class TestWhoMayDoWhat:
    @pytest.mark.parametrize("page", [PAGE, f"{PAGE}preview/"])
    def test_for_customers_there_is_no_such_page(self, a_customer, page):
        assert a_customer.get(page).status_code == 404

    def test_for_staff_without_a_role_there_is_nothing_to_see(self, db):
        client = browser_of(User.objects.create_user("new@example.com", is_staff=True))
        assert client.get(PAGE).status_code == 403

    def test_support_reads_and_changes_nothing(self, a_supporter):
        page = a_supporter.get(PAGE)
        assert "Step 2: strikes 3" in text_of(page)
        assert "Step 2: block 5 minutes" in text_of(page)
        assert not has_form(page, PAGE)
        for address in (PAGE, f"{PAGE}preview/", f"{PAGE}undo/"):
            assert a_supporter.post(address, {"strike_refusals": "1"}).status_code == 403


class TestThePage:
    def test_it_counts_who_stands_on_each_tier_and_who_is_blocked(self, a_limits_editor):
        for escalation in (0, 2, 2, 3):
            stands(escalation)
        stands(3, blocked=True)
        stands(SUSPENDED)
        page = text_of(a_limits_editor.get(PAGE))
        assert "2 Extended cooldown 2 3 Temporary block 2, 1 blocked now 4 Day block 0 5 Suspension 1" in page

    def test_more_of_them_take_no_more_queries(self, a_limits_editor, django_assert_max_num_queries):
        for _ in range(20):
            stands(2)
        a_limits_editor.get(PAGE)
        with django_assert_max_num_queries(12):
            a_limits_editor.get(PAGE)

    def test_its_history_has_what_was_done_in_the_records_too(self, a_limits_editor):
        change_in_the_records(a_limits_editor, EscalationStep.objects.get(number=3), strikes="4")
        page = a_limits_editor.get(PAGE)
        assert "Step 3: strikes: 2 → 4" in text_of(page)
        assert not has_form(page, f"{PAGE}undo/")


class TestThePreview:
    def test_it_tells_the_rules_before_and_after_and_saves_nothing(self, a_limits_editor):
        page = text_of(
            propose(
                a_limits_editor,
                PAGE,
                step_2_strikes="4",
                step_3_block_seconds="7200",
                step_5_strikes="1",
                strike_refusals="10",
                decay_hours="48",
                probation="2",
                guests_highest="3",
            )
        )
        for now, proposed in (
            (
                "3 strikes → Extended cooldown of 5 minutes",
                "4 strikes → Extended cooldown of 5 minutes Milder",
            ),
            ("2 strikes → Temporary block of 1 hour", "2 strikes → Temporary block of 2 hours Stricter"),
            (
                "2 strikes → Suspension until a person ends it",
                "1 strike → Suspension until a person ends it Stricter",
            ),
            ("is a strike", "A minute with at least 10 refusals, and at least 20 % of the minute's limit"),
            ("24 clean hours → the tier drops by one", "2 clean days → the tier drops by one Stricter"),
            ("tier 3, Temporary block is remembered", "Reactivated on probation → tier 2, Extended cooldown"),
            ("tier 4, Day block", "An address never passes tier 3, Temporary block Milder"),
        ):
            sentence = f"{now} proposed {proposed}"
            assert sentence in page, sentence
        assert strikes(2) == 3
        assert not AuditEntry.objects.exists()

    def test_a_step_is_one_line_whatever_changes_of_it(self, a_limits_editor):
        preview = propose(
            a_limits_editor, PAGE, step_2_name="Pause", step_2_strikes="2", step_2_block_seconds="60"
        )
        (line,) = preview.context["lines"]
        assert line.after == "2 strikes → Pause of 1 minute"

    @pytest.mark.parametrize(
        ("field", "value", "complaint"),
        [
            ("step_2_strikes", "", "This field is required"),
            ("step_3_block_seconds", "0", "greater than or equal to 1"),
            ("step_4_name", "", "This field is required"),
            ("strike_refusals", "0", "greater than or equal to 1"),
            ("probation", "5", "Select a valid choice"),
            ("guests_highest", "5", "Select a valid choice"),
        ],
    )
    def test_a_number_that_makes_no_sense_is_refused(self, a_limits_editor, field, value, complaint):
        assert complaint in text_of(propose(a_limits_editor, PAGE, **{field: value}))

    def test_a_step_has_no_field_for_what_it_cannot_have(self, a_limits_editor):
        fields = form_at(a_limits_editor.get(PAGE), PAGE)
        assert not {"step_1_strikes", "step_1_block_seconds", "step_5_block_seconds"} & fields.keys()

    def test_it_starts_a_replay_of_just_these_ladders(self, a_limits_editor):
        propose(a_limits_editor, PAGE, step_2_strikes="4", grace_seconds="0")
        replay = Replay.objects.get()
        assert replay.about == "ladder"
        assert replay.current == of_ladder(read_ladder())
        proposed = ladder_of(replay.proposed)
        assert (proposed.steps[2].strikes, proposed.grace_seconds) == (4, 0)

    def test_it_takes_twelve_queries(self, a_limits_editor, django_assert_max_num_queries):
        preview = propose(a_limits_editor, PAGE, step_2_strikes="4")
        with django_assert_max_num_queries(12):
            a_limits_editor.get(preview.redirect_chain[-1][0])


class TestSaving:
    def test_policy_and_steps_are_saved_as_one_with_one_entry_and_one_revision(self, a_limits_editor):
        before = EscalationPolicy.objects.get().revision
        change(a_limits_editor, PAGE, step_2_strikes="4", step_3_name="Timeout", grace_seconds="90")
        policy = EscalationPolicy.objects.get()
        assert policy.revision > before
        assert policy.grace_seconds == 90
        entry = AuditEntry.objects.get()
        assert entry.before == {
            **{"grace_seconds": 60, "step_2_strikes": 3, "step_3_name": "Temporary block"},
        }
        assert entry.revision == policy.revision
        assert (read_ladder().steps[2].strikes, read_ladder().steps[3].name) == (4, "Timeout")

    def test_every_process_is_told(self, a_limits_editor, built, django_capture_on_commit_callbacks, valkey):
        with django_capture_on_commit_callbacks(execute=True):
            change(a_limits_editor, PAGE, step_2_strikes="4")
        revision = EscalationPolicy.objects.get().revision
        assert int(valkey.hget("kp1:{0}:t", LADDER)) == revision
        assert limit_store().ladder.revision < revision

    @pytest.mark.parametrize(
        ("field", "stricter", "milder"),
        [
            ("step_2_strikes", "2", "4"),
            ("step_2_block_seconds", "600", "60"),
            ("strike_refusals", "4", "6"),
            ("strike_percent", "10", "30"),
            ("forgive_minutes", "20", "5"),
            ("warned_minutes", "20", "5"),
            ("decay_hours", "48", "12"),
            ("grace_seconds", "30", "90"),
            ("probation", "4", "2"),
        ],
    )
    def test_making_it_stricter_takes_its_name(self, a_limits_editor, field, stricter, milder):
        assert "Type “ladder”" not in text_of(propose(a_limits_editor, PAGE, **{field: milder}))
        preview = propose(a_limits_editor, PAGE, **{field: stricter})
        assert "Type “ladder”" in text_of(preview)
        confirm(a_limits_editor, preview, PAGE, reason="a test")
        assert not AuditEntry.objects.exists()
        confirm(a_limits_editor, preview, PAGE, reason="a test", typed="ladder")
        assert AuditEntry.objects.count() == 1

    def test_the_second_of_two_is_refused_even_over_another_step(self, a_limits_editor, another_editor):
        preview = propose(another_editor, PAGE, step_2_strikes="4")
        change(a_limits_editor, PAGE, step_4_strikes="3")
        page = confirm(another_editor, preview, PAGE, reason="mine")
        assert "step 4: strikes 2 → 3" in text_of(page)
        assert form_at(page, f"{PAGE}preview/")["reason"] == "mine"
        assert strikes(2) == 3

    def test_so_is_one_who_was_overtaken_in_the_records(self, a_limits_editor, a_superuser):
        preview = propose(a_limits_editor, PAGE, step_2_strikes="4")
        change_in_the_records(a_superuser, EscalationStep.objects.get(number=4), strikes="3")
        page = confirm(a_limits_editor, preview, PAGE, reason="mine")
        assert "root@example.com" in text_of(page)
        assert strikes(2) == 3


class TestUndo:
    def test_it_gives_all_of_it_back(self, a_limits_editor):
        response = change(a_limits_editor, PAGE, step_2_strikes="4", grace_seconds="90")
        response = undo(a_limits_editor, response, PAGE)
        assert said(response) == [
            "Undone. In force everywhere within 2 seconds. A running block keeps its end."
        ]
        assert (strikes(2), EscalationPolicy.objects.get().grace_seconds) == (3, 60)

    def test_it_is_refused_when_a_step_was_changed_in_the_records_since(self, a_limits_editor):
        shown = change(a_limits_editor, PAGE, step_2_strikes="4")
        change_in_the_records(a_limits_editor, EscalationStep.objects.get(number=4), strikes="3")
        response = undo(a_limits_editor, shown, PAGE)
        assert "was changed again after that" in said(response)[-1]
        assert strikes(2) == 4
