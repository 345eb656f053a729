"""Which addresses may be given as webhook_url, and what becomes of them."""

from datetime import timedelta
from ipaddress import ip_address

import pytest
import time_machine
from django.utils import timezone

from accounts.models import Tier, User
from images.models import Job, WebhookDelivery, WebhookEndpoint
from images.webhooks import endpoints
from images.webhooks.addresses import is_public
from images.webhooks.endpoints import endpoint_of
from usage.limits.refusals import ApiError
from usage.subjects import Subject, of_network

pytestmark = pytest.mark.django_db


@pytest.fixture
def olivia() -> User:
    return User.objects.create_user("olivia@example.com")


@pytest.fixture
def subject(olivia) -> Subject:
    return subject_of(olivia)


def subject_of(user: User) -> Subject:
    return Subject(
        id="k:1",
        limits=Tier.objects.get(slug="free").limits,
        tier="free",
        tier_revision=0,
        account_id=user.pk,
    )


def why_refused(subject, url) -> str:
    began = timezone.now()
    with pytest.raises(ApiError) as refused:
        endpoint_of(subject, url)
    assert (refused.value.code, refused.value.field) == ("invalid_request", "webhook_url")
    assert not WebhookEndpoint.objects.filter(disabled_at=None, created_at__gt=began).exists()
    return refused.value.detail


def test_an_address_is_one_endpoint_however_it_is_written(subject, olivia):
    first = endpoint_of(subject, "https://Hooks.Example.com")
    assert (first.url, first.owner) == ("https://hooks.example.com/", olivia)
    for same in ("HTTPS://hooks.example.com/", " https://hooks.example.com:443/ "):
        assert endpoint_of(subject, same) == first
    assert endpoint_of(subject, "https://hooks.example.com:8443/a?b=c") != first
    assert WebhookEndpoint.objects.count() == 2


def test_accounts_share_no_endpoint(subject):
    other = subject_of(User.objects.create_user("mallory@example.com"))
    assert endpoint_of(subject, "https://example.com/") != endpoint_of(other, "https://example.com/")


