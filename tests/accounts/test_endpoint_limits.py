"""Counting against an endpoint limit: how much, for how long, by whom, and while nobody can count."""

import copy
import logging
import socket
import threading
import zlib

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django_redis import get_redis_connection
from redis.exceptions import RedisError

from accounts.client_address import _client_address
from accounts.endpoint_limits import known_full, limiter, rates
from accounts.endpoint_limits.known_full import KnownFull
from accounts.endpoint_limits.limiter import EndpointLimitReached, UnknownEndpointLimit, charge, limited
from accounts.endpoint_limits.names import NAMES, REFUSED_WITHOUT_A_COUNT
from accounts.endpoint_limits.outage import Outage, StoreAway
from accounts.models import EndpointLimit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

ADA = {"REMOTE_ADDR": "203.0.113.7"}
NOON = 1_772_366_400  # 2026-03-01 12:00:00 UTC


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def admitted(name, meta=ADA):
    """How many more requests are admitted, and how long the first refused one has to wait."""
    for number in range(1000):
        try:
            charge(name, meta)
        except EndpointLimitReached as reached:
            return number, reached.retry_after
    raise AssertionError("no limit")


def is_refused(name, meta=ADA):
    try:
        charge(name, meta)
    except EndpointLimitReached:
        return True
    return False


SEVEN = {
    "entitlements": (300, 60),
    "contact": (5, 900),
    "login": (10, 60),
    "password_reset": (5, 900),
    "oidc_authorize": (60, 60),
    "key_validation": (300, 60),
    "download": (30, 60),
}


def test_there_are_seven_and_each_has_its_row():
    assert set(NAMES) == set(SEVEN)
    assert {limit.name: limit.rate for limit in EndpointLimit.objects.all()} == SEVEN


@pytest.mark.parametrize("name", SEVEN)
def test_each_admits_its_number_and_no_more_until_the_wait_it_tells_is_over(name, clock):
    requests, seconds = SEVEN[name]
    number, wait = admitted(name)
    assert number == requests
    assert 1 <= wait <= seconds
    clock.move_to(NOON + wait - 0.001)
    assert is_refused(name)
    clock.move_to(NOON + wait)
    assert admitted(name)[0] == requests


def test_the_wait_is_the_wait_that_is_needed_at_every_second_of_a_window(clock):
    """Asked anew at each, of a process that knows nothing."""
    EndpointLimit.objects.filter(name="login").update(requests=1, seconds=7)
    for offset in range(15):
        for fraction in (0, 0.4, 0.999):
            cache.delete_pattern("rl:*")
            limiter._known_full.forget_all()
            clock.move_to(NOON + offset + fraction)
            charge("login", ADA)
            limiter._known_full.forget_all()
            with pytest.raises(EndpointLimitReached) as refused:
                charge("login", ADA)
            wait = refused.value.retry_after
            limiter._known_full.forget_all()
            clock.move_to(NOON + offset + wait - 0.001)
            assert is_refused("login"), (offset, fraction)
            clock.move_to(NOON + offset + fraction + wait)
            assert not is_refused("login"), (offset, fraction)


def test_a_process_that_knows_counts_the_wait_down(clock):
    _, wait = admitted("password_reset")
    for passed in (0, 0.5, 1, 1.9):
        clock.move_to(NOON + passed)
        with pytest.raises(EndpointLimitReached) as refused:
            charge("password_reset", ADA)
        assert refused.value.retry_after == -(-(wait - passed) // 1)


def test_a_window_of_one_second_is_a_second(clock):
    EndpointLimit.objects.filter(name="login").update(requests=2, seconds=1)
    assert admitted("login") == (2, 1)
    clock.move_to(NOON + 1)
    assert admitted("login") == (2, 1)


def test_not_all_windows_end_at_once(clock):
    """Else everybody who was refused would come back at the same second."""
    waits = {admitted("contact", {"REMOTE_ADDR": f"203.0.113.{number}"})[1] for number in range(20)}
    assert len(waits) > 15
    assert zlib.crc32(b"203.0.113.1") % 900 != zlib.crc32(b"203.0.113.2") % 900


def test_one_limit_is_none_of_anothers(clock):
    admitted("contact")
    assert admitted("login")[0] == 10


def test_requests_at_the_same_moment_are_each_counted(clock, transactional_db):
    rates.rate_of("login")
    passed, begin = [], threading.Barrier(16)

    def ask():
        begin.wait()
        limiter._known_full.forget_all()
        if not is_refused("login"):
            passed.append(1)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 10


# --- Whose request it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dodge",
    [
        {"REMOTE_ADDR": "203.0.113.7", "HTTP_X_FORWARDED_FOR": "198.51.100.1"},
        {
            "REMOTE_ADDR": "203.0.113.7",
            "HTTP_X_REAL_IP": "198.51.100.1",
            "HTTP_FORWARDED": "for=198.51.100.1",
        },
        {"REMOTE_ADDR": "::ffff:203.0.113.7"},
        {"REMOTE_ADDR": "203.0.113.7", "HTTP_USER_AGENT": "another"},
        {"REMOTE_ADDR": "203.0.113.7", "PATH_INFO": "/Accounts/LOGIN", "QUERY_STRING": "a=1"},
    ],
    ids=["X-Forwarded-For", "X-Real-IP", "mapped into IPv6", "user agent", "path"],
)
def test_nobody_dodges_by(dodge, clock):
    admitted("login")
    assert is_refused("login", dodge)


