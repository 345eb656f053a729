"""Files in a folder, on a disk that has no more room."""

import resource

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

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
