"""How far SQL has followed the limit store, and itself, by bucket."""

from django.db import models


class BookedUntil(models.Model):
    """The watermark of a bucket: everything up to and including this minute is in SQL."""

    bucket = models.PositiveSmallIntegerField(primary_key=True)
    minute = models.PositiveIntegerField(help_text="Unix minutes")

    def __str__(self) -> str:
        return f"bucket {self.bucket}: {self.minute}"


class TotalledUntil(models.Model):
    """The watermark of a bucket: what is booked of it up to and including this minute is in the totals."""

    bucket = models.PositiveSmallIntegerField(primary_key=True)
    minute = models.PositiveIntegerField(help_text="Unix minutes")

    def __str__(self) -> str:
        return f"bucket {self.bucket}: {self.minute}"


class FollowedUntil(models.Model):
    """The last entry of a bucket's stream of ladder changes that is in SQL.

    A store that came back empty begins a new life and a new stream: then all of it is read.
    """

    bucket = models.PositiveSmallIntegerField(primary_key=True)
    life = models.CharField(max_length=32, help_text="Of the bucket in the limit store.")
    entry = models.CharField(max_length=40, help_text="The stream's own id.")

    def __str__(self) -> str:
        return f"bucket {self.bucket}: {self.entry}"