def test_neighbours_in_an_ipv6_network_count_as_one(clock):
    admitted("login", {"REMOTE_ADDR": "2001:db8:0:100::1"})
    assert is_refused("login", {"REMOTE_ADDR": "2001:db8:0:1ff:ffff::9"})
    assert not is_refused("login", {"REMOTE_ADDR": "2001:db8:0:200::1"})


def test_behind_a_trusted_proxy_each_client_has_its_own(clock, settings):
    from ipaddress import ip_network

    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    _client_address.cache_clear()
    behind = [{"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": f"203.0.113.{n}"} for n in (1, 2)]
    admitted("login", behind[0])
    assert not is_refused("login", behind[1])
    # What the client itself wrote on the left is its own claim.
    assert is_refused("login", {**behind[0], "HTTP_X_FORWARDED_FOR": "203.0.113.99, 203.0.113.1"})
    _client_address.cache_clear()


# --- The rates in force ----------------------------------------------------------------------------------


@pytest.fixture
def passing(monkeypatch):
    """Lets the copy and the memory of a process grow older, by seconds."""
    passed = [0.0]
    monkeypatch.setattr(rates.time, "monotonic", lambda: passed[0])

    def pass_by(seconds):
        passed[0] += seconds

    return pass_by


def edit(name, **fields):
    """As staff do, up to and with what follows the commit."""
    limit = EndpointLimit.objects.get(name=name)
    for field, value in fields.items():
        setattr(limit, field, value)
    limit.save()
    rates._announce()


def test_what_staff_change_is_in_force_within_a_second(clock, passing):
    assert rates.rate_of("login") == (10, 60)
    edit("login", requests=3)
    passing(0.99)
    assert rates.rate_of("login") == (10, 60)
    passing(0.01)
    assert rates.rate_of("login") == (3, 60)


def test_a_raised_limit_lets_in_who_was_known_to_be_over_it(clock, passing):
    admitted("login")
    edit("login", requests=20)
    passing(1)
    assert admitted("login")[0] == 20


def test_a_save_is_announced_after_its_commit_and_not_before(django_capture_on_commit_callbacks):
    rates._announce()
    with django_capture_on_commit_callbacks(execute=True):
        limit = EndpointLimit.objects.get(name="login")
        limit.requests = 4
        limit.save()
        assert cache.get(rates.ENTRY)["login"] == (10, 60)
    assert cache.get(rates.ENTRY)["login"] == (4, 60)
    with django_capture_on_commit_callbacks(execute=True):
        limit.delete()
    assert "login" not in cache.get(rates.ENTRY)


def test_an_empty_number_is_no_limit(clock):
    edit("login", requests=None)
    assert not any(is_refused("login") for _ in range(50))


def test_an_announcement_that_came_meanwhile_is_not_overwritten_by_what_was_read_before(monkeypatch):
    of_rows = rates._of_rows

    def while_staff_save():
        read = of_rows()
        monkeypatch.setattr(rates, "_of_rows", of_rows)
        edit("login", requests=7)
        return read

    monkeypatch.setattr(rates, "_of_rows", while_staff_save)
    rates.rate_of("login")
    rates.forget_copy()
    assert rates.rate_of("login") == (7, 60)


def test_a_change_that_nobody_announced_holds_when_the_entry_ends(valkey):
    rates.rate_of("login")
    EndpointLimit.objects.filter(name="login").update(requests=7)
    rates.forget_copy()
    assert rates.rate_of("login") == (10, 60)
    (entry,) = valkey.keys(f"*:{rates.ENTRY}")
    assert 0 < valkey.ttl(entry) <= 60
    valkey.delete(entry)
    rates.forget_copy()
    assert rates.rate_of("login") == (7, 60)


# --- What it costs ---------------------------------------------------------------------------------------


@pytest.fixture
def round_trips(valkey):
    """How often the store was asked something since this was last called."""

    def asked():
        valkey.config_resetstat()
        return lambda: sum(
            facts["calls"]
            for command, facts in valkey.info("commandstats").items()
            if command in ("cmdstat_get", "cmdstat_exec", "cmdstat_eval", "cmdstat_evalsha")
        )

    return asked


def test_a_warm_request_runs_no_sql_and_makes_one_round_trip(
    clock, round_trips, passing, django_assert_num_queries
):
    charge("login", ADA)
    asked = round_trips()
    with django_assert_num_queries(0):
        for _ in range(9):
            charge("login", ADA)
    assert asked() == 9


def test_who_is_known_to_be_over_costs_no_round_trip(clock, round_trips, passing):
    admitted("login")
    asked = round_trips()
    assert all(is_refused("login") for _ in range(20))
    assert asked() == 0


