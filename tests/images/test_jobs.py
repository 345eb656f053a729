"""The life of a job where no worker is running: the tests run it themselves, whenever they like."""

import json
import socket
import threading
import time
from base64 import b64decode
from datetime import timedelta

import pytest
import time_machine
from celery.exceptions import TimeLimitExceeded
from celery.signals import task_failure
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from accounts.models import User
from images import attempts, cleaning, endings, tasks
from images.drawings import draw
from images.models import Download, Job
from koalapanel.celery import app
from tests.images.calls import convert, convert_short
from tests.images.conftest import kept_files

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def queue(store):
    """What has been handed to the workers, oldest first: job and attempt."""
    store.delete("kpqueue:celery")

    def messages():
        waiting = [json.loads(text) for text in reversed(store.lrange("kpqueue:celery", 0, -1))]
        return [tuple(json.loads(b64decode(message["body"]))[0]) for message in waiting]

    yield messages
    store.delete("kpqueue:celery")


def submit(client, content=None):
    """A queued job, by its row."""
    answer = convert(client, content or draw(1, (30, 20), "png"), **{"async": "true"})
    assert answer.status_code == 202, answer.content
    return Job.objects.get(pk=answer.json()["id"])


def state(client, job):
    return client.get(f"/api/v1/jobs/{job.pk}").json()


def test_async_answers_at_once_where_the_job_can_be_asked_for(api):
    answer = convert(api, draw(1, (30, 20), "png"), **{"async": "true"})
    assert answer.status_code == 202
    body = answer.json()
    assert (body["status"], body["progress"], body["download_url"]) == ("queued", 0, None)
    assert answer["Location"] == f"/api/v1/jobs/{body['id']}"
    assert api.get(answer["Location"]).json() == body
    attempts.run(body["id"], redelivered=False)
    later = api.get(answer["Location"]).json()
    assert (later["status"], later["progress"], later["error"]) == ("done", 100, None)
    assert api.get(later["download_url"]).status_code == 200


def test_a_job_that_outlasts_the_wait_is_answered_with_202(api, settings):
    settings.JOB_WAIT_SECONDS = 0.2
    answer = convert_short(api, draw(1, (30, 20), "png"))
    assert answer.status_code == 202
    assert answer["Location"] == f"/job/{answer.json()['id']}"
    assert api.get(answer["Location"]).json()["status"] == "queued"


def test_a_job_that_failed_says_why(api):
    job = submit(api, b"some text")
    attempts.run(job.pk, redelivered=False)
    later = state(api, job)
    assert (later["status"], later["download_url"]) == ("failed", None)
    assert later["error"].items() >= {"code": "unsupported_format", "field": "file"}.items()


def test_the_upload_is_gone_as_soon_as_the_job_has_ended(api):
    good, bad = submit(api), submit(api, b"some text")
    assert sorted(kept_files()) == sorted([good.source.name, bad.source.name])
    attempts.run(good.pk, redelivered=False)
    attempts.run(bad.pk, redelivered=False)
    good.refresh_from_db()
    assert kept_files() == [good.result.name]
    assert not good.source


def test_an_account_sees_its_jobs_with_each_of_its_keys(new_client):
    job = submit(new_client("olivia@example.com"))
    assert state(new_client("olivia@example.com"), job)["id"] == job.pk


def test_nobody_else_sees_a_job(new_client, api):
    job = submit(api)
    for stranger in (new_client("mallory@example.com"), Client(), Client(REMOTE_ADDR="192.0.2.7")):
        for path in (f"/api/v1/jobs/{job.pk}", f"/job/{job.pk}"):
            answer = stranger.get(path)
            assert answer.status_code == 404
            assert "not_found" in answer.content.decode()


def test_a_guest_sees_the_jobs_of_its_network_alone(api):
    job = submit(Client(REMOTE_ADDR="192.0.2.1"))
    assert job.owner is None
    assert Client(REMOTE_ADDR="192.0.2.1").get(f"/job/{job.pk}").status_code == 200
    assert Client(REMOTE_ADDR="192.0.2.2").get(f"/job/{job.pk}").status_code == 404
    assert api.get(f"/job/{job.pk}").status_code == 404


def test_a_job_is_run_once_however_often_it_is_told_to(api):
    job = submit(api)
    for _ in range(3):
        attempts.run(job.pk, redelivered=False)
    job.refresh_from_db()
    assert job.attempts == 1
    assert Download.objects.filter(job=job).count() == 1


