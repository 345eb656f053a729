"""A job that its client doesn't want any more."""

import pytest

from images.models import Download, Job
from images.queue import attempts, ends
from tests.images.calls import run_jobs, state, submit
from tests.images.conftest import kept_files
from tests.images.queue.conftest import numbers

pytestmark = pytest.mark.usefixtures("store")


def test_a_job_that_waits_is_never_started(api):
    job = submit(api)
    assert ends.cancel(job)
    assert not attempts.work()
    assert state(api, job)["status"] == "cancelled"
    assert numbers(job) == (0, 0)
    assert kept_files() == []


def test_what_a_running_job_makes_is_dropped(api, monkeypatch):
    job = submit(api)
    convert = attempts._convert

    def overtaken(source, made, job):
        outcome = convert(source, made, job)
        assert ends.cancel(Job.objects.get(pk=job.pk))
        return outcome

    monkeypatch.setattr(attempts, "_convert", overtaken)
    run_jobs()
    assert state(api, job)["status"] == "cancelled"
    assert not Download.objects.exists()
    assert numbers(job) == (0, 0)
    assert kept_files() == []


def test_a_job_that_has_ended_is_as_it_was(api):
    job = submit(api)
    run_jobs()
    assert not ends.cancel(job)  # as it was read
    assert not ends.cancel(Job.objects.get(pk=job.pk))
    assert state(api, job)["status"] == "done"


def test_a_job_that_is_removed_meanwhile_is_told_to_be_gone(api, monkeypatch):
    job = submit(api)
    monkeypatch.setattr(ends, "cancel", lambda job: not job.delete())
    answer = api.delete(f"/api/v1/jobs/{job.pk}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
