"""Numbers that went wrong, queues that nobody needs, files that nobody knows: put right by themselves."""

import os
from datetime import timedelta

import pytest
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone

from accounts.models import User
from images.models import AccountQueue, Job
from images.queue import cleaning, ends, mending, orphans
from tests.admin_pages import delete_page
from tests.images.calls import make_job, run_jobs, submit
from tests.images.conftest import kept_files
from tests.images.queue.conftest import numbers

pytestmark = pytest.mark.usefixtures("store")


def test_numbers_that_differ_from_the_jobs_are_set_right_and_that_is_logged(db, caplog):
    right, wrong, forgotten = (User.objects.create_user(f"{name}@example.com") for name in ("a", "b", "c"))
    for owner in (right, wrong, forgotten):
        jobs = [make_job(owner, status) for status in ("queued", "queued", "running", "done", "failed")]
    AccountQueue.objects.filter(pk=f"a:{wrong.pk}").update(queued=17, running=0)
    AccountQueue.objects.filter(pk=f"a:{forgotten.pk}").update(queued=0, running=0)
    empty = AccountQueue.objects.create(pk="ip:192.0.2.1/32", queued=3)
    assert mending.mend_numbers() == 3
    assert numbers(jobs[0]) == (2, 1)
    assert {(queue.queued, queue.running) for queue in AccountQueue.objects.exclude(pk=empty.pk)} == {(2, 1)}
    assert AccountQueue.objects.get(pk=empty.pk).queued == 0
    assert len(caplog.records) == 3
    assert mending.mend_numbers() == 0


def test_a_job_that_moves_between_the_two_looks_is_no_reason_to_mend(api, monkeypatch):
    job = submit(api)
    written = mending._written
    monkeypatch.setattr(mending, "_written", lambda: (job.start(), written())[1])
    assert mending.mend_numbers() == 0
    assert numbers(job) == (0, 1)


def test_a_queue_goes_when_its_last_job_is_removed_and_is_made_anew_when_needed():
    guest = Client(REMOTE_ADDR="192.0.2.1")
    job = submit(guest)
    mending.remove_idle_queues()
    assert numbers(job) == (1, 0)
    run_jobs()
    mending.remove_idle_queues()
    assert numbers(job) == (0, 0)
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        cleaning.remove_what_is_over()
        assert mending.remove_idle_queues() == 1
        assert not AccountQueue.objects.exists()
    assert numbers(submit(guest)) == (1, 0)


def test_a_job_that_staff_delete_is_counted_no_more(api, client):
    client.force_login(User.objects.create_superuser("root@example.com", "correct horse battery"))
    waiting, running, done = (submit(api) for _ in range(3))
    assert ends.cancel(done)
    assert running.start()
    for job, left in ((waiting, (0, 1)), (running, (0, 0)), (done, (0, 0))):
        assert client.post(delete_page(job), {"post": "yes"}).status_code == 302
        assert numbers(job) == left
    assert not Job.objects.exists()
    assert kept_files() == []


def test_a_job_that_moved_since_it_was_read_is_uncounted_as_what_it_is(api):
    job = submit(api)
    assert Job.objects.get(pk=job.pk).start()
    job.delete()
    assert numbers(job) == (0, 0)


def test_a_file_that_no_job_knows_is_removed_once_it_is_not_young(api):
    done = submit(api)
    run_jobs()
    done.refresh_from_db()
    waiting = submit(api)
    for name in ("in/job_killed", f"out/{done.pk}-7", "out/nonsense"):
        default_storage.save(name, ContentFile(b"left"))
    assert orphans.remove_orphans() == 0
    for name in kept_files():
        past = (timezone.now() - orphans.YOUNG - timedelta(minutes=1)).timestamp()
        os.utime(default_storage.path(name), (past, past))
    assert orphans.remove_orphans() == 3
    assert sorted(kept_files()) == sorted([waiting.source.name, done.result.name])