def test_a_guest_is_told_to_send_a_key():
    guest = of_network("192.0.2.1", Tier.objects.get(slug="anonymous"))
    assert why_refused(guest, "https://example.com/") == (
        "Webhooks are signed with your account's secret: send a key."
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "whole address"),
        ("example.com/hook", "https://"),
        ("ftp://example.com/", "https://"),
        ("https:///hook", "host"),
        ("https://user:word@example.com/", "password"),
        ("https://user@example.com/", "password"),
        ("https://@example.com/", "password"),
        ("https://example.com/#part", "#"),
        ("https://example.com/a b", "whole address"),
        ("https://example.com/\u00fc", "ASCII"),
        ("https://example.com\\@10.0.0.1/", "whole address"),
        ("https://example.com/\r\nHost: other", "whole address"),
        ("https://example.com/\x00", "whole address"),
        ("https://example.com:0x50/", "port"),
        ("https://example.com:99999/", "port"),
        ("https://example.com:25/", "port"),
        ("https://example.com:0/", "port"),
        ("https://intranet/", "public name"),
        ("https://localhost/", "public name"),
        ("https://example.com./", "public name"),
        ("https://-example.com/", "public name"),
        ("https://exa%6dple.com/", "public name"),
        (f"https://{'a' * 64}.com/", "public name"),
        (f"https://{'a.' * 130}com/", "public name"),
        (f"https://example.com/{'a' * 2000}", "characters"),
        ("https://[::1/", "well-formed"),
        ("https://[::g]/", "well-formed"),
        ("https://127.1/", "IP address"),
        ("https://2130706433/", "IP address"),
        ("https://0x7f000001/", "IP address"),
        ("https://0177.0.0.1/", "IP address"),
        ("https://1.2.3.4.5/", "IP address"),
    ],
)
def test_an_unfit_address_is_refused_with_the_reason(subject, url, why):
    assert why in why_refused(subject, url)


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "0.0.0.0",  # noqa: S104
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "192.88.99.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::1",
    "2001::1",
    "2001:20::1",
    "2001:db8::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
    "100::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused_at_once(subject, address):
    host = f"[{address}]" if ":" in address else address
    assert "no public address" in why_refused(subject, f"https://{host}/")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "192.31.196.1", "2001:4860:4860::8888", "2606:4700::1"]
)
def test_a_public_address_is_taken(subject, address):
    assert is_public(ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert endpoint_of(subject, f"https://{host}/").url == f"https://{host}/"


def test_an_event_travels_no_less_protected_than_the_panel(subject, settings):
    settings.BASE_URL = "https://panel.example.com"
    assert "https://" in why_refused(subject, "http://example.com/")
    settings.BASE_URL = "http://127.0.0.1:8000"
    assert endpoint_of(subject, "http://example.com:80/").url == "http://example.com/"


def test_for_trials_this_machine_may_be_called_and_no_other_private_one(subject, settings):
    settings.WEBHOOK_ALLOW_LOOPBACK, settings.BASE_URL = True, "https://panel.example.com"
    for url in ("http://127.0.0.1:8080/", "http://localhost:8080/", "http://[::1]:8080/"):
        assert endpoint_of(subject, url).url == url
    for url in ("http://10.0.0.1/", "http://169.254.169.254/", "http://[::ffff:10.0.0.1]/"):
        why_refused(subject, url)


def test_an_address_that_is_disabled_says_where_to_enable_it(subject, settings):
    endpoint = endpoint_of(subject, "https://example.com/")
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(disabled_at=timezone.now())
    with pytest.raises(ApiError) as refused:
        endpoint_of(subject, "https://example.com/")
    assert f"{settings.BASE_URL}/webhooks/" in refused.value.detail


def test_the_last_use_is_noted_to_the_minute(subject, django_assert_num_queries):
    endpoint = endpoint_of(subject, "https://example.com/")
    with django_assert_num_queries(1):
        endpoint_of(subject, "https://example.com/")
    later = timezone.now() + timedelta(minutes=2)
    with time_machine.travel(later, tick=False):
        endpoint_of(subject, "https://example.com/")
    endpoint.refresh_from_db()
    assert endpoint.last_used_at == later


class TestAnAccountThatHasAllItMay:
    @pytest.fixture(autouse=True)
    def _full(self, subject, monkeypatch):
        monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 3)
        for name in "abc":
            endpoint_of(subject, f"https://{name}.example.com/")

    def age(self, name: str, **ago: int) -> WebhookEndpoint:
        endpoint = WebhookEndpoint.objects.get(url=f"https://{name}.example.com/")
        endpoint.last_used_at = timezone.now() - timedelta(**ago)
        endpoint.save()
        return endpoint

    def names(self) -> str:
        urls = WebhookEndpoint.objects.order_by("url").values_list("url", flat=True)
        return "".join(url.removeprefix("https://")[0] for url in urls)

    def test_is_refused_another_while_all_are_in_use(self, subject):
        assert "At most 3" in why_refused(subject, "https://d.example.com/")
        endpoint_of(subject, "https://a.example.com/")

    def test_gives_up_the_one_unused_for_longest(self, subject):
        self.age("a", days=1)
        self.age("b", days=2)
        endpoint_of(subject, "https://d.example.com/")
        assert self.names() == "acd"

    def test_keeps_those_with_something_under_way(self, subject, olivia):
        waits, owes = self.age("a", days=3), self.age("b", days=2)
        WebhookDelivery.objects.create(owner=olivia, endpoint=waits, event="job.failed")
        Job.objects.create(owner=olivia, subject_id="k:1", webhook=owes, input_bytes=1)
        self.age("c", days=1)
        endpoint_of(subject, "https://d.example.com/")
        assert self.names() == "abd"

    def test_gives_up_those_that_are_disabled_last(self, subject):
        off = self.age("a", days=3)
        off.disabled_at = timezone.now()
        off.save()
        self.age("b", days=1)
        endpoint_of(subject, "https://d.example.com/")
        assert self.names() == "acd"
        endpoint_of(subject, "https://e.example.com/")
        assert self.names() == "cde"
