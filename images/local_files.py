"""Uploads and results in a folder, where `S3_URL` names no bucket: each file whole, or not there."""

import os
from contextlib import suppress
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


class LocalFiles(FileSystemStorage):
    def _save(self, name: str, content: File[Any]) -> str:
        try:
            return str(super()._save(name, content))  # type: ignore[misc]  # the stubs leave it out
        except OSError:
            # Django leaves what it has written, and no row knows of it. On a full disk it is what keeps it
            # full, for the limit store and the database, too.
            with suppress(OSError):
                os.remove(self.path(name))
            raise
