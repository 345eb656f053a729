"""The pages about webhooks: whose they are, what they show, and what can be done there."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, User
from images.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret
from images.webhooks import actions, sending, signing
from images.webhooks.sending import send_what_is_due
from tests.admin_pages import change_page

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
URL = "https://hooks.example.com/a?token=abc"


@pytest.fixture
def olivia(db) -> User:
    return User.objects.create_user("olivia@example.com", PASSWORD)


@pytest.fixture
def hers(client, olivia) -> Client:
    client.force_login(olivia)
    return client


@pytest.fixture(autouse=True)
def _nobody_is_woken(monkeypatch):
    monkeypatch.setattr(actions, "wake", lambda: None)


def read(client: Client, url: str = "/webhooks/") -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return answer.content.decode()


def sign_in_again(client: Client, url: str, **data: str):
    """Send a form that asks for the password first; gives the answer behind it."""
    asked = client.post(url, data)
    assert asked.status_code == 302
    assert "/reauthenticate/" in asked["Location"]
    return client.post(asked["Location"], {"password": PASSWORD})


def tried(delivery: WebhookDelivery, status_code: int | None = 503, error: str = "") -> None:
    WebhookAttempt.objects.create(
        delivery=delivery, status_code=status_code, error=error, milliseconds=1234, at=timezone.now()
    )


def test_nothing_yet_says_how_to_begin(hers):
    text = read(hers)
    assert "No job of yours had a webhook yet" in text
    assert "webhook_url=https://example.com/hook" in text
    assert "/docs/webhooks/" in text
    assert not WebhookSecret.objects.exists()  # it is made when it is asked for


def test_whoever_is_not_signed_in_is_led_to_the_door(client, owe):
    delivery = owe(URL)
    for path in paths(delivery):
        for method in (client.get, client.post):
            assert method(path)["Location"].startswith("/accounts/login/")


def paths(delivery: WebhookDelivery) -> list[str]:
    return [
        "/webhooks/",
        "/webhooks/secret/",
        "/webhooks/secret/rotate/",
        "/webhooks/secret/stop-former/",
        f"/webhooks/addresses/{delivery.endpoint_id}/disable/",
        f"/webhooks/addresses/{delivery.endpoint_id}/enable/",
        f"/webhooks/deliveries/{delivery.pk}/again/",
    ]


def test_everything_is_looked_up_through_its_owner(client, owe):
    delivery = owe(URL)
    client.force_login(User.objects.create_user("mallory@example.com", PASSWORD))
    text = read(client)
    assert delivery.pk not in text
    assert "hooks.example.com" not in text
    for path in paths(delivery)[4:]:
        for method in (client.get, client.post):
            assert method(path).status_code == 404
    delivery.refresh_from_db()
    assert (delivery.status, delivery.endpoint.disabled_at) == ("waiting", None)


def test_a_get_changes_nothing_and_leads_to_the_page(hers, owe):
    delivery = owe(URL)
    for path in [path for path in paths(delivery)[1:] if "rotate" not in path]:
        assert hers.get(path)["Location"] == "/webhooks/"
    assert hers.get("/webhooks/secret/rotate/")["Location"] == "/webhooks/"  # there is none to rotate
    assert not AuditEntry.objects.exists()
    assert not WebhookSecret.objects.exists()


def test_forms_need_their_token(owe, olivia):
    delivery = owe(URL)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(olivia)
    for path in paths(delivery)[1:]:
        assert strict.post(path).status_code == 403


def test_the_secret_is_shown_to_who_has_just_signed_in(hers, olivia):
    shown = sign_in_again(hers, "/webhooks/secret/")
    secret = signing.text_of(WebhookSecret.objects.get(owner=olivia))
    assert secret in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert secret not in read(hers)
    assert "whsec_••••" in read(hers)
    again = hers.post("/webhooks/secret/")  # within the five minutes
    assert secret in again.content.decode()


def test_rotating_shows_the_new_secret_and_says_what_becomes_of_the_old(hers, olivia, secret):
    assert "24 hours" in read(hers, "/webhooks/secret/rotate/")
    shown = sign_in_again(hers, "/webhooks/secret/rotate/").content.decode()
    new = signing.text_of(WebhookSecret.objects.get(owner=olivia))
    assert new != secret
    assert new in shown
    assert secret not in shown
    assert "signed with the former secret, too" in shown
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor) == ("rotated", olivia)
    assert new not in str(vars(entry))
    assert "The former secret signs, too, until" in read(hers)
    answer = hers.post("/webhooks/secret/stop-former/", follow=True).content.decode()
    assert "The former secret signs no more." in answer
    assert "signs, too, until" not in answer


def test_a_secret_of_another_secret_key_is_told_and_can_be_rotated(hers, olivia, secret, settings):
    WebhookSecret.objects.filter(owner=olivia).update(sealed="gAAAAA-of-another-key")
    told = sign_in_again(hers, "/webhooks/secret/")
    assert told["Location"] == "/webhooks/"
    assert "Rotate it." in read(hers)
    assert "whsec_" in hers.post("/webhooks/secret/rotate/").content.decode()


def test_each_event_tells_how_it_stands(hers, owe, monkeypatch):
    with time_machine.travel(timezone.now(), tick=False):
        new, delivered, late, retried, given_up, told, sending_now = (owe(URL) for _ in range(7))
        set_to(delivered, "delivered", attempts=1)
        tried(delivered, 200)
        set_to(late, "delivered", attempts=3)
        tried(late, 204)
        set_to(retried, "waiting", attempts=2, next_attempt_at=timezone.now() + timedelta(minutes=30))
        tried(retried, 503)
        set_to(given_up, "failed", attempts=7)
        tried(given_up, None, "No answer within 15 s.")
        set_to(told, "failed", attempts=1, note=sending.GONE_MEANWHILE)
        set_to(sending_now, "sending", next_attempt_at=timezone.now() + timedelta(minutes=1))
        text = " ".join(read(hers).split())
    for delivery in (new, delivered, late, retried, given_up, told, sending_now):
        assert f"webhook-id: {delivery.pk}" in text
        assert delivery.about in text
    assert "HTTP 200 OK at the first attempt." in text
    assert "HTTP 204 No Content at attempt 3." in text
    assert "Attempt 2 of 7 failed. HTTP 503 Service Unavailable. Next attempt" in text
    assert "in 30 min" in text
    assert "Given up after 7 attempts. No answer within 15 s." in text
    assert sending.GONE_MEANWHILE in text
    assert "It is on its way." in text
    assert "It is about to be sent." in text
    assert "1,234 ms" in text
    assert text.count("Send now") == 2  # the new one and the retried one


def set_to(delivery: WebhookDelivery, status: str, **fields: object) -> None:
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        **{"status": status, "next_attempt_at": None, **fields}
    )


def test_the_log_is_paged_newest_first_at_no_more_queries(hers, owe, django_assert_max_num_queries):
    deliveries = [owe(URL) for _ in range(30)]
    with django_assert_max_num_queries(10):
        first = read(hers)
    second = read(hers, "/webhooks/?page=2")
    assert deliveries[-1].pk in first
    assert deliveries[0].pk in second
    assert deliveries[0].pk not in first
    for number in ("0", "9999", "x", ""):
        read(hers, f"/webhooks/?page={number}")


def test_a_given_up_event_is_sent_again_under_the_same_id(hers, owe, receiver):
    delivery = owe(receiver.url)
    set_to(delivery, "failed", attempts=7, note="x")
    answer = hers.post(f"/webhooks/deliveries/{delivery.pk}/again/", {"page": "1"}, follow=True)
    assert "is sent again now, under the same webhook-id" in answer.content.decode()
    assert answer.redirect_chain[0][0] == "/webhooks/?page=1"
    receiver.answer = 500
    send_what_is_due()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.note) == ("waiting", 1, "")
    # Whoever mended their server needn't wait for the schedule.
    receiver.answer = 200
    hers.post(f"/webhooks/deliveries/{delivery.pk}/again/")
    send_what_is_due()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("delivered", 1)
    assert [received.id for received in receiver.received] == [delivery.pk] * 2


def test_an_event_that_can_t_be_sent_again_says_why(hers, owe):
    gone, disabled, under_way = owe("https://a.example.com/"), owe("https://b.example.com/"), owe(URL)
    gone.job.delete()
    set_to(gone, "failed")
    WebhookEndpoint.objects.filter(pk=disabled.endpoint_id).update(disabled_at=timezone.now())
    set_to(disabled, "failed")
    set_to(under_way, "sending", next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert "Send again" not in read(hers)
    for delivery, why in ((gone, "was removed"), (disabled, "enable that first"), (under_way, "right now")):
        answer = hers.post(f"/webhooks/deliveries/{delivery.pk}/again/", follow=True).content.decode()
        assert "Not sent again." in answer
        assert why in answer
        delivery.refresh_from_db()
        assert delivery.status != "waiting"


def test_an_address_is_disabled_and_enabled_and_both_are_written_down(hers, owe, olivia):
    waits = owe(URL)
    where = f"/webhooks/addresses/{waits.endpoint_id}"
    answer = hers.post(f"{where}/disable/", follow=True).content.decode()
    assert "nothing is sent to https://hooks.example.com" in answer
    waits.refresh_from_db()
    assert (waits.status, waits.note) == ("failed", sending.DISABLED)
    hers.post(f"{where}/disable/")  # twice is once
    assert "Enabled: https://hooks.example.com" in hers.post(f"{where}/enable/", follow=True).content.decode()
    hers.post(f"{where}/enable/")
    entries = AuditEntry.objects.order_by("pk")
    assert [entry.action for entry in entries] == ["disabled", "enabled"]
    assert {entry.actor for entry in entries} == {olivia}
    assert not [entry for entry in entries if "token" in str(vars(entry))]


def test_an_address_that_answered_410_says_so_until_it_is_enabled(hers, owe, receiver):
    delivery = owe(receiver.url)
    receiver.answer = 410
    send_what_is_due()
    assert "Answered 410 Gone" in read(hers)
    hers.post(f"/webhooks/addresses/{delivery.endpoint_id}/enable/")
    assert "Answered 410 Gone" not in read(hers)


def test_the_account_s_menu_leads_here(hers):
    assert 'href="/webhooks/"' in read(hers, "/keys/")


def test_staff_look_and_see_no_secret_and_of_an_address_its_host(client, owe, secret, olivia):
    delivery = owe(URL)
    tried(delivery)
    client.force_login(User.objects.create_superuser("root@example.com", PASSWORD))
    for row in (delivery, delivery.endpoint):
        for path in (change_page(row), change_page(row).split(f"{row.pk}/")[0]):
            text = client.get(path).content.decode()
            assert "https://hooks.example.com" in text
            assert "token=abc" not in text
            assert secret not in text
        assert client.post(change_page(row), {"status": "delivered"}).status_code == 403
    assert client.get("/admin/images/webhooksecret/").status_code == 404
