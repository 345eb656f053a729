"""The limits on jobs where people and programs look: the usage page, `GET /api/v1/usage`, `key_status`."""

import json

import pytest
from django.core.management import call_command
from django.test import Client

from accounts import api_keys
from accounts.models import Tier, User
from images.models import AccountQueue
from tests.usage.clock import Clock
from usage.headline import headline_of
from usage.limits.store import limit_store
from usage.standing import standing_of, standing_of_key
from usage.subjects import of_network

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock(valkey, monkeypatch):
    monkeypatch.setattr(limit_store(), "_clock", Clock())
    monkeypatch.setattr(limit_store(), "_timeout", 2)


@pytest.fixture
def olivia():
    return User.objects.create_user("olivia@example.com")


@pytest.fixture
def issue(olivia):
    def issue(**overrides):
        return api_keys.issue(olivia, name="prod", **overrides)

    return issue


def jobs(queue_id, *, running=0, queued=0):
    AccountQueue.objects.update_or_create(pk=queue_id, defaults={"running": running, "queued": queued})


def quotas(standing):
    return {
        str(quota.kind): (quota.used, quota.limit, quota.level, quota.resets_at)
        for quota in standing.quotas
        if quota.kind in ("parallel", "queued")
    }


def test_each_key_of_an_account_shows_all_of_its_jobs_against_the_keys_own_limits(issue, olivia):
    jobs(f"a:{olivia.pk}", running=2, queued=170)
    jobs("a:0", running=3, queued=200)
    first, _ = issue()
    second, _ = issue(parallel_override=2, queued_override=None)
    assert quotas(standing_of_key(first)) == {
        "parallel": (2, 3, "ok", None),
        "queued": (170, 200, "near", None),
    }
    assert quotas(standing_of_key(second))["parallel"] == (2, 2, "full", None)
    assert standing_of_key(second).quotas[-2].source == "this key's override; the Free tier has 3"


def test_a_guest_shows_those_of_its_network(olivia):
    jobs("ip:192.0.2.1", running=1, queued=100)
    guest = of_network("192.0.2.1", Tier.objects.get(slug=Tier.ANONYMOUS))
    assert quotas(standing_of(guest)) == {"parallel": (1, 3, "ok", None), "queued": (100, 100, "full", None)}


@pytest.mark.parametrize(
    ("running", "queued", "title", "detail"),
    [
        (0, 0, "All clear.", "Every limit of this key has room."),
        (3, 0, "All clear.", "As many jobs run as may at once; what waits is next."),
        (3, 160, "Warned:", "the queue of jobs is almost full."),
        (3, 200, "Limit reached:", "the queue of jobs is full."),
    ],
)
def test_the_headline_minds_a_full_queue_and_not_that_jobs_run(issue, olivia, running, queued, title, detail):
    jobs(f"a:{olivia.pk}", running=running, queued=queued)
    key, _ = issue()
    headline = headline_of(key, standing_of_key(key))
    assert (headline.title, headline.detail) == (title, detail)


def test_programs_are_told(issue, olivia, capsys):
    jobs(f"a:{olivia.pk}", running=2, queued=7)
    key, text = issue()
    told = Client().get("/api/v1/usage", headers={"X-Api-Key": text}).json()["quotas"]
    assert told[-2:] == [
        {"kind": "parallel", "used": 2, "limit": 3, "left": 1, "resets_at": None},
        {"kind": "queued", "used": 7, "limit": 200, "left": 193, "resets_at": None},
    ]
    call_command("key_status", key.start)
    usage = json.loads(capsys.readouterr().out)["usage"]
    assert (usage["parallel"], usage["queued"]) == (2, 7)


def test_the_page_says_how_many_run_and_wait_and_that_places_come_back_by_themselves(issue, olivia):
    jobs(f"a:{olivia.pk}", running=3, queued=1200)
    issue(queued_override=2000)
    client = Client()
    client.force_login(olivia)
    page = " ".join(client.get("/").content.decode().split())
    assert "Jobs running" in page
    assert '<span class="kp-used">3</span> <span class="kp-limit">of 3</span>' in page
    assert "All running</span>" in page
    assert '<span class="kp-used">1,200</span> <span class="kp-limit">of 2,000</span>' in page
    assert "free again as jobs end" in page
    assert "A place is free the moment a job ends." in page


def test_while_the_limit_store_is_away_the_jobs_are_known(issue, olivia, monkeypatch):
    jobs(f"a:{olivia.pk}", running=1, queued=2)
    _, text = issue()
    monkeypatch.setattr(limit_store(), "url", "unix:///nowhere/valkey.sock")
    monkeypatch.setattr(limit_store(), "_threads", type(limit_store()._threads)())
    body = Client().get("/api/v1/usage", headers={"X-Api-Key": text}).json()
    assert body["live"] is False
    assert [quota["used"] for quota in body["quotas"]] == [None, None, None, 1, 2]
