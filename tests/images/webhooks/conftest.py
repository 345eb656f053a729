from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache
from django.utils import timezone

from accounts.models import User
from images.downloads import grant
from images.models import Job, WebhookDelivery, WebhookEndpoint
from images.webhooks import owing, signing
from images.webhooks.endpoints import digest_of
from tests.images.webhooks.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    """On this machine, which may be called while it is there."""
    settings.WEBHOOK_ALLOW_LOOPBACK = True
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def olivia(db) -> User:
    return User.objects.create_user("olivia@example.com")


@pytest.fixture
def secret(olivia) -> str:
    return signing.text_of(signing.secret_of(olivia.pk))


@pytest.fixture
def owe(olivia, valkey, monkeypatch) -> Callable[..., WebhookDelivery]:
    """Owe the event of a job that has just ended, of Olivia's or another's; no worker is woken."""
    monkeypatch.setattr(owing, "wake", lambda: None)
    cache.clear()

    def owe(url: str, owner: User | None = None, *, failed: bool = False) -> WebhookDelivery:
        owner = owner or olivia
        endpoint, _ = WebhookEndpoint.objects.get_or_create(
            owner=owner, url_digest=digest_of(url), defaults={"url": url}
        )
        job = Job.objects.create(
            owner=owner, subject_id="k:1", webhook=endpoint, input_bytes=1, started_at=timezone.now(),
            ended_at=timezone.now(), status=Job.Status.FAILED if failed else Job.Status.DONE,
        )  # fmt: skip
        if failed:
            job.error_code, job.error_detail = "unsupported_format", "That isn't an image."
        else:
            job.output_format, job.output_width, job.output_height, job.output_bytes = "webp", 3, 2, 44
            grant(job)
        job.progress = 100
        job.save()
        owing.owe(job)
        return job.deliveries.get()

    return owe
