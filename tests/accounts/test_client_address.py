"""Whose address a request comes from, and which network it counts as."""

from ipaddress import ip_network

import pytest

from accounts import client_address as module
from accounts.client_address import client_address, client_network


@pytest.fixture(autouse=True)
def _nothing_remembered():
    module._client_address.cache_clear()
    yield
    module._client_address.cache_clear()


@pytest.fixture
def trusting(settings):
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48")]


def seen(remote, forwarded_for=None):
    meta = {"REMOTE_ADDR": remote}
    if forwarded_for is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded_for
    return str(client_address(meta))


def test_nothing_is_trusted_by_default():
    assert seen("203.0.113.9", "198.51.100.1") == "203.0.113.9"
    assert seen("127.0.0.1", "198.51.100.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("remote", "forwarded_for", "client"),
    [
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("10.0.0.1", "198.51.100.1, rubbish", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("203.0.113.9", "198.51.100.1, 10.0.0.1", "203.0.113.9"),
        ("2001:db8:ffff::1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("10.0.0.1", "198.51.100.1:55123", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_right_most_hop_that_is_no_trusted_proxy_is_the_client(trusting, remote, forwarded_for, client):
    assert seen(remote, forwarded_for) == client


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2345::1", "2001:db8:1:2300::/56"),
        ("2001:db8:1:23ff:ffff::9", "2001:db8:1:2300::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("", "127.0.0.1"),
    ],
)
def test_ipv4_counts_as_itself_and_ipv6_as_its_network(remote, network):
    assert client_network({"REMOTE_ADDR": remote}) == network


def test_the_size_of_an_ipv6_network_is_a_setting(settings):
    settings.IPV6_PREFIX = 64
    assert client_network({"REMOTE_ADDR": "2001:db8:1:2345::1"}) == "2001:db8:1:2345::/64"
