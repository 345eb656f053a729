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


def new_nonce() -> str:
    return secrets.token_hex(16)


def end_of_life() -> datetime:
    return timezone.now() + LIFE


class DownloadQuerySet(models.QuerySet["Download"]):
    def alive(self) -> Self:
        return self.filter(uses_left__gt=0, expires_at__gt=timezone.now())

    def dead(self) -> Self:
        return self.filter(Q(uses_left=0) | Q(expires_at__lte=timezone.now()))


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

    objects = DownloadQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.job_id}, {self.uses_left} uses left"

    def use(self) -> bool:
        """Take one use, atomically; `False` when none is left or the token's life is over."""
        return bool(Download.objects.alive().filter(pk=self.pk).update(uses_left=F("uses_left") - 1))
