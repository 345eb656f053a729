"""A download: the right to fetch one job's result a few times, for a while."""

import secrets
from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from images.models.job import Job

USES = 10
LIFE = timedelta(hours=2)
# Who has just taken a use may still be at the file: nginx opens it a moment after our answer, and a bucket
# serves it until the address we gave for it has expired.
ADDRESS_OF_FILE_LIFE = timedelta(seconds=60)


def new_nonce() -> str:
    return secrets.token_hex(16)


def end_of_life() -> datetime:
    return timezone.now() + LIFE


class DownloadQuerySet(models.QuerySet["Download"]):
    def alive(self) -> Self:
        return self.filter(uses_left__gt=0, expires_at__gt=timezone.now())

    def dead(self) -> Self:
        return self.filter(Q(uses_left=0) | Q(expires_at__lte=timezone.now()))

    def removable(self) -> Self:
        """The dead whose files nobody can be fetching any more."""
        over = timezone.now() - ADDRESS_OF_FILE_LIFE
        return self.dead().filter(Q(used_at=None) | Q(used_at__lt=over))


class Download(models.Model):
    """Its token is derived from `nonce` and the server's secret (`images.downloads`), never stored."""

    job = models.OneToOneField(Job, models.CASCADE, related_name="download")
    nonce = models.CharField(max_length=32, default=new_nonce, editable=False)
    token_hash = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256, hexadecimal."
    )
    uses_left = models.PositiveSmallIntegerField(default=USES)
    created_at = models.DateTimeField("created", default=timezone.now)
    expires_at = models.DateTimeField("expires", default=end_of_life, db_index=True)
    used_at = models.DateTimeField("last used", null=True, blank=True)

    objects = DownloadQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.job_id}, {self.uses_left} uses left"

    @property
    def is_alive(self) -> bool:
        """As it was when the row was read."""
        return self.uses_left > 0 and self.expires_at > timezone.now()

    def use(self) -> bool:
        """Take one use, atomically; `False` when none is left or the token's life is over."""
        alive = Download.objects.alive().filter(pk=self.pk)
        return bool(alive.update(uses_left=F("uses_left") - 1, used_at=timezone.now()))
