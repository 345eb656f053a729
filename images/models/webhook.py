"""Webhooks: an account's secret, the addresses it gave, and each event that is owed to one of them."""

import secrets
import string
from datetime import datetime
from typing import Self
from urllib.parse import urlsplit

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.models import User
from images.models.job import Job

LONGEST_URL = 2000


def new_event_id() -> str:
    """Standard Webhooks' `webhook-id`: the same at every attempt, so that a receiver knows it again."""
    alphabet = string.digits + string.ascii_letters
    return "msg_" + "".join(secrets.choice(alphabet) for _ in range(24))


class WebhookSecret(models.Model):
    """What signs an account's events, sealed. For a while after a rotation the former one signs, too."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="webhook_secret"
    )
    sealed = models.TextField(editable=False)
    created_at = models.DateTimeField("created", default=timezone.now)
    former_sealed = models.TextField(blank=True, editable=False)
    former_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"webhook secret of {self.owner_id}"


class WebhookEndpointQuerySet(models.QuerySet["WebhookEndpoint"]):
    def idle(self) -> Self:
        """Those with nothing under way to them: no event, and no job that would owe one."""
        on_its_way = WebhookDelivery.objects.filter(endpoint=OuterRef("pk"), next_attempt_at__isnull=False)
        owing = Job.objects.filter(webhook=OuterRef("pk")).exclude(status__in=Job.ENDED)
        return self.exclude(Exists(on_its_way)).exclude(Exists(owing))


class WebhookEndpoint(models.Model):
    """An address that an account gave as its `webhook_url`. Disabled, it gets nothing until it is enabled.

    `last_used_at` is when a request last gave it, to the minute. `is_gone`: it was disabled by its own 410.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField(max_length=LONGEST_URL)
    url_digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the address.")
    created_at = models.DateTimeField("created", default=timezone.now)
    last_used_at = models.DateTimeField("last used", default=timezone.now)
    disabled_at = models.DateTimeField("disabled", null=True, blank=True)
    is_gone = models.BooleanField("answered 410", default=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        # By digest: an index over long addresses would be large, and SQL bounds what one may hold.
        constraints = [
            models.UniqueConstraint(fields=["owner", "url_digest"], name="one_endpoint_per_account_and_url")
        ]

    def __str__(self) -> str:
        """Its host alone: that is for staff and their log, and addresses may hold what opens them."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def of(self, owner: User) -> Self:
        return self.filter(owner=owner)

    def due(self, now: datetime) -> Self:
        """Those to be sent, the longest due first; also one whose sender was not heard of again."""
        return self.filter(next_attempt_at__lte=now).order_by("next_attempt_at", "pk")

    def end_waiting(self, endpoint: WebhookEndpoint, note: str) -> int:
        """Give up what waits for this address, but for what is being sent; gives how many."""
        waiting = self.filter(endpoint=endpoint, status=WebhookDelivery.Status.WAITING)
        return waiting.update(status=WebhookDelivery.Status.FAILED, next_attempt_at=None, note=note)


class WebhookDelivery(models.Model):
    """One event on its way to one address: written in the transaction that ends the job, sent by the worker.

    `next_attempt_at` is empty once it is delivered or given up; while it is being sent, it says when that is
    no longer believed. Its body is made from the job at each attempt: the download address in it is fresh,
    and nowhere kept. `about` is the job's id, which outlives its row; `note` says why it was given up, where
    no attempt does. The owner is the endpoint's: here, too, for the index.
    """

    class Event(models.TextChoices):
        COMPLETED = "job.completed"
        FAILED = "job.failed"

    class Status(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        DELIVERED = "delivered"
        FAILED = "failed"

    id = models.CharField(primary_key=True, max_length=32, default=new_event_id, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="webhook_deliveries"
    )
    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    job = models.ForeignKey(Job, models.SET_NULL, null=True, blank=True, related_name="deliveries")
    about = models.CharField("job's id", max_length=32, blank=True, editable=False)
    event = models.CharField(max_length=16, choices=Event)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Anew when redelivered.")
    created_at = models.DateTimeField("created", default=timezone.now)
    next_attempt_at = models.DateTimeField("next attempt", null=True, blank=True, default=timezone.now)
    delivered_at = models.DateTimeField("delivered", null=True, blank=True)
    note = models.CharField(max_length=200, blank=True)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering = ["-created_at"]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], name="webhooks_due", condition=Q(next_attempt_at__isnull=False)
            ),
            models.Index(fields=["owner", "-created_at"], name="webhooks_of_an_account"),
            models.Index(fields=["created_at"], name="webhooks_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

    @property
    def has_ended(self) -> bool:
        return self.next_attempt_at is None

    def is_being_sent(self, now: datetime) -> bool:
        return (
            self.status == self.Status.SENDING
            and self.next_attempt_at is not None
            and self.next_attempt_at > now
        )

    def claim(self, until: datetime) -> bool:
        """Whether this attempt is the caller's to make: it is still due as it was when it was read.

        When the claim is over it is due again, whatever has become of the caller.
        """
        unclaimed = WebhookDelivery.objects.filter(pk=self.pk, next_attempt_at=self.next_attempt_at)
        if not unclaimed.update(status=self.Status.SENDING, next_attempt_at=until):
            return False
        self.status, self.next_attempt_at = self.Status.SENDING, until
        return True

    def book_as_delivered(self, at: datetime) -> None:
        """Also when the claim was over meanwhile: it has arrived."""
        WebhookDelivery.objects.filter(pk=self.pk).update(
            status=self.Status.DELIVERED,
            delivered_at=at,
            next_attempt_at=None,
            attempts=F("attempts") + 1,
            note="",
        )

    def postpone(self, until: datetime) -> None:
        """After an attempt that failed; nothing happens where the claim is over."""
        self._claimed().update(
            status=self.Status.WAITING, next_attempt_at=until, attempts=F("attempts") + 1, note=""
        )

    def give_up(self, note: str = "", *, attempted: bool = True) -> None:
        self._claimed().update(
            status=self.Status.FAILED,
            next_attempt_at=None,
            attempts=F("attempts") + int(attempted),
            note=note,
        )

    def begin_again(self, now: datetime) -> None:
        """Due now, with all of its attempts before it; call while it is locked."""
        self.status, self.attempts, self.next_attempt_at = self.Status.WAITING, 0, now
        self.delivered_at, self.note = None, ""
        self.save(update_fields=["status", "attempts", "next_attempt_at", "delivered_at", "note"])

    def _claimed(self) -> WebhookDeliveryQuerySet:
        return WebhookDelivery.objects.filter(
            pk=self.pk, status=self.Status.SENDING, next_attempt_at=self.next_attempt_at
        )


class WebhookAttempt(models.Model):
    """What became of one attempt: the status that was answered, or what went wrong before any answer."""

    delivery = models.ForeignKey(WebhookDelivery, models.CASCADE, related_name="log")
    at = models.DateTimeField(default=timezone.now)
    milliseconds = models.PositiveIntegerField()
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.at:%Y-%m-%d %H:%M:%S}: {self.status_code or self.error}"
