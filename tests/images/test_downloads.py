"""Downloads: who has the address has the file, ten times, for an hour, and nothing else by it."""

import threading
from collections import Counter
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core.files.storage import FileSystemStorage
from django.db import connection
from django.test import Client
from django.utils import timezone

from images import downloads
from images.models import Download
from images.queue.cleaning import remove_what_is_over
from tests.images.calls import run_jobs, submit
from tests.images.conftest import kept_files

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


def test_looking_at_the_headers_takes_no_use(address, job_id):
    url = address()
    looked, got = Client().head(url), Client().get(url)
    length = len(got.getvalue())
    assert looked.status_code == 200
    assert looked.content == b""
    assert looked["Content-Length"] == got["Content-Length"] == str(length)
    for name in ("Content-Type", "Content-Disposition", "Cache-Control", "Accept-Ranges"):
        assert looked[name] == got[name]
    assert Download.objects.get().uses_left == 9


def test_part_of_a_file_is_not_to_be_had(address):
    answer = Client().get(address(), headers={"Range": "bytes=0-3"})
    assert answer.status_code == 200
    assert len(answer.getvalue()) == int(answer["Content-Length"]) > 4
    assert answer["Accept-Ranges"] == "none"


def test_ten_downloads_and_no_more(address, api, job_id):
    url = address()
    assert [fetch(url)[0] for _ in range(10)] == [200] * 10
    assert fetch(url) == (410, "token_exhausted")
    assert address() is None


def test_of_many_at_once_ten_get_the_file(address):
    url, answers, start = address(), [], threading.Barrier(40)

    def download(number):
        start.wait()
        # Four addresses, each with less than its 30 a minute.
        answer = Client(REMOTE_ADDR=f"192.0.2.{number % 4}").get(url)
        answers.append((answer.status_code, answer.getvalue() if answer.streaming else answer.json()["code"]))
        answer.close()
        connection.close()

    threads = [threading.Thread(target=download, args=[number]) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    served = {body for status, body in answers if status == 200}
    assert Counter(status for status, _ in answers) == {200: 10, 410: 30}
    assert len(served) == 1
    assert next(iter(served)).startswith(b"RIFF")
    assert Download.objects.get().uses_left == 0


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


def test_a_storage_that_fails_charges_nothing(address, monkeypatch, caplog):
    url = address()

    def fail(*args):
        raise PermissionError("no")

    monkeypatch.setattr(FileSystemStorage, "_open", fail)
    assert fetch(url) == (503, "limits_unavailable")
    assert "A file can't be kept or fetched: no" in caplog.text
    assert url.split("?")[0].rpartition("/")[2] not in caplog.text  # nor in what Django says of a 503
    assert Download.objects.get().uses_left == 10


def test_the_file_goes_a_minute_after_the_last_use(address):
    Download.objects.update(uses_left=1)
    assert fetch(address()) == (200, None)
    remove_what_is_over()  # whom nginx or a bucket serves may have only begun
    assert kept_files()
    with time_machine.travel(timezone.now() + timedelta(seconds=61)):
        remove_what_is_over()
    assert kept_files() == []


def test_the_file_goes_when_its_token_is_too_old(address):
    with time_machine.travel(timezone.now() + timedelta(minutes=119)):
        fetch(address())
        remove_what_is_over()
        assert kept_files()
    with time_machine.travel(timezone.now() + timedelta(minutes=121)):
        remove_what_is_over()
    assert kept_files() == []


def test_thirty_downloads_a_minute_from_one_address(address):
    url = address()
    Download.objects.update(uses_left=100)
    with time_machine.travel(timezone.now(), tick=False):
        assert [fetch(url)[0] for _ in range(30)] == [200] * 30
        assert fetch(url) == (429, "rate_limited")
        assert Client().head(url).status_code == 429
        assert Client(REMOTE_ADDR="192.0.2.9").get(url).status_code == 200
    assert Download.objects.get().uses_left == 69
