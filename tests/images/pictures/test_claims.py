"""What a file says it is doesn't matter: what it is does."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from images.drawings import draw
from tests.images.calls import convert

pytestmark = pytest.mark.usefixtures("worker")


def test_a_wrong_extension_changes_nothing(api):
    for name in ("koala.jpg", "koala.exe", "koala.svg", "../../etc/passwd"):
        answer = convert(api, draw(1, (60, 40), "gif"), "png", name=name)
        assert answer.status_code == 200, answer.content
        assert answer.json()["input"]["format"] == "gif"


def test_a_wrong_content_type_changes_nothing(api):
    for content_type in ("text/html", "image/svg+xml", "application/x-php"):
        file = SimpleUploadedFile("koala.png", draw(1, (60, 40), "webp"), content_type)
        answer = api.post("/api/v1/convert", {"file": file, "output_format": "jpg"})
        assert answer.json()["input"]["format"] == "webp"
        download = api.get(answer.json()["download_url"])
        assert download["Content-Type"] == "image/jpeg"


def test_what_calls_itself_a_picture_and_is_none_is_refused(api):
    answer = convert(api, b"<html>no picture</html>", "png", name="koala.png")
    assert answer.json()["code"] == "unsupported_format"
    assert 400 <= answer.status_code < 500
