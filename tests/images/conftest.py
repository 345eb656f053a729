import shutil
from collections.abc import Callable, Iterator

import pytest
import redis
from celery.contrib.testing.worker import start_worker
from django.core.cache import cache
from django.core.files.storage import default_storage
from django.test import Client
from PIL import Image

from accounts import api_keys
from accounts.endpoint_limits import limiter
from accounts.models import Tier, User
from images.queue import waking
from koalapanel.celery import app
from usage.limits.store import limit_store


@pytest.fixture(scope="module")
def _worker(valkey_server: str, django_db_setup: None) -> Iterator[None]:
    # By default it would leave the root logger at ERROR, for all the tests behind it.
    with start_worker(
        app,
        pool="threads",
        concurrency=2,
        perform_ping_check=False,
        loglevel="INFO",
        queues=["celery", waking.QUEUE],
    ):
        yield


@pytest.fixture
def worker(_worker: None, store: redis.Redis) -> None:
    """A real Celery worker on the real queue, in threads of this process."""


@pytest.fixture
def store(
    valkey_server: str, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[redis.Redis]:
    """The store behind limits, queue and endings; patient, because decoding next door takes its time.

    Not emptied: the worker's queue is in it. Every test has keys and jobs of its own; but they share an
    address, whose downloads are counted in the cache.
    """
    monkeypatch.setattr(limit_store(), "_timeout", 2)
    cache.delete_pattern("*")
    limiter.forget()
    with redis.Redis.from_url(valkey_server) as client:
        yield client


@pytest.fixture
def new_client(transactional_db: None) -> Callable[..., Client]:
    """Clients by their account's email; each call issues a new key, of a tier that never refuses."""

    def make(email: str = "olivia@example.com") -> Client:
        owner = User.objects.filter(email=email).first() or User.objects.create_user(email)
        tier, _ = Tier.objects.get_or_create(slug="boundless", defaults={"name": "Boundless"})
        _, text = api_keys.issue(owner, name="tests", tier=tier)
        return Client(headers={"Authorization": f"Bearer {text}"})

    return make


@pytest.fixture
def api(new_client: Callable[..., Client]) -> Client:
    return new_client()


@pytest.fixture(autouse=True)
def _storage_is_emptied(settings) -> Iterator[None]:
    """Before as well: tests of other things leave uploads of theirs behind."""
    shutil.rmtree(settings.VAR_DIR / "files", ignore_errors=True)
    yield
    shutil.rmtree(settings.VAR_DIR / "files", ignore_errors=True)


@pytest.fixture(autouse=True)
def _pixel_limit_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever decodes outside of a box sets Pillow's limit for the whole process."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)


def kept_files() -> list[str]:
    """The names of all files in storage."""
    return [
        f"{folder}/{name}"
        for folder in ("in", "out")
        if default_storage.exists(folder)
        for name in default_storage.listdir(folder)[1]
    ]
