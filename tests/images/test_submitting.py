"""Compressions, batches, and jobs that nobody waits for: what is accepted, and what is refused whole."""

import pytest
from django.test import Client

from accounts import api_keys
from accounts.models import User
from images.drawings import draw
from images.models import AccountQueue, Job, WebhookEndpoint, job
from images.queue import endings
from images.queue.pool import pool
from tests.images.calls import convert, convert_short, upload
from tests.images.conftest import kept_files

pytestmark = pytest.mark.usefixtures("store")

PNG = draw(1, (60, 40), "png")
HOOK = "https://koala.example.com/hook"
GUEST = "192.0.2.9"


def compress(client, content=PNG, path="/api/v1/compress", **fields):
    return client.post(path, {"file": upload(content), **fields})


def send_batch(client, files, output_format="webp", **fields):
    return client.post(
        "/api/v1/batch", {"files": [upload(one) for one in files], "output_format": output_format, **fields}
    )


@pytest.fixture
def olivia(transactional_db):
    return User.objects.create_user("olivia@example.com")


@pytest.fixture
def issue(olivia):
    def make(owner=olivia, **overrides):
        _, text = api_keys.issue(owner, name="tests", **overrides)
        return Client(headers={"X-Api-Key": text})

    return make


def assert_nothing_is_kept():
    assert not Job.objects.exists()
    assert kept_files() == []


class TestCompress:
    @pytest.mark.parametrize("path", ["/api/v1/compress", "/compress"])
    def test_the_job_keeps_what_was_asked(self, api, path):
        by_quality = compress(api, path=path, quality=40, **{"async": "true"})
        by_size = compress(api, path=path, target_bytes=900, **{"async": "true"})
        assert (by_quality.status_code, by_size.status_code) == (202, 202)
        assert by_quality.json()["operation"] == "compress"
        kept = Job.objects.order_by("created_at").values_list("operation", "quality", "target_bytes")
        assert list(kept) == [("compress", 40, None), ("compress", None, 900)]

    def test_it_says_how_small(self, api):
        answer = compress(api)
        assert (answer.status_code, answer.json()["field"]) == (400, "quality")
        assert answer.json()["detail"] == "Send quality or target_bytes: how small is it to be?"
        assert_nothing_is_kept()

    def test_it_says_it_once(self, api):
        answer = compress(api, quality=40, target_bytes=900)
        assert (answer.status_code, answer.json()["field"]) == (400, "target_bytes")
        assert answer.json()["detail"] == "Send quality or target_bytes, not both."
        assert_nothing_is_kept()


class TestBatch:
    def test_each_file_becomes_a_job_in_their_order(self, api):
        contents = [draw(1, (20 + place, 10), "png") for place in range(5)]
        answer = send_batch(api, contents, width=10)
        assert answer.status_code == 202
        body = answer.json()
        assert body["id"].startswith("batch_")
        jobs = [Job.objects.get(pk=one["id"]) for one in body["jobs"]]
        assert [job.source.open().read() for job in jobs] == contents
        assert [job.pk for job in Job.objects.order_by("created_at")] == [job.pk for job in jobs]
        assert {(one["status"], one["batch"]) for one in body["jobs"]} == {("queued", body["id"])}
        assert api.get(f"/api/v1/jobs/{jobs[3].pk}").json()["batch"] == body["id"]

    def test_it_is_charged_as_one_request(self, issue):
        client = issue()
        assert send_batch(client, [PNG] * 50)["X-RateLimit-Remaining"] == "29"

    def test_it_is_refused_whole_where_one_job_more_is_too_many(self, issue):
        client = issue(queued_override=5)
        assert send_batch(client, [PNG] * 3).status_code == 202
        refused = send_batch(client, [PNG] * 3)
        assert (refused.status_code, refused.json()["code"]) == (429, "queue.limit_exceeded")
        assert Job.objects.count() == AccountQueue.objects.get().queued == len(kept_files()) == 3
        assert send_batch(client, [PNG] * 2).status_code == 202


