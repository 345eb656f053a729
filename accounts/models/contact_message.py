"""What people wrote to us by the contact form."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class ContactMessage(models.Model):
    """A message as it was sent; staff get it by mail, and find it here."""

    sent_at = models.DateTimeField(default=timezone.now, editable=False)
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        help_text="The account that was signed in.",
    )
    email = models.EmailField("email address")
    subject = models.CharField(max_length=150)
    text = models.TextField("message", max_length=5000)
    is_spam = models.BooleanField(
        "by a machine", default=False, help_text="It filled in what people don't see: it was not mailed."
    )
    answered_at = models.DateTimeField("answered", null=True, blank=True)
    # Of the form that it was sent by: the same form sent twice is one message.
    form_id = models.UUIDField(unique=True, editable=False)

    class Meta:
        ordering = ["-sent_at"]

    def __str__(self) -> str:
        return f"{self.subject} ({self.email})"
