"""The escalation ladder as data: what strikes, what each step asks and does, how a subject comes down."""

from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction

from accounts.models.revision import Revised

# Times beyond that have no date on any page.
LONGEST_MINUTES, LONGEST_HOURS, LONGEST_SECONDS = 366 * 1440, 366 * 24, 366 * 86_400


class EscalationPolicy(Revised):
    """The ladder's numbers that belong to no step. There is one row."""

    ROW = 1

    strike_refusals = models.PositiveIntegerField(
        "refusals for a strike",
        default=5,
        validators=[MinValueValidator(1)],
        help_text="At least so many minute- or day-limit refusals in a clock minute are a strike.",
    )
    strike_percent = models.PositiveIntegerField(
        "… and at least, in % of the minute's limit",
        default=20,
        validators=[MaxValueValidator(1000)],
    )
    forgive_minutes = models.PositiveIntegerField(
        "clean minutes that forgive a strike",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_MINUTES)],
    )
    warned_minutes = models.PositiveIntegerField(
        "clean minutes that clear tier 1",
        default=10,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_MINUTES)],
    )
    decay_hours = models.PositiveIntegerField(
        "clean hours that lower the tier by one",
        default=24,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_HOURS)],
    )
    grace_seconds = models.PositiveIntegerField(
        "seconds of grace",
        default=60,
        validators=[MaxValueValidator(LONGEST_SECONDS)],
        help_text="After a block's end and after a reactivation, in which nothing strikes.",
    )
    probation = models.PositiveSmallIntegerField(
        "tier remembered on probation", default=3, validators=[MinValueValidator(2), MaxValueValidator(4)]
    )
    guests_highest = models.PositiveSmallIntegerField(
        "highest tier of an address",
        default=4,
        validators=[MinValueValidator(1), MaxValueValidator(4)],
        help_text="Addresses change hands: none is suspended.",
    )

    class Meta:
        verbose_name = "escalation policy"
        verbose_name_plural = "escalation policy"

    def __str__(self) -> str:
        return "Escalation policy"


class EscalationStep(models.Model):
    """A tier of the ladder: how many strikes lead to it from the one below, and how long it blocks."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    name = models.CharField(max_length=40)
    strikes = models.PositiveSmallIntegerField(
        "strikes from the tier below", null=True, blank=True, validators=[MinValueValidator(1)]
    )
    block_seconds = models.PositiveIntegerField(
        "seconds of its block",
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_SECONDS)],
        help_text="Empty: none, or, for the last one, until a person reactivates the key.",
    )

    class Meta:
        ordering = ["number"]

    def __str__(self) -> str:
        return f"{self.number} {self.name}"

    def save(self, **kwargs: Any) -> None:
        """A changed step is a changed policy: its revision tells every process to read both anew."""
        with transaction.atomic():
            super().save(**kwargs)
            for policy in EscalationPolicy.objects.all():
                policy.save()

    @property
    def revision(self) -> int | None:
        """The whole ladder's: what a step should be depends on the others. One query."""
        policies = EscalationPolicy.objects.filter(pk=EscalationPolicy.ROW)
        return policies.values_list("revision", flat=True).first()