def test_what_a_process_knows_is_forgotten_within_two_seconds(clock):
    """Somebody may have emptied the cache."""
    _, wait = admitted("password_reset")
    assert wait > 2
    cache.delete_pattern("rl:*")
    clock.move_to(NOON + 1.9)
    assert is_refused("password_reset")
    clock.move_to(NOON + 2)
    assert not is_refused("password_reset")


def test_what_a_process_knows_is_bounded(monkeypatch):
    monkeypatch.setattr(known_full, "CAPACITY", 3)
    known = KnownFull(clock=lambda: NOON)
    for number in range(10):
        known.remember(("login", str(number)), (10, 60), 30)
    assert list(known._known) == [("login", "7"), ("login", "8"), ("login", "9")]


def test_a_count_ends_by_itself(clock, valkey):
    charge("contact", ADA)
    (count,) = valkey.keys("*:rl:*")
    assert 900 < valkey.ttl(count) <= 905


# --- While nobody can count ------------------------------------------------------------------------------


@pytest.fixture(params=["nobody listens", "silent"])
def cache_that_is_away(request, settings):
    """At an address where nobody listens, or where connections are taken and never answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if request.param == "nobody listens":
            server.close()
        caches = copy.deepcopy(settings.CACHES)
        for one in caches.values():
            one["LOCATION"] = f"redis://127.0.0.1:{port}/0"
            one["OPTIONS"]["SOCKET_TIMEOUT"] = 0.05
        settings.CACHES = caches
        yield
        get_redis_connection("default").connection_pool.disconnect()


@pytest.mark.parametrize("name", NAMES)
def test_without_the_cache_what_could_be_guessed_is_refused_and_the_rest_goes_on(name, cache_that_is_away):
    if name in REFUSED_WITHOUT_A_COUNT:
        with pytest.raises(RedisError):
            charge(name, ADA)
    else:
        charge(name, ADA)
    assert {"login", "password_reset", "contact"} == REFUSED_WITHOUT_A_COUNT


def test_one_request_a_second_finds_out_whether_the_cache_is_back(cache_that_is_away, monkeypatch, caplog):
    now, asked = [0.0], []
    monkeypatch.setattr(limiter._outage, "_clock", lambda: now[0])
    monkeypatch.setattr(limiter, "rate_of", lambda name, ask=rates.rate_of: asked.append(name) or ask(name))
    caplog.set_level(logging.WARNING)
    for _ in range(5):
        charge("download", ADA)
    assert len(asked) == 1
    with pytest.raises(RedisError):
        charge("login", ADA)
    assert len(asked) == 1
    now[0] = 1
    for _ in range(5):
        charge("download", ADA)
    assert len(asked) == 2
    now[0] = 2
    monkeypatch.setattr(limiter, "rate_of", lambda name: None)
    for _ in range(5):
        charge("download", ADA)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


def test_while_one_asks_whether_the_cache_is_back_no_other_waits_for_it():
    now = [0.0]
    outage = Outage(clock=lambda: now[0])
    outage.begins(RedisError("away"))
    now[0] = 1
    outage.raise_if_known()
    with pytest.raises(StoreAway):
        outage.raise_if_known()
    outage.ends()
    outage.raise_if_known()


def test_without_the_database_a_process_that_is_warm_counts_on(clock):
    charge("login", ADA)
    connection.close()
    with connection.execute_wrapper(lambda *_: pytest.fail("SQL")):
        assert admitted("login")[0] == 9


# --- The decorator ---------------------------------------------------------------------------------------


def view(request: HttpRequest) -> HttpResponse:
    """As it says."""
    return HttpResponse("done")


view.csrf_exempt = True


def asked(decorated, method):
    request = RequestFactory().generic(method, "/anything/", REMOTE_ADDR="203.0.113.7")
    try:
        return decorated(request).content
    except EndpointLimitReached as reached:
        return reached.name


def test_the_methods_that_count_are_counted_and_no_other(clock):
    decorated = limited("contact")(view)
    assert [asked(decorated, "POST") for _ in range(6)] == [b"done"] * 5 + ["contact"]
    assert [asked(decorated, method) for method in ("GET", "HEAD", "OPTIONS")] == [b"done"] * 3


def test_asking_for_the_head_alone_is_asking(clock):
    decorated = limited("contact", methods=("GET",))(view)
    for _ in range(5):
        asked(decorated, "HEAD")
    assert asked(decorated, "GET") == asked(decorated, "HEAD") == "contact"
    assert asked(decorated, "POST") == b"done"


def test_a_decorated_view_is_the_view_it_was():
    decorated = limited("contact")(view)
    assert (decorated.__name__, decorated.__doc__, decorated.csrf_exempt) == ("view", "As it says.", True)


def test_a_name_that_nobody_knows_fails_when_the_view_is_defined():
    with pytest.raises(UnknownEndpointLimit):
        limited("sign_in")
    with pytest.raises(UnknownEndpointLimit):
        charge("sign_in", ADA)
