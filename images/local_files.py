"""Uploads and results in a folder, where `S3_URL` names no bucket: each file whole, or not there."""

import errno
import os
import shutil
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import FileSystemStorage


class LocalFiles(FileSystemStorage):
    def _save(self, name: str, content: File[Any]) -> str:
        """Raises `OSError` also where the disk would be left with less than `DISK_RESERVE_BYTES`: the limit
        store and the database may live on it, and pictures must not take what these need. A picture of 100 KB
        can become a result of 150 MB."""
        free = shutil.disk_usage(os.path.dirname(self.location)).free
        if free - content.size < settings.DISK_RESERVE_BYTES:
            raise OSError(errno.ENOSPC, f"Less than DISK_RESERVE_BYTES would be left of {free:,} bytes")
        try:
            return str(super()._save(name, content))  # type: ignore[misc]  # the stubs leave it out
        except OSError:
            # Django leaves what it has written, and no row knows of it. On a full disk it is what keeps it
            # full, for the limit store and the database, too.
            with suppress(OSError):
                os.remove(self.path(name))
            raise