def test_a_job_whose_worker_died_is_tried_once_more_then_refused(api, queue):
    job = submit(api)
    assert job.start()  # and dies
    attempts.run(job.pk, redelivered=False)  # not this worker's: the first may be alive
    assert state(api, job)["status"] == "running"
    attempts.run(job.pk, redelivered=True)
    assert queue() == [(job.pk, 0), (job.pk, 1)]
    attempts.run(job.pk, 1, redelivered=False)
    assert state(api, job)["status"] == "done"

    fatal = submit(api)
    for attempt in (0, 1):
        assert fatal.start()
        attempts.run(fatal.pk, attempt, redelivered=True)
        fatal.refresh_from_db()
    assert state(api, fatal)["error"]["code"] == "image_too_large"


def test_a_late_message_of_an_earlier_attempt_starts_nothing(api):
    job = submit(api)
    job.start()
    assert attempts.hand_out_again(job)
    for redelivered in (False, True):
        attempts.run(job.pk, 0, redelivered=redelivered)
        assert state(api, job)["status"] == "queued"
    job.refresh_from_db()
    job.start()  # the second worker is at it
    for redelivered in (False, True):
        attempts.run(job.pk, 0, redelivered=redelivered)
    assert state(api, job)["status"] == "running"
    assert Job.objects.get(pk=job.pk).attempts == 2


def test_an_attempt_that_was_given_up_can_no_longer_end_the_job(api):
    job = submit(api)
    first = Job.objects.get(pk=job.pk)
    assert first.start()
    second = Job.objects.get(pk=job.pk)
    assert second.start()
    assert not first.fail("invalid_request", "late")
    assert second.fail("image_too_large", "in time")
    assert state(api, job)["error"]["detail"] == "in time"


def test_a_job_that_was_removed_is_no_error(store):
    attempts.run("job_gone", redelivered=False)


def test_a_job_whose_worker_is_gone_is_handed_out_again(api, queue):
    job = submit(api)
    job.start()
    with time_machine.travel(timezone.now() + cleaning.LOST_AFTER - timedelta(seconds=5)):
        assert cleaning.recover_lost_jobs() == 0
    with time_machine.travel(timezone.now() + cleaning.LOST_AFTER + timedelta(seconds=5)):
        assert cleaning.recover_lost_jobs() == 0
        assert cleaning.recover_lost_jobs() == 0
    assert queue() == [(job.pk, 0), (job.pk, 1)]
    attempts.run(job.pk, 1, redelivered=False)
    assert state(api, job)["status"] == "done"


def test_a_job_whose_workers_are_all_gone_fails_and_blames_nobody_else(api):
    job = submit(api)
    for _ in range(attempts.MAX_ATTEMPTS):
        job.start()
    with time_machine.travel(timezone.now() + cleaning.LOST_AFTER + timedelta(seconds=5)):
        assert cleaning.recover_lost_jobs() == 1
    assert state(api, job)["error"]["code"] == "limits_unavailable"
    assert kept_files() == []
    assert endings.wait(job.pk, 1)


def test_a_job_that_nobody_takes_is_handed_out_again_now_and_then(api, queue):
    job = submit(api)
    with time_machine.travel(timezone.now() + cleaning.OVERLOOKED_AFTER - timedelta(seconds=5)):
        cleaning.recover_lost_jobs()
    assert queue() == [(job.pk, 0)]
    with time_machine.travel(timezone.now() + cleaning.OVERLOOKED_AFTER + timedelta(seconds=5)):
        cleaning.recover_lost_jobs()
        cleaning.recover_lost_jobs()
    assert queue() == [(job.pk, 0)] * 2
    with time_machine.travel(timezone.now() + 2 * cleaning.OVERLOOKED_AFTER + timedelta(seconds=10)):
        cleaning.recover_lost_jobs()
    assert queue() == [(job.pk, 0)] * 3
    for _ in range(3):
        attempts.run(job.pk, 0, redelivered=False)
    assert Job.objects.get(pk=job.pk).attempts == 1


def test_a_job_that_nobody_takes_fails_in_the_end(api):
    job = submit(api)
    with time_machine.travel(timezone.now() + cleaning.IGNORED_AFTER + timedelta(seconds=5)):
        assert cleaning.recover_lost_jobs() == 1
    assert state(api, job)["error"]["code"] == "queue.pool_saturated"