class TestCancel:
    @pytest.mark.parametrize("path", ["/api/v1/jobs/", "/job/"])
    def test_a_job_that_waits_is_cancelled_and_its_place_is_free(self, api, path):
        job = convert(api, PNG, **{"async": "true"}).json()["id"]
        answer = api.delete(path + job)
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert api.get(path + job).json()["status"] == "cancelled"
        assert AccountQueue.objects.get().queued == 0
        assert kept_files() == []

    def test_a_job_that_runs_is_cancelled(self, api):
        job = convert(api, PNG, **{"async": "true"}).json()["id"]
        assert Job.objects.get(pk=job).start()
        assert api.delete(f"/api/v1/jobs/{job}").json()["status"] == "cancelled"
        assert AccountQueue.objects.get().running == 0

    def test_a_job_that_starts_in_that_moment_is_cancelled(self, api, monkeypatch):
        job = convert(api, PNG, **{"async": "true"}).json()["id"]
        cancel, started = Job.cancel, []

        def cancel_a_moment_later(self):
            if not started:
                started.append(Job.objects.get(pk=job).start())
            return cancel(self)

        monkeypatch.setattr(Job, "cancel", cancel_a_moment_later)
        assert api.delete(f"/api/v1/jobs/{job}").json()["status"] == "cancelled"

    def test_once_more_changes_nothing(self, api):
        job = convert(api, PNG, **{"async": "true"}).json()["id"]
        first, second = api.delete(f"/api/v1/jobs/{job}"), api.delete(f"/api/v1/jobs/{job}")
        assert second.status_code == 200
        assert first.json() == second.json()

    @pytest.mark.parametrize("path", ["/api/v1/jobs/", "/job/"])
    def test_a_job_that_has_ended_is_not(self, api, path):
        job = convert(api, PNG, **{"async": "true"}).json()["id"]
        running = Job.objects.get(pk=job)
        assert running.start()
        assert running.fail("invalid_request", "No good.")
        answer = api.delete(path + job)
        assert answer.status_code == 409
        assert answer.json()["detail"] == "The job has ended already: it is failed."
        assert "invalid_request" in answer.json().values()

    def test_others_jobs_are_nobodys_business(self, api, new_client):
        job = convert(api, PNG, **{"async": "true"}).json()["id"]
        for stranger in (new_client("sam@example.com"), Client(REMOTE_ADDR=GUEST)):
            assert stranger.delete(f"/api/v1/jobs/{job}").status_code == 404
        assert Job.objects.get(pk=job).status == "queued"

    def test_cancelling_is_not_charged(self, issue):
        client = issue()
        job = convert(client, PNG, **{"async": "true"}).json()["id"]
        assert client.delete(f"/api/v1/jobs/{job}")["X-RateLimit-Remaining"] == "29"


class TestAJobThatIsWaitedFor:
    def test_is_told_to_be_cancelled_if_it_was_meanwhile(self, api, monkeypatch):
        def cancel_instead(job_id, seconds):
            assert api.delete(f"/api/v1/jobs/{job_id}").status_code == 200

        monkeypatch.setattr(endings, "wait", cancel_instead)
        answer = convert(api, PNG)
        assert (answer.status_code, answer.json()["detail"]) == (409, "The job was cancelled.")
        assert compress(api, path="/compress", quality=50).json()["error"] == "invalid_request"

    def test_is_gone_if_its_account_was_closed_meanwhile(self, api, monkeypatch):
        monkeypatch.setattr(endings, "wait", lambda *_: Job.objects.all().delete())
        assert convert(api, PNG).status_code == 404


class TestPlace:
    def test_is_told_while_a_job_waits(self, api, new_client):
        convert(new_client("sam@example.com"), PNG, **{"async": "true"})
        first = convert(api, PNG, **{"async": "true"}).json()
        batch = send_batch(api, [PNG] * 3).json()["jobs"]
        assert [one["place"] for one in (first, *batch)] == [1, 2, 3, 4]
        assert Job.objects.get(pk=first["id"]).start()
        told = [api.get(f"/api/v1/jobs/{one['id']}").json()["place"] for one in (first, *batch)]
        assert told == [None, 1, 2, 3]

    def test_is_not_counted_without_end(self, api, monkeypatch):
        monkeypatch.setattr(job, "MOST_PLACES", 2)
        assert [one["place"] for one in send_batch(api, [PNG] * 2).json()["jobs"]] == [1, 2]
        assert convert(api, PNG, **{"async": "true"}).json()["place"] is None


