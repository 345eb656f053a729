"""What is removed once nobody can ask for it any more."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from images.models import Job
from images.queue import cleaning
from tests.images.calls import run_jobs, state, submit
from tests.images.conftest import kept_files

pytestmark = pytest.mark.usefixtures("store")


def test_what_is_over_is_removed(api):
    job = submit(api)
    run_jobs()
    waiting = submit(api)
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
    submit(api)
    run_jobs()
    submit(api)
    assert len(kept_files()) == 2
    User.objects.get(email="leaving@example.com").delete()
    assert kept_files() == []