def test_the_queue_takes_a_message_back_only_from_a_worker_that_is_surely_gone(settings):
    taken_back = timedelta(seconds=settings.CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"])
    assert timedelta(seconds=attempts.HARD_LIMIT) < cleaning.LOST_AFTER < taken_back
    assert taken_back < timedelta(minutes=5)


def test_an_attempt_that_the_hard_limit_ended_took_too_long(api):
    job = submit(api)
    job.start()
    ended = {"task_id": "x", "args": [job.pk, 0], "kwargs": {}, "traceback": None, "einfo": None}
    task_failure.send(tasks.convert_image, exception=OSError(), **ended)
    assert state(api, job)["status"] == "running"
    task_failure.send(tasks.convert_image, exception=TimeLimitExceeded(attempts.HARD_LIMIT), **ended)
    assert state(api, job)["error"]["code"] == "image_too_large"
    assert "120 seconds" in state(api, job)["error"]["detail"]


def test_what_is_over_is_removed(api):
    job, waiting = submit(api), submit(api)
    attempts.run(job.pk, redelivered=False)
    assert cleaning.remove_what_is_over() == 0
    with time_machine.travel(timezone.now() + timedelta(hours=2, minutes=1)):
        assert cleaning.remove_what_is_over() == 1
        assert kept_files() == [waiting.source.name]
        assert state(api, job).items() >= {"status": "done", "download_url": None}.items()
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        assert cleaning.remove_what_is_over() == 1
    assert list(Job.objects.all()) == [waiting]


def test_files_go_with_the_account(new_client):
    api = new_client("leaving@example.com")
    job = submit(api)
    attempts.run(job.pk, redelivered=False)
    submit(api)
    assert len(kept_files()) == 2
    User.objects.get(email="leaving@example.com").delete()
    assert kept_files() == []


def test_a_storage_that_fails_is_not_the_images_fault(api, settings):
    job = submit(api)
    job.source.storage.delete(job.source.name)
    attempts.run(job.pk, redelivered=False)
    assert state(api, job)["error"]["code"] == "limits_unavailable"


@pytest.fixture(params=["refuses", "is silent"])
def _no_queue(request, tmp_path, monkeypatch):
    """The broker is away; the limit store is not, or the guard would refuse first."""
    path = tmp_path / "broker.sock"
    with socket.socket(socket.AF_UNIX) as broker:
        broker.bind(str(path))
        if request.param == "is silent":  # takes connections, and never answers
            broker.listen(64)
        monkeypatch.setattr(app.conf, "broker_write_url", f"redis+socket://{path}")
        yield


@pytest.mark.usefixtures("_no_queue")
def test_without_the_queue_a_job_is_refused_soon_and_leaves_nothing_behind(api):
    before = time.monotonic()
    answer = convert(api, draw(1, (30, 20), "png"))
    assert time.monotonic() - before < 2  # it takes 0.5 s; the rest is for a busy machine
    assert answer.status_code == 503
    assert answer.json()["code"] == "limits_unavailable"
    assert answer["Retry-After"] == str(answer.json()["retry_after"])
    assert not Job.objects.exists()
    assert kept_files() == []


@pytest.mark.parametrize("path", ["/api/v1/jobs/job_AAAAAAAAAAAAAAAAAAAAAA", "/api/v1/usage"])
def test_without_the_database_an_answer_is_a_503_in_the_clients_dialect(api, path):
    assert api.get(path).status_code in (200, 404)  # whose it is, is known from here on

    def gone(execute, sql, params, many, context):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(gone):
        answer = api.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert answer["Retry-After"] == "2"


class TestTheEnd:
    def test_is_heard_by_who_comes_later(self):
        endings.tell("job_early")
        assert endings.wait("job_early", 5)

    def test_is_heard_by_who_waits(self):
        heard = []
        waiting = threading.Thread(target=lambda: heard.append(endings.wait("job_late", 20)))
        waiting.start()
        endings.tell("job_late")
        waiting.join(20)
        assert heard == [True]

    def test_may_take_longer_than_a_socket_is_patient(self, caplog, settings):
        silence = settings.CACHES["default"]["OPTIONS"]["SOCKET_TIMEOUT"]
        late = threading.Timer(silence + 0.3, endings.tell, ["job_slow"])
        late.start()
        assert endings.wait("job_slow", 30)
        assert not caplog.records

    def test_leaves_nothing_in_the_store_for_ever(self, store):
        endings.tell("job_unheard")
        assert 0 < store.ttl("kpjob:job_unheard:done") <= 60
