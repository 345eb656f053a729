"""When the worker last did what beat asks of it again and again."""

from django.db import models


class TaskRun(models.Model):
    """One task, by its name, and when it last came to its end: to some seconds."""

    name = models.CharField(primary_key=True, max_length=80)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.at:%Y-%m-%d %H:%M:%S}"
