"""What a request that starts jobs is charged: nothing where it gets none, else once, whatever comes of it."""

import pytest
from django.db import OperationalError
from django.test import Client

from accounts import api_keys
from accounts.models import User
from images.drawings import draw
from images.models import Job
from images.queue import accepting, endings, ends
from images.queue.pool import pool
from tests.images.calls import upload
from tests.usage.wsgi_client import WsgiClient
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store
from usage.subjects import of_key

pytestmark = pytest.mark.usefixtures("store")

PNG = draw(1, (20, 10), "png")
CONVERT = ("/api/v1/convert", {"output_format": "webp"}, "file")
ROUTES = {
    "convert": CONVERT,
    "short convert": ("/convert", {"targetFormat": "webp"}, "file"),
    "compress": ("/api/v1/compress", {"quality": 40}, "file"),
    "short compress": ("/compress", {"quality": 40}, "file"),
    "batch": ("/api/v1/batch", {"output_format": "webp"}, "files"),
}


@pytest.fixture(params=[Client, WsgiClient], ids=["middleware", "wsgi"])
def client(request):
    """By either of the guard's doors, for the account's newest key."""

    class OneKey:
        def issue(self, **overrides):
            owner, _ = User.objects.get_or_create(email="olivia@example.com")
            self.key, text = api_keys.issue(owner, name="tests", **overrides)
            self.client = request.param(
                headers={"Authorization": f"Bearer {text}"}, raise_request_exception=False
            )

        def send(self, route=CONVERT, content=PNG):
            path, fields, file = route
            return self.client.post(path, {**fields, file: upload(content), "async": "true"})

        def charged(self):
            """In the minute (unless it ended just now), in the day, and what is in flight."""
            now = limit_store().look(of_key(self.key))
            return now.minute_count, now.day_count, now.in_flight

        def hits(self):
            assert local_hits().flush()
            newest = self.client.get("/api/v1/usage").json()["hits_24h"]["newest"]
            found = {}
            for hit in newest:
                kind = hit["kind"], hit["route"]
                found[kind] = found.get(kind, 0) + hit["count"]
            return found

    return OneKey()


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_30_of_30_requests_that_find_the_queue_full_are_charged_for_nothing(client, route):
    client.issue(queued_override=0)
    for _ in range(30):
        answer = client.send(route)
        assert answer.status_code == 429
        assert answer.headers["X-RateLimit-Remaining"] == "30"
        assert answer.headers["RateLimit"].endswith('"concurrent";r=5')
        assert int(answer.headers["Retry-After"]) >= 1
    assert client.charged() == (0, 0, 0)
    name = route[0].rpartition("/")[2]
    assert client.hits() == {("queued", name): 30}


def test_nor_are_those_that_find_the_pool_full(client, settings):
    client.issue()
    settings.POOL_QUEUE_LIMIT = 0
    pool.forget()
    answers = [client.send() for _ in range(3)]
    assert {(one.status_code, one.json()["code"]) for one in answers} == {(429, "queue.pool_saturated")}
    assert client.charged() == (0, 0, 0)
    assert client.hits() == {("saturated", "convert"): 3}


def test_nor_while_jobs_cannot_be_written_down(client, monkeypatch):
    def away(*asked):
        raise OperationalError("away")

    client.issue()
    monkeypatch.setattr(accepting, "check_room", away)
    answer = client.send()
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert client.charged() == (0, 0, 0)
    assert client.hits() == {("unavailable", "convert"): 1}


def test_what_a_client_got_wrong_is_charged(client):
    client.issue()
    assert client.send(content=b"").status_code == 400
    assert client.charged()[1:] == (1, 0)
    assert client.hits() == {}


def test_a_job_that_failed_is_charged_whoever_waited_for_it(client, monkeypatch):
    client.issue()
    monkeypatch.setattr(endings, "wait", lambda job_id, seconds: ends.fail(Job.objects.get(), ends.OUR_FAULT))
    path, fields, file = CONVERT
    answer = client.client.post(path, {**fields, file: upload(PNG)})
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert client.charged()[1:] == (1, 0)
    assert client.hits() == {}
