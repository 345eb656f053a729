"""`GET …/entitlements/me`: what a key may do, what is used of it, what is left."""

from datetime import timedelta

import pytest
from django.test import Client

from accounts import api_keys
from accounts.models import ApiKey, EndpointLimit, Tier, User
from images.models import Job
from images.queue.pool import pool
from tests.images.calls import convert, make_job
from tests.usage.clock import Clock
from tests.usage.escalation.customer import STEPS, Customer
from usage.limits import link
from usage.limits.store import limit_store

pytestmark = pytest.mark.usefixtures("store")

PATHS = ["/api/v1/entitlements/me", "/entitlements/me", "/convert/entitlements/me"]


@pytest.fixture
def owner(transactional_db):
    return User.objects.create_user("olivia@example.com")


@pytest.fixture
def issue(owner):
    def make(**fields):
        key, text = api_keys.issue(fields.pop("owner", owner), name="prod", **fields)
        return key, Client(headers={"Authorization": f"Bearer {text}"})

    return make


def ask(client, path=PATHS[0]):
    response = client.get(path)
    assert response.status_code == 200, response.content
    return response.json()


@pytest.mark.parametrize("path", PATHS)
def test_a_key_learns_its_limits_what_is_used_and_what_is_left(issue, owner, path):
    key, client = issue(minute_override=50)
    convert(client, b"no image", **{"async": "true"})
    for status in ("running", "queued", "queued", "done", "failed"):
        make_job(owner, status)
    before = Job.objects.filter(owner=owner, status="queued").count()
    body = ask(client, path)
    assert (body["live"], body["key"], body["tier"]) == (True, key.start, "free")
    limits = body["limits"]
    told = {kind: (one["limit"], one["source"], one["used"], one["left"]) for kind, one in limits.items()}
    assert told == {
        "minute": (50, "override", 1, 49),
        "day": (1000, "tier", 1, 999),
        "concurrent": (5, "tier", 0, 5),
        "parallel": (3, "tier", 1, 2),
        "queued": (200, "tier", before, 200 - before),
    }
    assert limits["minute"]["resets_at"] > body["now"]
    assert limits["day"]["resets_at"].endswith("T00:00:00Z")
    assert limits["queued"]["resets_at"] is None
    assert body["escalation"] == {"tier": 0, "name": "Clear", "until": None}


def test_asking_is_charged_to_no_window(issue):
    _, client = issue()
    for path in PATHS:
        for _ in range(3):
            ask(client, path)
    assert ask(client)["limits"]["minute"]["used"] == ask(client)["limits"]["day"]["used"] == 0
    assert client.get(PATHS[2]).headers["X-RateLimit-Remaining"] == "30"


def test_jobs_are_the_accounts_over_all_of_its_keys_and_nobody_elses(issue, owner):
    _, one = issue()
    _, other = issue()
    _, stranger = issue(owner=User.objects.create_user("sam@example.com"))
    make_job(owner, "queued")
    queued = [ask(client)["limits"]["queued"]["left"] for client in (one, other, stranger)]
    assert queued == [199, 199, 200]


def test_a_guest_learns_those_of_its_address():
    body = ask(Client(REMOTE_ADDR="203.0.113.7"))
    assert (body["key"], body["tier"], body["limits"]["minute"]["limit"]) == (None, "anonymous", 10)
    assert {one["source"] for one in body["limits"].values()} == {"tier"}


def test_no_limit_is_null_and_so_is_what_is_left_of_it(issue):
    boundless = Tier.objects.create(slug="boundless", name="Boundless")
    _, client = issue(tier=boundless)
    body = ask(client)
    assert {(one["limit"], one["left"]) for one in body["limits"].values()} == {(None, None)}
    assert body["limits"]["minute"]["used"] == 0


def test_more_jobs_than_a_lowered_limit_leave_none_and_not_less(issue, owner):
    _, client = issue(queued_override=1)
    for _ in range(3):
        make_job(owner, "queued")
    assert ask(client)["limits"]["queued"]["left"] == 0


