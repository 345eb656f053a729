"""A tier: a named set of limits that staff edit."""

from django.core.validators import MinValueValidator
from django.db import models

from accounts.models.revision import Revised
from accounts.tiers import Limits


class LimitField(models.PositiveIntegerField):  # type: ignore[type-arg]  # not generic at run time
    """A limit: a whole number from 1, or empty."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.update(null=True, blank=True, validators=[MinValueValidator(1)])
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]


class Tier(Revised):
    """Five limits under a name. An empty limit means no limit."""

    ANONYMOUS = "anonymous"
    FREE = "free"

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=60)
    description = models.CharField(max_length=200, blank=True)
    minute = LimitField("requests per minute")
    day = LimitField("requests per UTC day")
    concurrent = LimitField("concurrent requests")
    parallel = LimitField("parallel jobs")
    queued = LimitField("queued jobs")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    @property
    def limits(self) -> Limits:
        return Limits(self.minute, self.day, self.concurrent, self.parallel, self.queued)
