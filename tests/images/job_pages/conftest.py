from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, Tier, User
from images.downloads import grant
from images.models import Job
from tests.images.calls import make_job

PASSWORD = "correct horse battery"


@pytest.fixture
def olivia(db) -> User:
    return User.objects.create_user("olivia@example.com", PASSWORD)


@pytest.fixture
def key(olivia) -> ApiKey:
    """Of the free tier: 3 jobs run, 200 wait."""
    return api_keys.issue(olivia, name="web shop", tier=Tier.objects.get(slug="free"))[0]


@pytest.fixture
def hers(client, olivia) -> Client:
    client.force_login(olivia)
    return client


@pytest.fixture
def given(olivia, key) -> Callable[..., Job]:
    """A job of Olivia's key that has got so far; each is newer than the one before."""
    made = []

    def give(status: str, **fields: object) -> Job:
        now = timezone.now()
        made.append(status)
        fields = {
            "owner": olivia,
            "subject_id": f"k:{key.pk}",
            "created_at": now - timedelta(hours=1) + timedelta(seconds=len(made)),
            "started_at": None if status == "queued" else now,
            "ended_at": now if status in Job.ENDED else None,
            **fields,
        }
        if status == "done":
            fields = {
                "input_format": "png", "input_width": 1200, "input_height": 800,
                "output_width": 1200, "output_height": 800, "output_bytes": 250_000, **fields,
            }  # fmt: skip
        if status == "failed":
            fields = {
                "error_code": "unsupported_format", "error_detail": "That isn't an image.", **fields,
            }  # fmt: skip
        job = make_job(fields.pop("owner"), status, **fields)
        Job.objects.filter(pk=job.pk).update(input_bytes=1_000_000)
        if status == "done":
            grant(job)
        return job

    return give
