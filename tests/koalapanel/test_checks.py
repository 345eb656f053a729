"""What KoalaPanel refuses to start on, and what it starts on all the same."""

import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import redis
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from accounts.models import EndpointLimit
from koalapanel.checks import (
    check_cache,
    check_counts_cache,
    check_endpoint_limits,
    check_limit_store,
    refuse_an_unfit_cache,
)
from koalapanel.env import BASE_DIR
from tests.panel import Up, environment
from tests.servers import REDIS_SERVER, limit_store, valkey_binary

SECRETS = {"SECRET_KEY": "tests", "KEY_PEPPERS": "1:" + "5a" * 32}


class OurLocMemCache(LocMemCache):
    """By another name, it is as unfit."""


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        ("django.core.cache.backends.locmem.LocMemCache", "each process has one of its own"),
        ("tests.koalapanel.test_checks.OurLocMemCache", "each process has one of its own"),
        ("django.core.cache.backends.dummy.DummyCache", "it keeps nothing"),
        ("django.core.cache.backends.filebased.FileBasedCache", "it can't count atomically"),
        ("django.core.cache.backends.db.DatabaseCache", "it can't count atomically"),
        ("django.core.cache.backends.redis.RedisCache", "it doesn't give us its connection"),
    ],
)
def test_a_cache_that_would_count_wrongly_is_an_error_that_says_why(settings, backend, reason):
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "any"}}
    (error,) = check_cache()
    assert (error.id, error.is_serious()) == ("koalapanel.E001", True)
    assert error.msg.startswith(f"The default cache can't be {backend}: {reason}")
    assert "django_redis.cache.RedisCache" in error.hint


def test_the_cache_of_our_own_settings_is_none():
    assert check_cache() == []


def test_counts_of_endpoint_limits_anywhere_else_are_an_error(settings):
    assert check_counts_cache() == []
    ours = settings.CACHES
    for caches in ({**ours, "endpoint_limits": ours["default"]}, {"default": ours["default"]}):
        settings.CACHES = caches
        (error,) = check_counts_cache()
        assert (error.id, error.is_serious()) == ("koalapanel.E004", True)
        with pytest.raises(ImproperlyConfigured, match="in which endpoint limits are counted"):
            refuse_an_unfit_cache()


@pytest.mark.django_db
def test_an_endpoint_limit_without_its_row_is_a_warning_that_says_so():
    def said():
        return [str(message.msg) for message in check_endpoint_limits(databases=["default"])]

    assert said() == []
    EndpointLimit.objects.filter(name="login").delete()
    assert said() == ["The endpoint limit 'login' has no row: nothing is refused by it."]
    assert check_endpoint_limits() == []
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_endpointlimit RENAME TO before_its_migration")
    assert said() == []


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["manage.py", "up", "--port", "0"],
        ["-m", "granian", "--interface", "wsgi", "--port", "0", "koalapanel.wsgi:application"],
        ["-m", "celery", "--quiet", "-A", "koalapanel", "worker", "--concurrency", "1"],
        ["-c", "import koalapanel.wsgi"],
    ],
    ids=["check", "up", "granian", "worker", "any WSGI server"],
)
def test_nothing_starts_on_such_a_cache(tmp_path, command):
    backend = "django.core.cache.backends.locmem.LocMemCache"
    (tmp_path / "with_an_unfit_cache.py").write_text(
        f"from koalapanel.settings import *\nCACHES = {{'default': {{'BACKEND': '{backend}'}}}}\n"
    )
    told = environment(
        VAR_DIR=str(tmp_path), PYTHONPATH=str(tmp_path), DJANGO_SETTINGS_MODULE="with_an_unfit_cache"
    )
    done = subprocess.run(
        [sys.executable, *command],
        cwd=BASE_DIR,
        env=told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"The default cache can't be {backend}: each process has one of its own" in done.stdout


@pytest.fixture(params=["valkey", "redis"])
def own_store(request):
    """A real server that nobody else uses, of either kind."""
    if request.param == "redis" and REDIS_SERVER is None:
        pytest.skip("redis-server is not installed")
    binary = valkey_binary() if request.param == "valkey" else REDIS_SERVER
    with (
        tempfile.TemporaryDirectory(prefix="koala-") as folder,
        limit_store(binary, Path(folder) / "s") as url,
    ):
        yield url


def policy_of(url, policy):
    with redis.Redis.from_url(url) as client:
        client.config_set("maxmemory-policy", policy)


def test_a_limit_store_that_evicts_nothing_is_fine(settings, own_store):
    settings.LIMITS_URL = own_store
    policy_of(own_store, "noeviction")
    assert check_limit_store() == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_limit_store_that_may_evict_is_an_error(settings, own_store, policy):
    settings.LIMITS_URL = own_store
    policy_of(own_store, policy)
    (error,) = check_limit_store()
    assert (error.id, error.is_serious()) == ("koalapanel.E003", True)
    assert error.msg == f"The limit store may forget limits and blocks: its maxmemory-policy is {policy}."
    assert "noeviction" in error.hint


class OldRedis(socketserver.StreamRequestHandler):
    """No server this old can be had here; it answers INFO alone."""

    INFO = b"# Server\r\nredis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\n"

    def handle(self):
        while header := self.rfile.readline():
            words = [self.rfile.read(int(self.rfile.readline()[1:]) + 2) for _ in range(int(header[1:]))]
            if words[0].strip() == b"INFO":
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(self.INFO), self.INFO))
            else:
                self.wfile.write(b"-ERR unknown command\r\n")


@pytest.fixture
def old_store():
    with socketserver.TCPServer(("127.0.0.1", 0), OldRedis) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}?protocol=2"
        thread.join(5)


def test_a_limit_store_that_is_too_old_is_an_error(settings, old_store):
    settings.LIMITS_URL = old_store
    (error,) = check_limit_store()
    assert (error.id, error.is_serious()) == ("koalapanel.E002", True)
    assert error.msg == "The limit store is Redis 6.2.14, which is too old."


def test_a_limit_store_that_is_away_is_no_error_and_soon_given_up(settings):
    settings.LIMITS_URL = "unix:///nowhere/valkey.sock"
    assert check_limit_store() == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.LIMITS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        began = time.monotonic()
        assert check_limit_store() == []
        assert time.monotonic() - began < 2


def test_up_ends_when_the_store_it_waited_for_turns_out_to_evict(tmp_path):
    url = f"unix://{tmp_path}/s"
    with Up(tmp_path, database=SECRETS, REDIS_URL=url) as up:
        up.wait_until_it_says("^limit store ")
        with limit_store(valkey_binary(), tmp_path / "s", "--maxmemory-policy", "allkeys-lru"):
            assert up.process.wait(60) == 1
        last = up.said.splitlines()[-1]
    assert last.startswith("CommandError: The limit store may forget limits and blocks: its maxmemory-policy")
