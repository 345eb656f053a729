"""What is found and put right: jobs whose worker is gone, jobs that nobody was told of."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from images.models import Job
from images.queue import ends, recovering
from tests.images.calls import run_jobs, state, submit
from tests.images.conftest import kept_files
from tests.images.queue.conftest import numbers

pytestmark = pytest.mark.usefixtures("store")

A_MOMENT = timedelta(seconds=2)


def lose(job: Job) -> Job:
    """Start it, and let its worker say nothing for as long as makes it lost."""
    job = Job.objects.get(pk=job.pk)
    assert job.start()
    Job.objects.filter(pk=job.pk).update(seen_at=timezone.now() - recovering.LOST_AFTER - A_MOMENT)
    return job


def test_a_job_whose_worker_is_gone_runs_again_once(api, wakes, store):
    job = submit(api)
    store.delete("kpqueue:images")  # the message went with the worker
    lose(job)
    assert recovering.recover_jobs() == 0
    assert numbers(job) == (1, 0)
    assert recovering.recover_jobs() == 0
    assert wakes() == 1
    run_jobs()
    assert state(api, job)["status"] == "done"
    assert Job.objects.get(pk=job.pk).attempts == 2


def test_a_job_whose_worker_says_that_it_runs_is_left_alone(api):
    job = submit(api)
    lose(job)
    assert Job.objects.get(pk=job.pk).still_runs(40)
    assert recovering.recover_jobs() == 0
    assert state(api, job).items() >= {"status": "running", "progress": 40}.items()


def test_a_job_that_lost_two_workers_fails_and_whoever_waits_hears_it(api):
    job = submit(api)
    for _ in range(ends.MOST_DEATHS):
        lose(job)
        failed = recovering.recover_jobs()
    assert failed == 1
    assert state(api, job)["status"] == "failed"
    assert state(api, job)["error"]["detail"]
    assert numbers(job) == (0, 0)
    assert kept_files() == []


def test_a_job_that_nobody_takes_has_the_workers_told_again(api, wakes, store):
    for _ in range(3):
        submit(api)
    store.delete("kpqueue:images")  # a broker that lost its data
    recovering.recover_jobs()
    recovering.recover_jobs()
    assert wakes() == 3


def test_a_job_that_nobody_takes_for_a_day_fails(api):
    job = submit(api)
    with time_machine.travel(timezone.now() + recovering.IGNORED_AFTER - A_MOMENT):
        assert recovering.fail_ignored_jobs() == 0
    with time_machine.travel(timezone.now() + recovering.IGNORED_AFTER + A_MOMENT):
        assert recovering.fail_ignored_jobs() == 1
    assert state(api, job)["error"]["code"] == "queue.pool_saturated"
    assert numbers(job) == (0, 0)