class TestWebhook:
    def test_its_jobs_are_not_waited_for(self, api):
        for answer in (
            convert(api, PNG, webhook_url=HOOK),
            convert_short(api, PNG, webhook_url=HOOK),
            compress(api, quality=50, webhook_url=HOOK),
            send_batch(api, [PNG], webhook_url=HOOK),
        ):
            assert answer.status_code == 202, answer.content
        endpoint = WebhookEndpoint.objects.get()
        assert endpoint.url == HOOK
        assert set(Job.objects.values_list("webhook", flat=True)) == {endpoint.pk}

    def test_a_guest_has_no_secret_to_sign_with(self):
        answer = convert(Client(REMOTE_ADDR=GUEST), PNG, webhook_url=HOOK)
        assert (answer.status_code, answer.json()["field"]) == (400, "webhook_url")
        assert_nothing_is_kept()

    @pytest.mark.parametrize("url", ["koala", "http://127.0.0.1/", "https://koala.example/" + 2000 * "x"])
    def test_an_address_that_is_no_good_is_refused(self, api, url):
        for answer in (convert(api, PNG, webhook_url=url), send_batch(api, [PNG], webhook_url=url)):
            assert (answer.status_code, answer.json()["field"]) == (400, "webhook_url")
        assert_nothing_is_kept()


class TestFullQueue:
    DETAILS = {
        "queue.limit_exceeded": "Too many queued jobs. Wait for existing jobs to complete.",
        "queue.pool_saturated": "Worker pool is at capacity. Try again shortly.",
    }

    @pytest.fixture(params=DETAILS)
    def full(self, request, issue, settings):
        """A client whose next job is one too many, and the code that says so."""
        if request.param == "queue.limit_exceeded":
            client = issue(queued_override=1)
        else:
            client, settings.POOL_QUEUE_LIMIT = issue(), 1
        pool.forget()
        assert convert(client, PNG, **{"async": "true"}).status_code == 202
        yield client, request.param
        pool.forget()

    def test_each_dialect_says_so_in_its_words(self, full):
        client, code = full
        detail = self.DETAILS[code]
        error = "Queue limit exceeded" if code == "queue.limit_exceeded" else "Worker pool saturated"
        for answer in (convert(client, PNG), compress(client, quality=50), send_batch(client, [PNG])):
            wait = int(answer["Retry-After"])
            assert (answer.status_code, wait >= 1, answer["Cache-Control"]) == (429, True, "no-store")
            assert answer.json() == {"error": error, "retry_after": wait, "code": code, "detail": detail}
        for answer in (convert_short(client, PNG), compress(client, path="/compress", quality=50)):
            assert answer.status_code == 429
            assert answer.json() == {"error": code, "detail": detail}
            assert int(answer["Retry-After"]) >= 1

    def test_problem_details_say_so_too(self, full):
        client, code = full
        kind = "quota-exceeded" if code == "queue.limit_exceeded" else "temporary-reduced-capacity"
        for path in ("/api/v1/convert", "/convert"):
            answer = client.post(
                path,
                {"file": upload(PNG), "output_format": "webp", "targetFormat": "webp"},
                headers={"Accept": "application/problem+json"},
            )
            assert (answer.status_code, answer["Content-Type"]) == (429, "application/problem+json")
            assert answer.json()["type"] == f"https://iana.org/assignments/http-problem-types#{kind}"
            assert answer.json()["code"] == code

    def test_a_webhooks_address_is_not_kept_and_takes_no_others_place(self, full):
        client, _ = full
        assert convert(client, PNG, webhook_url=HOOK).status_code == 429
        assert not WebhookEndpoint.objects.exists()

    def test_a_large_body_is_not_even_read(self, full):
        client, code = full
        answer = client.generic(
            "POST",
            "/api/v1/convert",
            b"",
            content_type="multipart/form-data; boundary=x",
            CONTENT_LENGTH=10**6,
        )
        assert (answer.status_code, answer.json()["code"]) == (429, code)
