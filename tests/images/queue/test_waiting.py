"""A request that waits for its job to end."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from images.drawings import draw
from images.queue import endings, ends
from tests.images.calls import convert_short, submit

pytestmark = pytest.mark.usefixtures("store")


def test_a_job_that_outlasts_the_wait_is_answered_with_202(api, settings):
    settings.JOB_WAIT_SECONDS = 0.2
    answer = convert_short(api, draw(1, (30, 20), "png"))
    assert answer.status_code == 202
    assert answer["Location"] == f"/job/{answer.json()['id']}"
    assert api.get(answer["Location"]).json()["status"] == "queued"


def test_the_end_is_heard_by_who_comes_later():
    endings.tell("job_early")
    assert endings.wait("job_early", 5)


def test_the_end_is_heard_by_who_waits():
    heard = []
    waiting = threading.Thread(target=lambda: heard.append(endings.wait("job_late", 20)))
    waiting.start()
    endings.tell("job_late")
    waiting.join(20)
    assert heard == [True]


def test_the_end_may_take_longer_than_a_socket_is_patient(caplog, settings):
    silence = settings.CACHES["default"]["OPTIONS"]["SOCKET_TIMEOUT"]
    late = threading.Timer(silence + 0.3, endings.tell, ["job_slow"])
    late.start()
    assert endings.wait("job_slow", 30)
    assert not caplog.records


def test_an_end_that_nobody_hears_leaves_nothing_in_the_store_for_ever(store):
    endings.tell("job_unheard")
    assert 0 < store.ttl("kpjob:job_unheard:done") <= 60


@pytest.mark.parametrize(
    "end", [lambda job: ends.cancel(job), lambda job: ends.fail(job, ends.OUR_FAULT)], ids=["cancel", "fail"]
)
def test_every_end_is_told(api, end):
    job = submit(api)
    assert end(job)
    assert endings.wait(job.pk, 1)


def test_half_of_the_web_threads_wait_at_most_so_that_the_others_serve(settings):
    settings.WEB_THREADS = 6
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(endings.wait, f"job_{number}", 20) for number in range(3)]
        while endings._waiting._count < 3:
            time.sleep(0.01)
        before = time.monotonic()
        assert not endings.wait("job_late", 20)
        assert time.monotonic() - before < 1
        for number in range(3):
            endings.tell(f"job_{number}")
        assert [one.result() for one in waiting] == [True] * 3
    endings.tell("job_late")
    assert endings.wait("job_late", 20)


def test_a_request_that_may_not_wait_is_answered_with_202_at_once(api, settings):
    settings.WEB_THREADS, settings.JOB_WAIT_SECONDS = 1, 20
    before = time.monotonic()
    assert convert_short(api, draw(1, (30, 20), "png")).status_code == 202
    assert time.monotonic() - before < 2
