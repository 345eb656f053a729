"""An endpoint limit: how often an address may ask for a page or a route that is counted apart."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from accounts.models.revision import Revised
from accounts.models.tier import LimitField

DAY_SECONDS = 86_400


class EndpointLimit(Revised):
    """So many requests in so many seconds from one address. An empty number means no limit."""

    name = models.SlugField(unique=True, help_text="As code, headers and refusals have it.")
    description = models.CharField(max_length=200)
    requests = LimitField("requests")
    seconds = models.PositiveIntegerField(
        "in how many seconds", validators=[MinValueValidator(1), MaxValueValidator(DAY_SECONDS)]
    )

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.name

    @property
    def rate(self) -> tuple[int, int] | None:
        """Requests and seconds; `None` without a limit."""
        return None if self.requests is None else (self.requests, self.seconds)
