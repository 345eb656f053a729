"""Without a refusal: jobs that nobody does, and the small picture that they end with."""

import io
import re

import pytest
import time_machine
from django.test import Client
from PIL import Image

from images.formats import OUTPUTS
from images.models import Download, Job, WebhookDelivery, WebhookEndpoint
from images.models.job import is_id
from images.rehearsal.jobs import DONE_AFTER, RUNS_AFTER
from images.rehearsal.samples import HEIGHT, WIDTH, sample_of
from tests.images.calls import convert, convert_short, draw, make_job, upload
from tests.images.conftest import kept_files

PNG = draw(1, (30, 20), "png")
NOW = 1_800_000_000


def batch(client, number=3, **fields):
    files = [upload(PNG, f"{place}.png") for place in range(number)]
    return client.post("/api/v1/batch", {"files": files, "output_format": "webp", **fields})


@pytest.mark.parametrize("form", OUTPUTS, ids=[form.name for form in OUTPUTS])
def test_each_sample_is_what_its_name_says(form):
    with Image.open(io.BytesIO(sample_of(form).content)) as picture:
        assert (picture.format, picture.size) == (form.pillow, (WIDTH, HEIGHT))
    assert len(sample_of(form).content) < 10_000


class TestAConversion:
    @pytest.mark.parametrize("form", OUTPUTS, ids=[form.name for form in OUTPUTS])
    def test_is_done_at_once_and_its_result_is_in_the_asked_format(self, actor, form):
        answer = convert(actor, PNG, form.name)
        assert (answer.status_code, answer["X-Koala-Rehearsal"]) == (200, "true")
        body = answer.json()
        assert body["id"].startswith("job_rehearsal")
        assert is_id(body["id"])
        assert body["input"]["bytes"] == len(PNG)
        assert (body["output"]["format"], body["output"]["width"]) == (form.name, WIDTH)
        file = Client().get(body["download_url"])
        assert (file.status_code, file["X-Koala-Rehearsal"], file["Content-Type"]) == (
            200,
            "true",
            form.content_type,
        )
        assert file.content == sample_of(form).content
        assert len(file.content) == body["output"]["bytes"]
        head = actor.head(body["download_url"])
        assert (head["Content-Length"], head["X-Koala-Rehearsal"]) == (str(len(file.content)), "true")

    def test_leaves_nothing_behind(self, actor):
        convert(actor, PNG * 20_000)  # larger than what is kept in memory
        convert(actor, PNG, **{"async": "true"}, webhook_url="https://hooks.example.com/a")
        batch(actor)
        for model in (Job, Download, WebhookEndpoint, WebhookDelivery):
            assert model.objects.count() == 0
        assert kept_files() == []

    def test_shows_the_full_allocation_however_often(self, actor):
        for _ in range(40):
            answer = convert(actor, PNG)
        assert (answer.status_code, answer["X-RateLimit-Remaining"]) == (200, "30")
        assert '"concurrent";r=5' in answer["RateLimit"]

    @pytest.mark.parametrize(
        ("send", "code"),
        [
            (lambda api: convert(api, PNG, "pdf"), "unsupported_format"),
            (lambda api: convert(api, b""), "invalid_request"),
            (lambda api: convert(api, PNG, quality=500), "invalid_request"),
            (lambda api: convert(api, PNG, webhook_url="ftp://example.com"), "invalid_request"),
            (lambda api: api.post("/api/v1/convert", {"output_format": "webp"}), "invalid_request"),
            (lambda api: api.post("/api/v1/compress", {"file": upload(PNG)}), "invalid_request"),
            (lambda api: batch(api, 51), "invalid_request"),
            (lambda api: batch(api, 2, webhook_url="https://a:b@example.com"), "invalid_request"),
        ],
    )
    def test_a_wrong_request_is_refused_as_ever(self, actor, ordinary, send, code):
        acted, real = send(actor), send(ordinary)
        assert (acted.status_code, acted.json()) == (real.status_code, real.json())
        assert acted.json()["code"] == code
        assert acted["X-Koala-Rehearsal"] == "true"

    def test_a_file_that_is_too_large_is_refused(self, actor, settings):
        settings.UPLOAD_MAX_BYTES = 100
        assert convert(actor, b"x" * 101).json()["code"] == "image_too_large"

    def test_a_compression_keeps_the_format(self, actor):
        answer = actor.post("/compress", {"file": upload(PNG), "quality": 40})
        assert (answer.status_code, answer.json()["output"]["format"]) == (200, "png")


