"""Revisions tell a process that cached a row whether its copy is still the newest."""

import time
from typing import Any

from django.db import models


class Revised(models.Model):
    """A row whose `revision` grows with every save.

    It is the time of the save in microseconds, so that two people who save at once still leave a number
    larger than both had read; a clock set back can't shrink it.
    """

    revision = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        self.revision = max(self.revision + 1, time.time_ns() // 1000)
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], "revision"}
        super().save(**kwargs)
