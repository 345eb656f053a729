"""Uploads and results in a bucket: asked over HTTP of a server that speaks S3, and handed out by it."""

import socket
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
import time_machine
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from moto.server import ThreadedMotoServer

from images import downloads
from images.bucket import StorageFailed
from images.drawings import draw
from images.models import Download, Job
from images.queue.cleaning import remove_what_is_over
from koalapanel.s3_url import s3_options
from tests.images.calls import convert, make_job, run_jobs, state, submit

pytestmark = pytest.mark.once

NAME = "koala-files"


@pytest.fixture(scope="module")
def s3():
    """The address of the server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def kept_in(settings, monkeypatch):
    """Has uploads and results kept in the bucket that an address names."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "koala")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "eucalyptus")

    def keep(url):
        settings.S3_URL = url
        settings.STORAGES = {
            **settings.STORAGES,
            "default": {"BACKEND": "images.bucket.Bucket", "OPTIONS": s3_options(url)},
        }

    return keep


@pytest.fixture
def bucket(s3, kept_in):
    """The bucket, empty, as S3 itself tells of it; what is kept there begins with `panel/`."""
    kept_in(f"s3://{NAME}/panel?endpoint_url={s3}&region_name=eu-west-1")
    made = boto3.resource("s3", endpoint_url=s3, region_name="eu-west-1").Bucket(NAME)
    made.create(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield made
    made.objects.delete()
    made.delete()


def keys(bucket):
    return [found.key for found in bucket.objects.all()]


@pytest.mark.usefixtures("store")
class TestAJob:
    def test_goes_through_the_bucket_and_is_removed_when_its_download_is_over(self, api, bucket):
        job = submit(api, draw(1, (1000, 900), "bmp"))  # 2.7 MB: to the worker by way of a temporary file
        assert keys(bucket) == [f"panel/in/{job.pk}"]
        run_jobs()
        assert keys(bucket) == [f"panel/out/{job.pk}-1"]

        Download.objects.update(uses_left=1)
        answer = Client().get(state(api, job)["download_url"])
        remove_what_is_over()
        file = requests.get(answer["Location"], timeout=5)  # the file waits for who follows the last address
        assert file.content.startswith(b"RIFF")
        with time_machine.travel(timezone.now() + timedelta(seconds=61)):
            remove_what_is_over()
        assert keys(bucket) == []

    def test_that_fails_leaves_nothing_in_the_bucket(self, api, bucket):
        job = submit(api, b"no picture")
        run_jobs()
        assert state(api, job)["status"] == "failed"
        assert keys(bucket) == []


@pytest.mark.usefixtures("store")
class TestADownload:
    @pytest.fixture
    def job(self, bucket):
        job = make_job(None, "done", output_bytes=12)
        job.result.save("", ContentFile(b"RIFF a koala"))
        downloads.grant(job)
        return job

    @pytest.fixture
    def address(self, job):
        return downloads.address(job).url

    def test_is_an_address_at_the_bucket_for_a_minute_and_takes_a_use(self, address, s3):
        answer = Client().get(address)
        assert answer.status_code == 302
        assert answer.content == b""
        assert answer["Cache-Control"] == "no-store"
        assert Download.objects.get().uses_left == 9
        given = urlsplit(answer["Location"])
        query = parse_qs(given.query)
        assert f"{given.scheme}://{given.netloc}" == s3
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
        assert int(query["X-Amz-Expires"][0]) <= 60

    def test_is_served_by_the_bucket_as_we_would(self, address, job):
        file = requests.get(Client().get(address)["Location"], timeout=5)
        assert file.status_code == 200
        assert file.content == b"RIFF a koala"
        assert file.headers["Content-Type"] == "image/webp"
        assert file.headers["Content-Disposition"] == f'attachment; filename="{job.pk}.webp"'
        assert file.headers["Cache-Control"] == "no-store"

    def test_that_is_only_looked_at_takes_no_use(self, address):
        answer = Client().head(address)
        assert answer.status_code == 200
        assert answer["Content-Length"] == "12"
        assert Download.objects.get().uses_left == 10

    def test_whose_object_was_removed_is_exhausted_and_takes_no_use(self, address, bucket):
        bucket.objects.delete()
        answer = Client().get(address)
        assert (answer.status_code, answer.json()["code"]) == (410, "token_exhausted")
        assert Download.objects.get().uses_left == 10

    def test_from_a_bucket_that_is_away_is_unavailable_and_takes_no_use(self, address, kept_in, caplog):
        kept_in(f"s3://{NAME}/panel?endpoint_url={nobody()}")
        answer = Client().get(address)
        assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
        assert Download.objects.get().uses_left == 10
        assert "A file can't be kept or fetched" in caplog.text
        assert "eucalyptus" not in caplog.text


@pytest.mark.usefixtures("store")
def test_a_job_whose_bucket_is_away_fails_as_ours(api, bucket, kept_in):
    job = submit(api)
    kept_in(f"s3://{NAME}/panel?endpoint_url={nobody()}")
    run_jobs()
    assert state(api, job)["error"]["code"] == "limits_unavailable"
    job.refresh_from_db()
    assert job.source  # so that the cleaning tries again


@pytest.mark.usefixtures("store")
def test_an_upload_that_cannot_be_kept_is_unavailable_and_leaves_no_job(api, kept_in):
    kept_in(f"s3://{NAME}/panel?endpoint_url={nobody()}")
    answer = convert(api, draw(1, (30, 20), "png"))
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert answer["Retry-After"] == "5"
    assert not Job.objects.exists()


def test_a_bucket_is_a_storage_like_others(bucket):
    name = default_storage.save("in/a", ContentFile(b"one"))
    other = default_storage.save("in/a", ContentFile(b"two"))
    assert name != other
    assert default_storage.open(name).read() == b"one"
    assert default_storage.size(other) == 3
    assert default_storage.listdir("in")[1] == sorted(["a", other.removeprefix("in/")])
    assert timezone.now() - default_storage.get_modified_time(name) < timedelta(minutes=1)
    default_storage.delete(name)
    assert not default_storage.exists(name)
    with pytest.raises(FileNotFoundError):
        default_storage.open(name)
    default_storage.delete(name)  # gone is gone


def test_what_a_bucket_refuses_is_an_error_of_the_system(s3, kept_in):
    kept_in(f"s3://nobody-made-this?endpoint_url={s3}")
    for attempt in (
        lambda: default_storage.save("in/a", ContentFile(b"one")),
        lambda: default_storage.listdir("in"),
    ):
        with pytest.raises(StorageFailed):
            attempt()


def nobody() -> str:
    """An address where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return "http://127.0.0.1:{1}".format(*free.getsockname())
