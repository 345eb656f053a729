"""Events on their way: signed, sent again until they arrive, and never to the same place twice at once."""

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from standardwebhooks import WebhookVerificationError

from accounts import api_keys
from accounts.models import AuditEntry, Tier, User
from images.models import Download, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from images.webhooks import calling, schedule, sending, signing, turns
from images.webhooks.sending import send_what_is_due
from tests.images.webhooks.receiver import receiving

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def state_of(delivery: WebhookDelivery) -> tuple[str, int]:
    delivery.refresh_from_db()
    return delivery.status, delivery.attempts


def log_of(delivery: WebhookDelivery) -> list[int | str]:
    """Status or error of each attempt, oldest first."""
    return [attempt.status_code or attempt.error for attempt in delivery.log.order_by("at", "pk")]


@pytest.fixture
def free_port() -> int:
    """Where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def test_an_event_arrives_and_verifies_with_the_official_library(owe, receiver, secret, olivia):
    delivery = owe(receiver.url)
    assert send_what_is_due() == 1
    (received,) = receiver.received
    event = received.verified_by(secret)
    assert (received.path, received.headers["content-type"]) == ("/hook", "application/json")
    assert received.headers["user-agent"].startswith("KoalaPanel")
    assert received.id == delivery.pk
    assert abs(int(received.headers["webhook-timestamp"]) - time.time()) < 5
    assert (event["type"], event["data"]["id"]) == ("job.completed", delivery.job_id)
    assert datetime.fromisoformat(event["timestamp"]) <= timezone.now()
    assert state_of(delivery) == ("delivered", 1)
    assert (delivery.next_attempt_at, log_of(delivery)) == (None, [200])
    assert send_what_is_due() == 0


def test_the_event_has_the_job_as_the_api_gives_it(owe, receiver, secret, olivia):
    for failed in (False, True):
        delivery = owe(receiver.url, failed=failed)
        send_what_is_due()
        event = receiver.received[-1].verified_by(secret)
        assert event["type"] == ("job.failed" if failed else "job.completed")
        _, key = api_keys.issue(olivia, name="tests", tier=Tier.objects.get(slug="free"))
        asked = Client(headers={"X-Api-Key": key}).get(f"/api/v1/jobs/{delivery.job_id}").json()
        for job in (event["data"], asked):
            job["download_url"] = job["download_url"] and job["download_url"].partition("?")[0]
            del job["expires_at"]
        assert event["data"] == asked


def test_the_download_address_is_fresh_at_each_attempt_and_kept_nowhere(owe, receiver, secret):
    receiver.answer = 500
    with time_machine.travel(START, tick=False) as clock:
        delivery = owe(receiver.url)
        send_what_is_due()
        clock.shift(3600)
        send_what_is_due()
        clock.shift(3600)  # the result is gone by now
        Download.objects.update(uses_left=0)
        send_what_is_due()
        first, second, third = (json.loads(received.body)["data"] for received in receiver.received)
    assert first["expires_at"] == "2026-11-20T13:00:00Z"
    assert second["expires_at"] == "2026-11-20T14:00:00Z"
    assert third["download_url"] is None
    assert not [value for value in vars(delivery).values() if "/downloads/" in str(value)]
    assert len({received.id for received in receiver.received}) == 1
    assert len({received.headers["webhook-timestamp"] for received in receiver.received}) == 3


def test_after_a_rotation_both_secrets_verify_for_a_day_and_then_the_new_one_alone(
    owe, receiver, secret, olivia
):
    with time_machine.travel(START, tick=False) as clock:
        new = signing.text_of(signing.rotate(olivia, by=olivia))
        assert new != secret
        owe(receiver.url)
        send_what_is_due()
        (both,) = receiver.received
        assert len(both.headers["webhook-signature"].split()) == 2
        assert both.verified_by(secret) == both.verified_by(new)
        clock.shift(timedelta(hours=24))
        owe(receiver.url)
        send_what_is_due()
        alone = receiver.received[-1]
        alone.verified_by(new)
        with pytest.raises(WebhookVerificationError):
            alone.verified_by(secret)
    entry = AuditEntry.objects.get(action="rotated", target_type="images.webhooksecret")
    assert secret not in str(vars(entry))


def test_the_former_secret_can_be_stopped_at_once(owe, receiver, secret, olivia):
    signing.rotate(olivia, by=olivia)
    assert signing.end_overlap(olivia, by=olivia)
    assert not signing.end_overlap(olivia, by=olivia)
    owe(receiver.url)
    send_what_is_due()
    with pytest.raises(WebhookVerificationError):
        receiver.received[0].verified_by(secret)


def test_an_account_has_one_secret_of_its_own_and_keeps_it_sealed(olivia, secret):
    other = User.objects.create_user("mallory@example.com")
    assert secret.startswith("whsec_")
    assert signing.text_of(signing.secret_of(olivia.pk)) == secret
    assert signing.text_of(signing.secret_of(other.pk)) != secret
    assert secret.removeprefix("whsec_") not in str(vars(signing.secret_of(olivia.pk)))


def test_an_event_is_tried_on_schedule_and_then_given_up(owe, receiver):
    receiver.answer = 503
    pauses = []
    with time_machine.travel(START, tick=False) as clock:
        delivery = owe(receiver.url)
        while True:
            assert send_what_is_due() == 1
            delivery.refresh_from_db()
            if delivery.has_ended:
                break
            pauses.append(delivery.next_attempt_at - timezone.now())
            clock.move_to(delivery.next_attempt_at - timedelta(seconds=1))
            assert send_what_is_due() == 0
            clock.move_to(delivery.next_attempt_at)
    exact = [timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18000, 36000)]
    assert len(pauses) == len(exact)
    assert all(due <= pause <= due * 1.1 for due, pause in zip(exact, pauses, strict=True)), pauses
    assert state_of(delivery) == ("failed", 7)
    assert log_of(delivery) == [503] * 7


def test_an_event_that_arrives_late_has_arrived(owe, receiver):
    receiver.answer = 500
    delivery = owe(receiver.url)
    send_what_is_due()
    assert state_of(delivery) == ("waiting", 1)
    receiver.answer = 204
    with time_machine.travel(timezone.now() + timedelta(seconds=6)):
        send_what_is_due()
    assert state_of(delivery) == ("delivered", 2)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 304, 400, 401, 404, 429, 500])
def test_whatever_is_not_2xx_is_tried_again_and_no_redirect_followed(owe, receiver, status):
    with receiving() as elsewhere:
        receiver.answer, receiver.headers = status, {"Location": elsewhere.url}
        delivery = owe(receiver.url)
        send_what_is_due()
        assert elsewhere.received == []
    assert state_of(delivery) == ("waiting", 1)
    assert log_of(delivery) == [status]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_success(owe, receiver, status):
    receiver.answer = status
    delivery = owe(receiver.url)
    send_what_is_due()
    assert state_of(delivery) == ("delivered", 1)


def test_410_disables_the_address_and_ends_what_waits_for_it(owe, receiver, olivia):
    receiver.answer = 500
    waits = owe(receiver.url)
    send_what_is_due()
    receiver.answer = 410
    with receiving() as other:
        gone, unconcerned = owe(receiver.url), owe(other.url)
        send_what_is_due()
    endpoint = WebhookEndpoint.objects.get(url=receiver.url)
    assert (endpoint.is_gone, endpoint.disabled_at is None) == (True, False)
    assert (state_of(gone), log_of(gone)) == (("failed", 1), [410])
    assert (state_of(waits), waits.note) == (("failed", 1), sending.GONE_MEANWHILE)
    assert state_of(unconcerned) == ("delivered", 1)
    # A job that was under way owes its event all the same: it ends at once.
    late = owe(receiver.url)
    assert send_what_is_due() == 0
    assert (state_of(late), late.note) == (("failed", 0), sending.DISABLED)
    assert len(receiver.received) == 2


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        ("120", 120),
        (format_datetime(START + timedelta(seconds=600), usegmt=True), 600),
        ("1", 5),
        ("0", 5),
        ("-5", 5),
        (format_datetime(START - timedelta(days=3), usegmt=True), 5),
        ("soon", 5),
        ("", 5),
        ("999999999", 36000),
        ("9" * 5000, 5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 36000),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 36000),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 5),
    ],
    ids=lambda value: str(value)[:40],
)
def test_retry_after_is_honoured_within_bounds(owe, receiver, retry_after, pause):
    receiver.answer, receiver.headers = 503, {"Retry-After": retry_after}
    with time_machine.travel(START, tick=False):
        delivery = owe(receiver.url)
        send_what_is_due()
        delivery.refresh_from_db()
        wait = (delivery.next_attempt_at - timezone.now()).total_seconds()
    assert pause <= wait <= max(pause, 5.5)


def test_retry_after_does_not_bring_an_attempt_forward(owe, receiver, monkeypatch):
    monkeypatch.setattr(schedule, "RETRIES", (timedelta(minutes=5),))
    receiver.answer, receiver.headers = 503, {"Retry-After": "10"}
    delivery = owe(receiver.url)
    send_what_is_due()
    delivery.refresh_from_db()
    assert delivery.next_attempt_at > timezone.now() + timedelta(minutes=4)


def test_a_receiver_that_is_gone_is_tried_again(owe, settings, free_port):
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    delivery = owe(f"http://127.0.0.1:{free_port}/")
    send_what_is_due()
    assert state_of(delivery) == ("waiting", 1)
    assert log_of(delivery) == ["The connection failed: Connection refused"]


def test_a_slow_receiver_holds_up_no_other(owe, receiver, monkeypatch):
    """One account's all hang, and another's event arrives while its first do."""
    monkeypatch.setattr(calling, "READ_SECONDS", 0.5)
    monkeypatch.setattr(sending, "AT_ONCE", 3)
    monkeypatch.setattr(sending, "AT_ONCE_OF_ONE", 2)
    let_go = threading.Event()
    receiver.answer = lambda handler: let_go.wait(10)
    slow = [owe(receiver.url) for _ in range(4)]
    with receiving() as quick:
        prompt = owe(quick.url, User.objects.create_user("zoe@example.com"))
        assert send_what_is_due() == 5
        assert quick.received[0].at < receiver.received[2].at
    let_go.set()
    assert state_of(prompt) == ("delivered", 1)
    assert {state_of(delivery) for delivery in slow} == {("waiting", 1)}
    assert log_of(slow[0]) == ["No answer within 0.5 s."]


def test_a_claim_is_one_workers_alone_and_over_after_a_while(owe, receiver):
    """A worker is killed in the middle: another sends the same event again, under the same id."""
    delivery = owe(receiver.url)
    same = WebhookDelivery.objects.get(pk=delivery.pk)
    assert delivery.claim(timezone.now() + sending.CLAIM)  # and is killed
    assert not same.claim(timezone.now() + sending.CLAIM)
    assert send_what_is_due() == 0
    with time_machine.travel(timezone.now() + sending.CLAIM):
        assert send_what_is_due() == 1
    assert receiver.received[0].id == delivery.pk
    assert state_of(delivery) == ("delivered", 1)


def test_who_comes_back_after_its_claim_was_over_changes_nothing_but_a_success(owe, receiver):
    delivery = owe(receiver.url)
    late = WebhookDelivery.objects.get(pk=delivery.pk)
    late.claim(timezone.now() + timedelta(milliseconds=1))
    delivery.refresh_from_db()
    delivery.claim(timezone.now() + sending.CLAIM)
    late.postpone(timezone.now())
    late.give_up()
    assert state_of(delivery) == ("sending", 0)
    late.book_as_delivered(timezone.now())
    delivery.postpone(timezone.now())
    assert state_of(delivery) == ("delivered", 1)


def test_an_event_whose_job_is_gone_fails_and_says_so(owe, receiver):
    delivery = owe(receiver.url)
    about = delivery.job_id
    delivery.job.delete()
    assert send_what_is_due() == 0
    assert (state_of(delivery), delivery.note, delivery.about) == (("failed", 0), sending.NO_JOB, about)
    assert receiver.received == []


def test_an_account_that_is_deleted_meanwhile_is_no_trouble(owe, receiver, olivia):
    owe(receiver.url)
    receiver.answer = lambda handler: User.objects.filter(pk=olivia.pk).delete() and None
    delivery = WebhookDelivery.objects.get()
    attempt = sending.Attempt(delivery, timezone.now())
    delivery.delete()
    sending._book(attempt, calling.Answer(1, 200))
    assert not WebhookAttempt.objects.exists()


def test_a_secret_that_cannot_be_read_any_more_is_told(owe, receiver, secret, settings):
    delivery = owe(receiver.url)
    settings.SECRET_KEY = "another"
    send_what_is_due()
    assert (state_of(delivery), log_of(delivery)) == (("waiting", 1), [sending.UNREADABLE])


def test_an_event_that_cannot_be_made_keeps_no_other(owe, receiver, monkeypatch):
    broken, sound = owe(receiver.url), owe(receiver.url)
    make = sending.events.body_of

    def fails_for_one(delivery, job):
        if delivery.pk == broken.pk:
            raise ValueError("odd")
        return make(delivery, job)

    monkeypatch.setattr(sending.events, "body_of", fails_for_one)
    send_what_is_due()
    assert (state_of(broken)[0], state_of(sound)[0]) == ("waiting", "delivered")


def test_while_one_worker_sends_another_leaves_it_to_that(owe, receiver):
    owe(receiver.url)
    turn = turns.take()
    assert send_what_is_due() == 0
    turn.end()
    assert turns.is_asked()  # the first looks again before it goes
    assert send_what_is_due() == 1


def test_a_run_whose_time_is_over_lets_another_begin_while_it_waits_for_answers(owe, receiver, monkeypatch):
    monkeypatch.setattr(sending, "RUN_SECONDS", 0.2)
    let_go, woken = threading.Event(), []

    def another_worker_is_woken() -> None:
        turn = turns.take()
        woken.append(turn is not None)
        let_go.set()

    monkeypatch.setattr(sending, "wake", another_worker_is_woken)

    def slowly(handler) -> None:
        let_go.wait(10)
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    receiver.answer = slowly
    delivery = owe(receiver.url)
    assert send_what_is_due() == 1
    assert woken == [True]
    assert turns.take() is None  # the other's turn is not ended by the first
    assert state_of(delivery) == ("delivered", 1)


def test_what_becomes_due_while_a_run_lasts_is_sent_by_it(owe, receiver):
    first = owe(receiver.url)
    second = []

    def owe_another(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    receiver.answer = owe_another
    book = sending._book

    def book_and_owe(attempt, answer):
        book(attempt, answer)
        if not second:
            second.append(owe(receiver.url))

    sending._book = book_and_owe
    try:
        assert send_what_is_due() == 2
    finally:
        sending._book = book
    assert (state_of(first)[0], state_of(second[0])[0]) == ("delivered", "delivered")
