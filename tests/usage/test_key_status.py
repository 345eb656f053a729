"""`manage.py key_status`: how a key stands, for scripts."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import CommandError, call_command

from accounts import api_keys
from accounts.keys import actions
from accounts.models import ApiKey
from koalapanel.env import BASE_DIR
from tests.panel import environment
from usage.escalation.reactivation import suspend
from usage.limits.store import limit_store
from usage.subjects import of_key

pytestmark = pytest.mark.django_db


def status(capsys, text):
    call_command("key_status", text)
    return json.loads(capsys.readouterr().out)


def test_it_tells_the_limits_in_force_and_what_is_used(issue, driven_clock, capsys):
    key, text = issue(minute_override=2)
    for _ in range(3):
        limit_store().decide(of_key(key), "convert", limit_store().new_lease())
    assert status(capsys, text) == {
        "key": key.start,
        "name": "prod",
        "owner": "olivia@example.com",
        "status": "active",
        "tier": "free",
        "rehearsal": False,
        "secrets": [{"start": key.start, "retires_at": None, "last_used_at": None}],
        "limits": {"minute": 2, "day": 1000, "concurrent": 5, "parallel": 3, "queued": 200},
        "overrides": ["minute"],
        "usage": {"day": 2, "minute": 2, "concurrent": 2, "parallel": 0, "queued": 0},
        "hits_24h": 1,
        "escalation": {
            "tier": 1,
            "name": "Standard",
            "until": None,
            "reason": "1 request was refused in one minute, over the minute's limit.",
            "strikes": 0,
            "strikes_to_next_tier": 3,
            "eases_at": "2026-03-01T12:11:00+00:00",
        },
    }


@pytest.mark.django_db(transaction=True)
def test_it_tells_why_staff_suspended_a_key(issue, driven_clock, capsys):
    key, text = issue()
    suspend(key, by=None, reason="Resells our service.")
    told = status(capsys, text)
    assert (told["status"], told["escalation"]["tier"], told["escalation"]["name"]) == (
        *("suspended", 5),
        "Suspension",
    )
    assert "Resells our service." in told["escalation"]["reason"]


def test_a_keys_start_is_enough(issue, driven_clock, capsys):
    key, _ = issue(status=ApiKey.Status.SUSPENDED)
    assert status(capsys, key.start)["status"] == "suspended"


def test_it_is_found_by_a_rotated_keys_old_start_and_names_all_of_its_secrets(
    issue, owner, driven_clock, capsys, time_machine
):
    time_machine.move_to("2026-03-01T12:00:00+00:00", tick=False)
    key, old = issue()
    used = datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
    key.secrets.update(last_used_at=used)
    rotated, _ = actions.rotate(key, by=owner, revision=None, overlap=timedelta(hours=1))
    told = status(capsys, key.start)
    assert told == status(capsys, old) == status(capsys, rotated.start)
    assert told["key"] == rotated.start
    assert told["secrets"] == [
        {"start": rotated.start, "retires_at": None, "last_used_at": None},
        {
            "start": key.start,
            "retires_at": "2026-03-01T13:00:00+00:00",
            "last_used_at": "2026-03-01T11:59:00+00:00",
        },
    ]


@pytest.mark.parametrize(
    "text", ["koala_nobody", api_keys.new_text(), ""], ids=["a start", "a text", "nothing"]
)
def test_a_key_that_isnt_there_is_an_error_that_says_what_to_give(text):
    with pytest.raises(CommandError, match="No such key"):
        call_command("key_status", text)


def test_without_a_panel_it_says_where_it_looked(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "key_status", "koala_x"],
        cwd=BASE_DIR,
        env=environment(VAR_DIR=str(tmp_path)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert str(tmp_path) in done.stderr
