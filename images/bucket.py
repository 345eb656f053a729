"""Uploads and results in S3, for `S3_URL`: private objects, and storage errors that callers know.

Whoever uses Django's storages expects `OSError`; what boto3 raises is turned into it here, so that nothing
else has to know where files are kept.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage

CONNECT_SECONDS, ANSWER_SECONDS = 3, 10
# Of a file that is read, in bytes; what is longer goes to a temporary file.
KEPT_IN_MEMORY = 1024 * 1024
ONE_PIECE = 5 * 1024**3  # S3's own limit


class StorageFailed(OSError):
    """The bucket can't be asked, or says no."""


class Bucket(S3Storage):  # type: ignore[misc]  # django-storages has no types
    """Thread-safe: all threads of a process share one client, which is made when it is first needed."""

    def __init__(self, *, addressing_style: str = "auto", **options: Any) -> None:
        self._lock = threading.Lock()
        self._connection: Any = None
        super().__init__(
            **options,
            # No ACL: objects are private without, and buckets whose ACLs are off refuse one.
            default_acl=None,
            querystring_auth=True,
            custom_domain=None,
            # A name is used once; should it be there all the same, the new file gets another.
            file_overwrite=False,
            max_memory_size=KEPT_IN_MEMORY,
            client_config=Config(
                signature_version="s3v4",
                s3={"addressing_style": addressing_style},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=ANSWER_SECONDS,
                # boto3 would keep a request's thread for minutes while a bucket is silent.
                retries={"mode": "standard", "total_max_attempts": 2},
                max_pool_connections=64,
            ),
            # In one piece: no threads for each file, and no halves of one that cost money for ever.
            transfer_config=TransferConfig(multipart_threshold=ONE_PIECE, use_threads=False),
        )

    @property
    def connection(self) -> Any:
        """One for all threads; django-storages makes one for each."""
        with self._lock:
            if self._connection is None:
                self._connection = self._create_session().resource(
                    "s3",
                    region_name=self.region_name,
                    endpoint_url=self.endpoint_url,
                    config=self.client_config,
                )
            return self._connection

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        with _as_os_errors():
            opened: File[bytes] = super()._open(name, mode)
            if "r" in mode:
                opened.file  # noqa: B018  (fetches it, which would else fail in whoever reads first)
            return opened

    def _save(self, name: str, content: File[bytes]) -> str:
        with _as_os_errors():
            return str(super()._save(name, content))

    def delete(self, name: str) -> None:
        with _as_os_errors():
            super().delete(name)

    def exists(self, name: str) -> bool:
        with _as_os_errors():
            return bool(super().exists(name))

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with _as_os_errors():
            folders, files = super().listdir(path)
            return folders, files

    def get_modified_time(self, name: str) -> datetime:
        with _as_os_errors():
            modified: datetime = super().get_modified_time(name)
            return modified

    def url(
        self,
        name: str,
        parameters: dict[str, str] | None = None,
        expire: int | None = None,
        http_method: str | None = None,
    ) -> str:
        with _as_os_errors():
            return str(super().url(name, parameters, expire, http_method))


@contextmanager
def _as_os_errors() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        raise StorageFailed(str(error)) from error
