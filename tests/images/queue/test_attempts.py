"""What becomes of a job in a worker's hands."""

import pytest
from django.db import OperationalError

from images.drawings import draw
from images.models import Download, Job
from images.pictures import box
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


@pytest.fixture
def box_that(monkeypatch):
    """Puts something else where pictures are converted; gives the box's own way back after so many times."""
    ours = box.convert

    def put(does, times=1):
        left = [does] * times

        def convert(*files, going_on, **more):
            if not left:
                return ours(*files, going_on=going_on, **more)
            return left.pop()(going_on)

        monkeypatch.setattr(attempts, "HEARTBEAT_SECONDS", 0)
        monkeypatch.setattr(box, "convert", convert)

    return put


def dies(going_on):
    raise box.Killed(9)


def is_asked(going_on):
    assert not going_on(40)
    raise box.Stopped


def test_a_running_job_tells_how_far_it_is_and_that_its_worker_lives(api, box_that):
    job = submit(api)

    def convert(going_on):
        Job.objects.update(seen_at=None)
        assert going_on(40)
        assert state(api, job).items() >= {"status": "running", "progress": 40}.items()
        assert Job.objects.get().seen_at
        raise attempts.ODD

    box_that(convert)
    run_jobs()
    assert state(api, job)["status"] == "failed"


def test_a_worker_is_told_to_stop_a_job_that_was_cancelled_or_given_up(api, box_that):
    for end in (Job.cancel, lambda job: job.fail("invalid_request", "late")):
        job = submit(api)
        box_that(lambda going_on, end=end: (end(Job.objects.get(status="running")), is_asked(going_on)))
        run_jobs()
        assert state(api, job)["status"] in ("cancelled", "failed")
        assert numbers(job) == (0, 0)


def test_a_database_that_is_away_for_a_moment_stops_no_job(api, box_that, monkeypatch):
    job = submit(api)

    def convert(going_on):
        with monkeypatch.context() as away:
            away.setattr(Job, "still_runs", lambda *_: (_ for _ in ()).throw(OperationalError("away")))
            assert going_on(40)
        assert going_on(50)
        raise attempts.ODD

    box_that(convert)
    run_jobs()
    assert state(api, job)["error"]["detail"] == attempts.ODD.detail


def test_a_job_whose_box_dies_runs_once_more(api, box_that):
    job = submit(api)
    box_that(dies)
    run_jobs()
    assert state(api, job)["status"] == "done"
    job.refresh_from_db()
    assert (job.attempts, job.deaths) == (2, 1)


def test_a_job_whose_box_dies_twice_fails_and_says_why(api, box_that):
    job = submit(api)
    box_that(dies, times=2)
    run_jobs()
    assert (
        state(api, job)["error"].items()
        >= {"code": "invalid_request", "detail": attempts.DEADLY.detail}.items()
    )
    assert numbers(job) == (0, 0)
    assert kept_files() == []


def test_a_worker_that_is_told_to_stop_gives_its_job_back_and_takes_no_more(
    api, box_that, wakes, monkeypatch
):
    job, other = submit(api), submit(api)
    stopping = attempts._stopping
    box_that(lambda going_on: (attempts.stop(), is_asked(going_on)))
    before = wakes()
    try:
        assert attempts.work() == 1
    finally:
        stopping.clear()
    assert wakes() == before + 1
    assert [state(api, one)["status"] for one in (job, other)] == ["queued"] * 2
    assert numbers(job) == (2, 0)
    run_jobs()  # another worker
    job.refresh_from_db()
    assert (job.status, job.attempts, job.deaths) == ("done", 2, 0)


def test_whatever_goes_wrong_on_our_side_the_job_has_an_end(api, monkeypatch, box_that):
    job = submit(api)
    box_that(lambda going_on: {}["a bug"])
    run_jobs()
    assert state(api, job)["error"]["code"] == "limits_unavailable"


def test_a_success_that_cannot_be_booked_is_none(api, monkeypatch):
    job = submit(api)
    monkeypatch.setattr("images.downloads.grant", lambda job: {}["a bug"])
    run_jobs()
    assert state(api, job).items() >= {"status": "failed", "output": None}.items()
    assert numbers(job) == (0, 0)