def test_a_blocked_key_may_ask_and_learns_until_when(owner, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(limit_store(), "_clock", clock)
    _, text = api_keys.issue(owner, name="prod", minute_override=10)
    assert Customer(text, clock).climbs_to(2).status_code == 429
    body = ask(Client(headers={"X-Api-Key": text}))
    until = clock.at + timedelta(seconds=STEPS[2][1])
    assert body["escalation"] == {
        "tier": 2,
        "name": "Extended cooldown",
        "until": until.isoformat().replace("+00:00", "Z"),
    }


def test_a_suspended_key_is_refused(issue):
    _, client = issue(status=ApiKey.Status.SUSPENDED)
    for path in PATHS:
        assert client.get(path).status_code == 403


def test_while_the_store_is_away_nothing_is_guessed(issue, owner, monkeypatch):
    _, client = issue(day_override=7)
    make_job(owner, "queued")
    ask(client)

    def refuse(*_):
        raise link.LimitStoreDown("away")

    monkeypatch.setattr(link.Link, "ask", refuse)
    body = ask(client)
    assert (body["live"], body["escalation"]) == (False, None)
    for kind in ("minute", "day", "concurrent"):
        one = body["limits"][kind]
        assert (one["used"], one["left"], one["resets_at"]) == (None, None, None)
    assert (body["limits"]["day"]["limit"], body["limits"]["day"]["source"]) == (7, "override")
    # Jobs are kept in SQL.
    assert body["limits"]["queued"]["left"] == 199


def test_it_tells_what_may_be_sent(issue, settings):
    settings.UPLOAD_MAX_BYTES, settings.IMAGE_MAX_PIXELS = 1000, 2000
    _, client = issue()
    assert ask(client)["uploads"] == {"max_bytes": 1000, "max_pixels": 2000, "max_files": 50}


def test_it_tells_whether_the_pool_takes_jobs_now(issue, settings):
    settings.POOL_QUEUE_LIMIT = 1
    _, client = issue()
    pool.forget()
    assert ask(client)["accepts_jobs"] is True
    assert convert(client, b"no image", **{"async": "true"}).status_code == 202
    assert ask(client)["accepts_jobs"] is False
    pool.forget()


def test_the_query_count_does_not_grow_with_jobs(issue, owner, monkeypatch, django_assert_num_queries):
    monkeypatch.setattr("images.queue.pool.COUNTED_EVERY", 3600)  # a query a second, whoever asks
    _, client = issue()
    ask(client)
    for _ in range(5):
        make_job(owner, "queued")
    with django_assert_num_queries(2):
        ask(client)


@pytest.mark.parametrize("path", PATHS)
def test_what_lies_beside_it_is_nothing(issue, path):
    _, client = issue()
    for beside in (f"{path}/", path.upper(), path.replace("me", "you"), path.replace("/me", "")):
        assert client.get(beside).status_code in (404, 405), beside
    assert client.post(path).status_code == 405


def test_it_is_limited_per_address_under_each_of_its_addresses_in_their_dialects(issue):
    EndpointLimit.objects.filter(name="entitlements").update(requests=6, seconds=86_400)
    _, one = issue()
    _, other = issue()
    for client in (one, other):
        for path in PATHS:
            ask(client, path)
    first = one.get(PATHS[0])
    assert (first.status_code, first.json()["code"], first.json()["limit"]) == (
        429,
        "rate_limited",
        "entitlements",
    )
    wait = int(first.headers["Retry-After"])
    assert first.json()["retry_after"] == wait
    for path in PATHS[1:]:
        short = other.get(path)
        assert short.status_code == 429
        assert short.json()["error"] == "rate_limited"
        assert short.json()["detail"].startswith("Too many requests. Retry after ")
        assert {"X-RateLimit-Limit", "RateLimit-Policy", "RateLimit"} <= short.headers.keys()
