"""Letters: mail about an account or to staff, complete when it is owed."""

from typing import ClassVar

from django.db import models

from accounts.models.owed_mail import OwedMail, OwedMailQuerySet


class Letter(OwedMail):
    """One email to one address.

    Links that open an account may be in it, so its content is kept sealed (`accounts.sealing`) and leaves
    with its delivery.
    """

    emptied_at_its_end: ClassVar[tuple[str, ...]] = ("sealed",)

    kind = models.CharField(max_length=60, help_text="The template it was made from.")
    recipient = models.EmailField()
    sealed = models.TextField(blank=True, editable=False)

    objects: "OwedMailQuerySet[Letter]" = OwedMailQuerySet.as_manager()  # type: ignore[assignment]

    def __str__(self) -> str:
        return f"{self.kind} for {self.recipient}"
