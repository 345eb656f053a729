"""Pages while the store behind the cache is away: refused soon, by a page that says so, with nothing done."""

import copy
import socket
import time

import pytest
from django.test import RequestFactory
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.endpoint_limits import limiter
from accounts.models import User
from koalapanel.store_down import StoreDownMiddleware

pytestmark = pytest.mark.django_db

PASSWORD = "eucalyptus leaf nine"


@pytest.fixture(params=["nobody listens", "silent"])
def store_that_is_away(request, settings):
    """The cache at an address where nobody listens, or where connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if request.param == "nobody listens":
            server.close()
        caches = copy.deepcopy(settings.CACHES)
        for cache in caches.values():
            cache["LOCATION"] = f"redis://127.0.0.1:{port}/0"
        settings.CACHES = caches
        limiter.forget()
        yield
        limiter.forget()
        get_redis_connection("default").connection_pool.disconnect()


@pytest.fixture
def ada():
    return User.objects.create_user("ada@example.com", PASSWORD)


FORMS = {
    "login/": {"login": "ada@example.com", "password": PASSWORD},
    "signup/": {"email": "new@example.com", "password1": PASSWORD},
    "password/reset/": {"email": "ada@example.com"},
}


@pytest.mark.parametrize("path", FORMS)
def test_a_form_that_is_limited_is_refused_soon_with_a_page_of_ours(client, ada, store_that_is_away, path):
    client.get("/healthz")  # a process's first request loads every address of the site
    began = time.monotonic()
    response = client.post(f"/accounts/{path}", FORMS[path])
    assert time.monotonic() - began < 2
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Security-Policy" in response.headers
    text = response.content.decode()
    assert 'class="kp-brand"' in text
    assert "Try again in half a minute" in text


def test_nobody_is_signed_in_or_up_while_attempts_cannot_be_counted(client, ada, store_that_is_away):
    client.post("/accounts/login/", FORMS["login/"])
    client.post("/accounts/signup/", FORMS["signup/"])
    assert "_auth_user_id" not in client.session
    assert list(User.objects.all()) == [ada]


def test_the_forms_themselves_are_still_shown(client, store_that_is_away):
    for path in FORMS:
        assert client.get(f"/accounts/{path}").status_code == 200


def test_an_error_on_an_api_path_or_of_another_kind_is_left_alone():
    middleware = StoreDownMiddleware(lambda request: pytest.fail("not asked"))
    page, api = RequestFactory().post("/accounts/login/"), RequestFactory().post("/api/v1/convert")
    assert middleware.process_exception(page, RedisError("away")).status_code == 503
    assert middleware.process_exception(page, ValueError("ours")) is None
    assert middleware.process_exception(api, RedisError("away")) is None
