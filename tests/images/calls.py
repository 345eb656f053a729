"""How the tests call the API."""

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client


def upload(content: bytes, name: str = "koala.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def convert(
    client: Client, content: bytes, output_format: str = "webp", *, name: str = "koala.png", **fields
):
    """POST /api/v1/convert with `content` as its file; further form fields by name."""
    return client.post(
        "/api/v1/convert", {"file": upload(content, name), "output_format": output_format, **fields}
    )


def convert_short(client: Client, content: bytes, target_format: str = "webp", **fields):
    return client.post("/convert", {"file": upload(content), "targetFormat": target_format, **fields})
