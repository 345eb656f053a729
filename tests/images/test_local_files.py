"""Files in a folder, on a disk that has no more room."""

import resource
import shutil

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from images.models import Job
from tests.images.calls import convert
from tests.images.conftest import kept_files

ROOM = 100_000


@pytest.fixture
def no_room():
    """Nothing written grows beyond `ROOM` bytes; the error comes in the middle, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_that_does_not_fit_leaves_nothing_behind(no_room):
    with pytest.raises(OSError, match="too large"):
        default_storage.save("out/large", ContentFile(bytes(2 * ROOM)))
    assert kept_files() == []
    default_storage.save("out/small", ContentFile(b"fits"))
    assert kept_files() == ["out/small"]


def test_pictures_leave_the_last_of_the_disk_to_the_rest_of_the_panel(settings):
    free = shutil.disk_usage(settings.VAR_DIR).free
    settings.DISK_RESERVE_BYTES = free + 1_000_000_000
    with pytest.raises(OSError, match="DISK_RESERVE_BYTES"):
        default_storage.save("out/small", ContentFile(b"no room for it"))
    assert kept_files() == []
    settings.DISK_RESERVE_BYTES = 1
    default_storage.save("out/small", ContentFile(b"fits"))
    assert kept_files() == ["out/small"]


def test_an_upload_that_the_disk_has_no_room_for_is_refused_and_charges_nothing(store, api, settings):
    settings.DISK_RESERVE_BYTES = 2**62
    answer = convert(api, b"any picture")
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert answer["Retry-After"]
    assert not Job.objects.exists()
    assert api.get("/api/v1/entitlements/me").json()["limits"]["minute"]["used"] == 0
