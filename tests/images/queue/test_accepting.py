"""Into the queue, or refused: whole, with its reason, and leaving nothing behind."""

import socket
import time

import pytest
from django.test import Client

from accounts.models import Tier, User
from images.drawings import draw
from images.models import Job
from images.models.account_queue import AccountQueueQuerySet
from koalapanel.celery import app
from tests.images.calls import convert, convert_short, run_jobs, submit
from tests.images.conftest import kept_files
from tests.images.queue.conftest import numbers

pytestmark = pytest.mark.usefixtures("store")

REFUSED = "Too many queued jobs. Wait for existing jobs to complete."
SATURATED = "Worker pool is at capacity. Try again shortly."


def set_limits(**limits: int) -> None:
    Tier.objects.filter(slug="boundless").update(**limits)


def test_a_job_is_counted_while_it_waits_while_it_runs_and_not_after(api):
    job = submit(api)
    assert numbers(job) == (1, 0)
    assert job.start()
    assert numbers(job) == (0, 1)
    assert job.fail("invalid_request", "")
    assert numbers(job) == (0, 0)


def test_a_full_queue_refuses_the_next_in_both_dialects_and_keeps_nothing_of_it(new_client):
    first = new_client()
    set_limits(queued=2)
    kept = [submit(first).source.name, submit(first).source.name]
    other_key = new_client()  # of the same account
    answer = convert(other_key, draw(1, (30, 20), "png"))
    assert answer.status_code == 429
    assert answer.json().items() >= {"code": "queue.limit_exceeded", "detail": REFUSED}.items()
    assert int(answer["Retry-After"]) >= 1
    answer = convert_short(other_key, draw(1, (30, 20), "png"))
    assert answer.json() == {"error": "queue.limit_exceeded", "detail": REFUSED}
    assert sorted(kept_files()) == sorted(kept)
    assert Job.objects.count() == 2
    run_jobs()
    submit(other_key)


def test_the_limits_of_a_guest_are_its_networks():
    Tier.objects.filter(slug=Tier.ANONYMOUS).update(queued=1)
    submit(Client(REMOTE_ADDR="192.0.2.1"))
    assert convert(Client(REMOTE_ADDR="192.0.2.1"), draw(1, (30, 20), "png")).status_code == 429
    submit(Client(REMOTE_ADDR="192.0.2.2"))


def test_a_full_pool_refuses_everybody_in_both_dialects(api, new_client, settings):
    settings.POOL_QUEUE_LIMIT = 2
    for email in ("ada@example.com", "carla@example.com"):
        submit(new_client(email))
    answer = convert(api, draw(1, (30, 20), "png"))
    assert answer.status_code == 429
    assert answer.json().items() >= {"code": "queue.pool_saturated", "detail": SATURATED}.items()
    assert int(answer["Retry-After"]) >= 1
    answer = convert_short(api, draw(1, (30, 20), "png"))
    assert answer.json() == {"error": "queue.pool_saturated", "detail": SATURATED}
    assert Job.objects.count() == len(kept_files()) == 2


def test_an_account_that_was_deleted_this_moment_is_asked_to_look_again(api, monkeypatch):
    locked_or_made = AccountQueueQuerySet.locked_or_made

    def overtaken(self, queue_id):
        queue = locked_or_made(self, queue_id)
        User.objects.filter(email="olivia@example.com").delete()
        return queue

    monkeypatch.setattr(AccountQueueQuerySet, "locked_or_made", overtaken)
    answer = convert(api, draw(1, (30, 20), "png"))
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert int(answer["Retry-After"]) >= 1
    assert not Job.objects.exists()
    assert kept_files() == []


@pytest.fixture(params=["refuses", "is silent"])
def _no_broker(request, tmp_path, monkeypatch):
    """The broker is away; the limit store is not, or the guard would refuse first."""
    path = tmp_path / "broker.sock"
    with socket.socket(socket.AF_UNIX) as broker:
        broker.bind(str(path))
        if request.param == "is silent":  # takes connections, and never answers
            broker.listen(64)
        monkeypatch.setattr(app.conf, "broker_write_url", f"redis+socket://{path}")
        yield


@pytest.mark.usefixtures("_no_broker")
def test_without_the_broker_a_job_is_accepted_all_the_same(api, settings):
    settings.JOB_WAIT_SECONDS = 0.2
    before = time.monotonic()
    answer = convert(api, draw(1, (30, 20), "png"))
    assert time.monotonic() - before < 2  # it takes 0.5 s; the rest is for a busy machine
    assert answer.status_code == 202
    run_jobs()  # as beat's next look has it done
    assert api.get(answer["Location"]).json()["status"] == "done"
