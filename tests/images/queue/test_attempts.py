"""What becomes of a job in a worker's hands."""

import pytest

from images.drawings import draw
from images.models import Download, Job
from images.queue import attempts, picking
from tests.images.calls import run_jobs, state, submit
from tests.images.conftest import kept_files
from tests.images.queue.conftest import numbers

pytestmark = pytest.mark.usefixtures("store")


def test_the_upload_is_gone_as_soon_as_the_job_has_ended(api):
    good, bad = submit(api), submit(api, b"some text")
    assert sorted(kept_files()) == sorted([good.source.name, bad.source.name])
    run_jobs()
    good.refresh_from_db()
    assert kept_files() == [good.result.name]
    assert not good.source
    assert numbers(good) == (0, 0)


def test_a_job_runs_once_however_many_look_for_work(api):
    job = submit(api)
    assert [attempts.work() for _ in range(3)] == [1, 0, 0]
    job.refresh_from_db()
    assert job.attempts == 1
    assert Download.objects.filter(job=job).count() == 1


def test_an_attempt_that_was_given_up_can_no_longer_end_the_job(api):
    job = submit(api)
    first = Job.objects.get(pk=job.pk)
    assert first.start()
    assert Job.objects.get(pk=job.pk).put_back(died=True)
    second = Job.objects.get(pk=job.pk)
    assert second.start()
    assert not first.fail("invalid_request", "late")
    assert not first.still_runs(50)
    assert numbers(job) == (0, 1)
    assert second.fail("image_too_large", "in time")
    assert state(api, job)["error"]["detail"] == "in time"
    assert numbers(job) == (0, 0)


def test_what_a_given_up_attempt_has_made_is_removed(api, monkeypatch):
    job = submit(api, draw(1, (30, 20), "png"))
    convert = attempts._convert

    def overtaken(source, made, job):
        outcome = convert(source, made, job)
        Job.objects.get(pk=job.pk).put_back(died=True)
        return outcome

    monkeypatch.setattr(attempts, "_convert", overtaken)
    attempts.attempt(picking.take())
    assert state(api, job)["status"] == "queued"
    assert kept_files() == [job.source.name]


def test_a_storage_that_fails_is_not_the_images_fault(api):
    job = submit(api)
    job.source.storage.delete(job.source.name)
    run_jobs()
    assert state(api, job)["error"]["code"] == "limits_unavailable"
