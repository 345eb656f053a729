"""Downloads: who has the address has the file, ten times, for an hour, and nothing else by it."""

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from images import downloads
from images.models import Download
from tests.images.calls import run_jobs, submit

pytestmark = pytest.mark.usefixtures("store")


@pytest.fixture
def job_id(api):
    job = submit(api)
    run_jobs()
    return job.pk


@pytest.fixture
def address(api, job_id):
    return lambda: api.get(f"/api/v1/jobs/{job_id}").json()["download_url"]


def fetch(url):
    """The status and the code of the refusal, if it is one."""
    answer = Client().get(url)
    if answer.streaming:
        assert b"".join(answer.streaming_content)
        answer.close()
        return answer.status_code, None
    return answer.status_code, answer.json()["code"]


def test_the_address_is_the_servers_own_and_needs_no_key(address, settings):
    settings.BASE_URL = "https://koala.example"
    url = address()
    assert url.startswith("https://koala.example/api/v1/downloads/")
    assert parse_qs(urlsplit(url).query).keys() == {"expires", "signature"}
    assert fetch(url.removeprefix("https://koala.example")) == (200, None)


def test_a_browser_can_do_nothing_with_the_file_but_keep_it(address, job_id):
    answer = Client().get(address())
    assert answer["Content-Type"] == "image/webp"
    assert answer["Content-Disposition"] == f'attachment; filename="{job_id}.webp"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["Cache-Control"] == "no-store"


def test_ten_downloads_and_no_more(address, api, job_id):
    url = address()
    assert [fetch(url)[0] for _ in range(10)] == [200] * 10
    assert fetch(url) == (410, "token_exhausted")
    assert address() is None


def test_the_last_use_is_given_out_once(job_id):
    Download.objects.update(uses_left=3)
    download, taken = Download.objects.get(), []

    def take():
        from django.db import connection

        taken.append(download.use())
        connection.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 3


def test_an_address_lives_an_hour_and_the_job_gives_a_fresh_one(address):
    url = address()
    with time_machine.travel(timezone.now() + timedelta(minutes=59)):
        assert fetch(url) == (200, None)
    with time_machine.travel(timezone.now() + timedelta(minutes=61)):
        assert fetch(url) == (410, "token_exhausted")
        fresh = address()
        assert fresh != url
        assert urlsplit(fresh).path == urlsplit(url).path
        assert fetch(fresh) == (200, None)


def test_a_token_lives_two_hours_and_no_address_outlives_it(address):
    with time_machine.travel(timezone.now() + timedelta(minutes=110)):
        url = address()
        assert (
            int(parse_qs(urlsplit(url).query)["expires"][0]) <= Download.objects.get().expires_at.timestamp()
        )
    with time_machine.travel(timezone.now() + timedelta(minutes=121)):
        assert fetch(url) == (410, "token_exhausted")
        assert address() is None


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("expires=", "expires=9"),
        lambda url: url[:-1] + ("0" if url[-1] != "0" else "1"),
        lambda url: url.partition("?")[0],
        lambda url: url.partition("&")[0],
        lambda url: url.replace("/downloads/", "/downloads/x"),
        lambda url: url.replace("expires=", "expires=%00"),
        lambda url: url.replace("expires=", "expires=" + "9" * 10_000),
        lambda url: url.replace("/downloads/", "/downloads/%00"),
        lambda url: url.replace("signature=", "signature=%00"),
        lambda url: url + "%C3%A9",
        lambda url: url.replace("expires=", "expires=-"),
    ],
)
def test_a_changed_address_is_nothing(address, change):
    assert fetch(change(address())) == (404, "not_found")


@pytest.mark.parametrize("expires", ["9" * 10_000, "1e3", "", "-1"])
def test_even_a_signed_address_is_nothing_without_a_time(address, expires):
    token = urlsplit(address()).path.rpartition("/")[2]
    signature = downloads._signature(token, expires)
    assert fetch(f"/api/v1/downloads/{token}?expires={expires}&signature={signature}") == (404, "not_found")


def test_only_a_hash_of_the_token_is_stored(address):
    token = urlsplit(address()).path.rpartition("/")[2]
    row = Download.objects.values().get()
    assert token not in str(row)
    assert len(row["token_hash"]) == 64


def test_a_token_whose_file_was_removed_early_is_exhausted_and_charges_nothing(address, job_id):
    url = address()
    download = Download.objects.get()
    download.job.result.storage.delete(download.job.result.name)
    assert fetch(url) == (410, "token_exhausted")
    assert Download.objects.get().uses_left == 10