class TestAJob:
    @pytest.mark.parametrize(("send", "path"), [(convert, "/api/v1/jobs/"), (convert_short, "/job/")])
    def test_waits_runs_and_is_done_as_time_goes_by(self, actor, send, path):
        with time_machine.travel(NOW, tick=False) as clock:
            answer = send(actor, PNG, "avif", **{"async": "true"})
            assert answer.status_code == 202
            assert answer["Location"] == path + answer.json()["id"]
            told = [actor.get(answer["Location"]).json()]
            clock.shift(RUNS_AFTER)
            told.append(actor.get(answer["Location"]).json())
            clock.shift(DONE_AFTER - RUNS_AFTER)
            told.append(actor.get(answer["Location"]).json())
            assert [(one["status"], one["place"], one["progress"]) for one in told] == [
                ("queued", 1, 0), ("running", None, 50), ("done", None, 100)
            ]  # fmt: skip
            assert actor.get(told[-1]["download_url"]).content == sample_of(OUTPUTS[3]).content

    def test_its_address_is_good_for_an_hour_its_result_for_two_itself_for_a_day(self, actor):
        with time_machine.travel(NOW, tick=False) as clock:
            body = convert(actor, PNG).json()
            clock.shift(3601)
            assert actor.get(body["download_url"]).json()["code"] == "token_exhausted"
            fresh = actor.get(f"/api/v1/jobs/{body['id']}").json()["download_url"]
            assert actor.get(fresh).status_code == 200
            clock.shift(3600)
            assert actor.get(f"/api/v1/jobs/{body['id']}").json()["download_url"] is None
            clock.shift(86_400)
            assert actor.get(f"/api/v1/jobs/{body['id']}").status_code == 404

    def test_can_be_cancelled_until_it_is_done(self, actor):
        with time_machine.travel(NOW, tick=False) as clock:
            job = convert(actor, PNG, **{"async": "true"}).json()["id"]
            assert actor.delete(f"/api/v1/jobs/{job}").json()["status"] == "cancelled"
            clock.shift(DONE_AFTER)
            assert actor.delete(f"/job/{job}").status_code == 409

    def test_a_batch_has_one_for_each_file(self, actor):
        body = batch(actor, 50).json()
        assert len({job["id"] for job in body["jobs"]}) == 50
        assert {job["batch"] for job in body["jobs"]} == {body["id"]}
        assert [job["place"] for job in body["jobs"]] == list(range(1, 51))

    def test_an_ordinary_key_finds_none_and_a_rehearsal_key_no_real_ones(self, actor, ordinary, owner):
        acted = convert(actor, PNG).json()["id"]
        real = make_job(owner, "queued")
        assert ordinary.get(f"/api/v1/jobs/{acted}").status_code == 404
        for call in (actor.get, actor.delete):
            assert call(f"/api/v1/jobs/{real.pk}").status_code == 404
        real.refresh_from_db()
        assert real.status == "queued"

    @pytest.mark.parametrize(
        "name", ["job_rehearsal" + "0" * 13, "job_rehearsalca" + "z" * 11, "job_rehearsal", "x"]
    )
    def test_what_was_made_up_is_not_there(self, actor, name):
        assert actor.get(f"/api/v1/jobs/{name}").status_code == 404


class TestAnAddress:
    def test_cant_be_made_up_nor_prolonged(self, actor):
        url = convert(actor, PNG).json()["download_url"]
        for wrong in (
            "/api/v1/downloads/rehearsal-webp",
            "/api/v1/downloads/rehearsal-webp?expires=9999999999&signature=" + "0" * 64,
            re.sub(r"expires=\d+", "expires=9999999999", url),
            url.replace("rehearsal-webp", "rehearsal-png"),
        ):
            assert Client().get(wrong).status_code == 404

    def test_counts_against_the_limit_on_downloads(self, actor):
        url = convert(actor, PNG).json()["download_url"]
        assert [Client().get(url).status_code for _ in range(31)] == [200] * 30 + [429]


def test_a_change_to_the_key_is_felt_within_seconds(actor, key, owner, monkeypatch):
    """Nothing in the store tells of it: the process asks SQL anew every five seconds."""
    from accounts.keys import actions
    from usage.guard import known_subjects

    assert convert(actor, PNG).status_code == 200
    actions.revoke(key[0], by=owner, revision=None)
    now = known_subjects.time.monotonic()
    monkeypatch.setattr(known_subjects.time, "monotonic", lambda: now + known_subjects.REFUSED_SECONDS + 0.1)
    assert convert(actor, PNG).json()["code"] == "key_revoked"
