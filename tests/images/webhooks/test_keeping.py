"""How long webhooks are kept, and what goes with an account."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from accounts.account.deletion import delete_account
from accounts.models import User
from images.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret
from images.tasks import forget_old_webhooks
from images.webhooks import signing
from images.webhooks.keeping import KEPT_FOR

pytestmark = pytest.mark.django_db


def ended(delivery: WebhookDelivery) -> WebhookDelivery:
    WebhookDelivery.objects.filter(pk=delivery.pk).update(status="delivered", next_attempt_at=None)
    WebhookAttempt.objects.create(delivery=delivery, milliseconds=1, status_code=200)
    return delivery


def test_deliveries_and_their_log_are_kept_for_30_days(owe):
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        old, under_way = ended(owe("https://a.example.com/")), owe("https://b.example.com/")
        clock.move_to(start + KEPT_FOR)
        recent = ended(owe("https://a.example.com/"))
        forget_old_webhooks()
        assert WebhookDelivery.objects.filter(pk=old.pk).exists()
        clock.shift(timedelta(seconds=1))
        forget_old_webhooks()
    assert set(WebhookDelivery.objects.all()) == {under_way, recent}
    assert WebhookAttempt.objects.get().delivery == recent


def test_addresses_go_when_nobody_has_used_them_for_as_long(owe, olivia):
    _, used, disabled = (ended(owe(f"https://{name}.example.com/")).endpoint for name in "abc")
    WebhookDelivery.objects.all().delete()
    under_way = owe("https://d.example.com/").endpoint
    long_ago = timezone.now() - KEPT_FOR - timedelta(seconds=1)
    WebhookEndpoint.objects.exclude(pk=used.pk).update(last_used_at=long_ago)
    WebhookEndpoint.objects.filter(pk=disabled.pk).update(disabled_at=long_ago)
    forget_old_webhooks()
    assert set(WebhookEndpoint.objects.all()) == {used, disabled, under_way}
    WebhookEndpoint.objects.update(last_used_at=timezone.now() - 13 * KEPT_FOR)
    forget_old_webhooks()
    assert set(WebhookEndpoint.objects.all()) == {under_way}


def test_a_former_secret_goes_when_it_signs_no_more(olivia):
    with time_machine.travel(timezone.now(), tick=False) as clock:
        signing.rotate(olivia, by=olivia)
        forget_old_webhooks()
        assert WebhookSecret.objects.get().former_sealed
        clock.shift(signing.OVERLAP + timedelta(seconds=1))
        forget_old_webhooks()
    assert WebhookSecret.objects.get().former_sealed == ""


def test_all_of_it_goes_with_the_account(owe, secret, olivia):
    ended(owe("https://a.example.com/"))
    owe("https://b.example.com/")
    zoe = User.objects.create_user("zoe@example.com")
    hers = owe("https://a.example.com/", zoe)
    delete_account(olivia)
    assert WebhookDelivery.objects.get() == hers
    assert WebhookEndpoint.objects.get() == hers.endpoint
    assert not WebhookSecret.objects.exists()
    assert not WebhookAttempt.objects.exists()
