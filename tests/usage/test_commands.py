"""`manage.py suspend_key` and `reactivate_key`: what the staff pages do, for scripts."""

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey
from usage.escalation.reactivation import suspend
from usage.limits.store import limit_store
from usage.models import EscalationEvent, EscalationState, Notice
from usage.subjects import of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("driven_clock")]


@pytest.fixture
def key(issue):
    key, key.text = issue()
    return key


def run(capsys, *arguments):
    call_command(*arguments)
    return capsys.readouterr().out


def status(key):
    return ApiKey.objects.get(pk=key.pk).status


def tier_in_the_store(key):
    return limit_store().look(of_key(ApiKey.objects.get(pk=key.pk))).escalation


def test_a_key_is_suspended_in_sql_and_in_the_limit_store(key, capsys):
    assert run(capsys, "suspend_key", key.text, "--reason", "Resells.") == (
        f"{key} of olivia@example.com: suspended\n"
    )
    assert status(key) == "suspended"
    assert tier_in_the_store(key) == 5
    event = EscalationEvent.objects.get(cause="suspended")
    assert (event.by, event.reason) == (None, "Resells.")


@pytest.mark.parametrize(
    ("arguments", "how", "tier"),
    [
        ([], "on probation, at tier 3 (Temporary block)", 3),
        (["--clean"], "clean", 0),
    ],
)
def test_a_suspended_key_is_reactivated(key, capsys, arguments, how, tier):
    suspend(key, by=None, reason="a test")
    out = run(capsys, "reactivate_key", key.start, "--reason", "They fixed it.", *arguments)
    assert out == f"{key} of olivia@example.com: reactivated {how}\n"
    assert status(key) == "active"
    assert tier_in_the_store(key) == tier
    assert EscalationEvent.objects.get(cause="reactivated").reason == "They fixed it."


def test_a_dry_run_says_the_same_and_changes_nothing(key, capsys):
    out = run(capsys, "suspend_key", key.start, "--reason", "Resells.", "--dry-run")
    assert out == f"{key} of olivia@example.com: suspended (dry run)\n"
    assert (status(key), tier_in_the_store(key)) == ("active", 0)
    suspend(key, by=None, reason="a test")
    before = EscalationState.objects.values().get()
    out = run(capsys, "reactivate_key", key.start, "--reason", "They fixed it.", "--dry-run")
    assert out.endswith("reactivated on probation, at tier 3 (Temporary block) (dry run)\n")
    assert (status(key), tier_in_the_store(key)) == ("suspended", 5)
    assert EscalationState.objects.values().get() == before
    assert list(Notice.objects.values_list("kind", flat=True)) == ["suspension"]


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_what_isnt_possible_is_said_in_a_sentence(issue, dry_run):
    active, revoked = issue()[0], issue(status=ApiKey.Status.REVOKED)[0]
    for command, key, why in [
        ("reactivate_key", active, "neither suspended nor blocked"),
        ("reactivate_key", revoked, "revoked, and stays so"),
        ("suspend_key", revoked, "refused for good"),
    ]:
        with pytest.raises(CommandError, match=why):
            call_command(command, key.start, "--reason", "a test", *dry_run)
    with pytest.raises(CommandError, match="A reason is required"):
        call_command("suspend_key", active.start, "--reason", "  ", *dry_run)
    with pytest.raises(CommandError, match="No such key"):
        call_command("suspend_key", "koala_nobody", "--reason", "a test", *dry_run)
    assert not EscalationEvent.objects.exists()


def test_a_reason_is_asked_for(key):
    for command in ("suspend_key", "reactivate_key"):
        with pytest.raises(CommandError, match="--reason"):
            call_command(command, key.start)
