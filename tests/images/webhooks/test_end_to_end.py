"""From a request with a webhook_url to the event at its receiver, by a real worker on a real queue."""

import pytest
from django.test import Client

from images.drawings import draw
from images.models import WebhookDelivery
from images.webhooks import signing, waking
from tests.images.calls import convert

pytestmark = pytest.mark.usefixtures("worker")


def secret_of(email: str) -> str:
    from accounts.models import User

    return signing.text_of(signing.secret_of(User.objects.get(email=email).pk))


def test_a_job_s_end_arrives_and_its_result_can_be_downloaded(api, receiver):
    answer = convert(api, draw(1, (30, 20), "png"), webhook_url=receiver.url)
    assert answer.status_code == 202
    (received,) = receiver.wait_for(1)
    event = received.verified_by(secret_of("olivia@example.com"))
    assert (event["type"], event["data"]["id"]) == ("job.completed", answer.json()["id"])
    result = Client().get(event["data"]["download_url"])
    assert (result.status_code, result["Content-Type"]) == (200, "image/webp")


def test_a_job_that_fails_tells_so_too(api, receiver):
    answer = convert(api, b"some text", webhook_url=receiver.url)
    assert answer.status_code == 202
    (received,) = receiver.wait_for(1)
    event = received.verified_by(secret_of("olivia@example.com"))
    assert (event["type"], event["data"]["status"]) == ("job.failed", "failed")
    assert event["data"]["error"]["code"] == "unsupported_format"


def test_a_private_address_is_refused_and_no_job_made(api):
    answer = convert(api, draw(1, (30, 20), "png"), webhook_url="http://169.254.169.254/latest/meta-data/")
    assert (answer.status_code, answer.json()["field"]) == (400, "webhook_url")
    guest = convert(Client(), draw(1, (30, 20), "png"), webhook_url="https://example.com/")
    assert (guest.status_code, guest.json()["field"]) == (400, "webhook_url")
    assert not WebhookDelivery.objects.exists()


def test_a_broker_that_is_away_fails_nobody(monkeypatch, settings):
    """Beat finds what is due."""
    from koalapanel.celery import app

    monkeypatch.setattr(app.conf, "broker_write_url", "redis://127.0.0.1:1/0")
    waking.wake()
