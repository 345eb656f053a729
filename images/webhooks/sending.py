"""Sends the events that are due, from the worker: several at once, so that a slow receiver holds up no other.

An event is sent at least once. Between a receiver's answer and our row that says so a crash can always come;
then it is sent again, under the same `webhook-id`.
"""

import logging
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.sealing import BrokenSeal
from images.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from images.webhooks import events, schedule, signing, turns
from images.webhooks.calling import Answer, call
from images.webhooks.waking import wake

logger = logging.getLogger(__name__)

AT_ONCE = 32
# Of one account, whose receivers may all be slow.
AT_ONCE_OF_ONE = 4
# Seconds. After the first a run begins no further attempt, and lets another worker do so while it waits for
# the answers that it is owed; at the second it is killed.
RUN_SECONDS = 30
HARD_LIMIT = 120
# An attempt is its sender's for longer than a call takes, with the time to look its host's name up.
CLAIM = timedelta(minutes=1)
# How soon a run sees what became due while all that it has under way takes its time.
LOOKS_EVERY = 0.1

GONE = 410
NO_JOB = "The job was removed, a day after its end."
DISABLED = "The address was disabled."
GONE_MEANWHILE = "The address answered 410 Gone to another event."
UNREADABLE = "The secret can't be read since the server's SECRET_KEY was changed: rotate it."
UNMADE = "It can't be made: a fault of ours, which is in our log."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One that is this worker's to make."""

    delivery: WebhookDelivery
    at: datetime


def send_what_is_due() -> int:
    """Send what is due, and what becomes due meanwhile; gives the number of attempts made."""
    made, end = 0, time.monotonic() + RUN_SECONDS
    turns.ask()
    # Asked again after each turn: who owed an event while it ended has found it taken.
    while turns.is_asked() and time.monotonic() < end:
        turn = turns.take()
        if turn is None:
            break
        try:
            made += _Run(turn, end).send()
        finally:
            turn.end()
    return made


class _Run:
    """Only this thread asks the database; the others call receivers."""

    def __init__(self, turn: turns.Turn, end: float) -> None:
        self._turn, self._end = turn, end
        self._under_way: dict[Future[Answer], Attempt] = {}
        self._of_owner: Counter[int] = Counter()
        self._is_over = False

    def send(self) -> int:
        made = 0
        with ThreadPoolExecutor(AT_ONCE, "webhooks") as threads:
            while True:
                made += self._begin_what_is_due(threads)
                if not self._under_way:
                    return made
                done, _ = wait(self._under_way, LOOKS_EVERY, FIRST_COMPLETED)
                for future in done:
                    self._finish(future)
                if time.monotonic() < self._end:
                    self._turn.keep()
                elif not self._is_over:
                    self._is_over = True
                    self._turn.end()
                    wake()

    def _begin_what_is_due(self, threads: ThreadPoolExecutor) -> int:
        begun = 0
        while len(self._under_way) < AT_ONCE and time.monotonic() < self._end:
            delivery = self._next(timezone.now())
            if delivery is None:
                break
            # If another was faster, there may be a next one.
            if delivery.claim(timezone.now() + CLAIM):
                begun += self._begin(delivery, threads)
        return begun

    def _next(self, now: datetime) -> WebhookDelivery | None:
        """The longest due, but of no account that has as many under way as it may."""
        busy = [owner for owner, number in self._of_owner.items() if number >= AT_ONCE_OF_ONE]
        due = WebhookDelivery.objects.due(now).select_related("endpoint", "job")
        return due.exclude(owner__in=busy).first()

    def _begin(self, delivery: WebhookDelivery, threads: ThreadPoolExecutor) -> bool:
        """Have a thread make the attempt; `False` where there is nothing to be sent."""
        if delivery.endpoint.disabled_at is not None:
            delivery.give_up(DISABLED, attempted=False)
            return False
        if delivery.job is None:
            delivery.give_up(NO_JOB, attempted=False)
            return False
        at = timezone.now()
        attempt = Attempt(delivery, at)
        try:
            body = events.body_of(delivery, delivery.job)
            signature = signing.signatures(delivery.owner_id, delivery.pk, at, body)
        except BrokenSeal:
            _book(attempt, Answer(0, error=UNREADABLE))
            return False
        except (ValueError, TypeError):
            # Whatever it is, it is this event's, and must not keep the others.
            logger.exception("The event %s can't be made", delivery)
            _book(attempt, Answer(0, error=UNMADE))
            return False
        headers = {
            "webhook-id": delivery.pk,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
        self._under_way[threads.submit(call, delivery.endpoint.url, body, headers)] = attempt
        self._of_owner[delivery.owner_id] += 1
        return True

    def _finish(self, future: Future[Answer]) -> None:
        attempt = self._under_way.pop(future)
        self._of_owner[attempt.delivery.owner_id] -= 1
        _book(attempt, future.result())


def _book(attempt: Attempt, answer: Answer) -> None:
    """Write down what became of an attempt, and what comes next."""
    delivery = attempt.delivery
    now = timezone.now()
    with transaction.atomic():
        # Locked first: with its owner's account, it may have been deleted meanwhile.
        if not WebhookDelivery.objects.select_for_update().filter(pk=delivery.pk).exists():
            return
        WebhookAttempt.objects.create(
            delivery=delivery,
            at=attempt.at,
            milliseconds=answer.milliseconds,
            status_code=answer.status_code,
            error=answer.error,
        )
        if answer.is_success:
            delivery.book_as_delivered(now)
        elif answer.status_code == GONE:
            delivery.give_up()
            _disable(delivery.endpoint, now)
        elif next_at := schedule.next_attempt(delivery.attempts + 1, now, answer.retry_after):
            delivery.postpone(next_at)
        else:
            delivery.give_up()
            logger.info("%s was given up after its last attempt", delivery)


def _disable(endpoint: WebhookEndpoint, now: datetime) -> None:
    """It says itself that nobody listens any more: nothing else is sent there until a person says so."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None).update(disabled_at=now, is_gone=True)
    WebhookDelivery.objects.end_waiting(endpoint, GONE_MEANWHILE)
