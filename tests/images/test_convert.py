"""POST /api/v1/convert and /convert, with a real worker behind them."""

from io import BytesIO

import pytest
from django.test import Client
from PIL import Image

from images.drawings import draw
from images.formats import INPUTS, OUTPUTS
from images.models import Job
from tests.images.calls import convert, convert_short

pytestmark = pytest.mark.usefixtures("worker")


def test_the_answer_is_the_finished_result(api):
    content = draw(1, (120, 80), "png")
    answer = convert(api, content, "webp")
    assert answer.status_code == 200
    body = answer.json()
    assert body.keys() == {"id", "status", "download_url", "expires_at", "input", "output"}
    assert (body["id"][:4], body["status"]) == ("job_", "done")
    assert body["input"] == {"format": "png", "width": 120, "height": 80, "bytes": len(content)}
    assert body["output"].items() >= {"format": "webp", "width": 120, "height": 80}.items()
    assert body["expires_at"].endswith("Z")
    result = b"".join(api.get(body["download_url"]).streaming_content)
    assert len(result) == body["output"]["bytes"]
    assert Image.open(BytesIO(result)).format == "WEBP"


def test_the_short_route_answers_the_same(api):
    answer = convert_short(api, draw(1, (30, 20), "png"), "JPEG")
    assert answer.status_code == 200
    assert answer.json()["output"]["format"] == "jpg"


def test_a_guest_needs_no_key(transactional_db):
    assert convert(Client(REMOTE_ADDR="192.0.2.1"), draw(1, (30, 20), "png")).status_code == 200


@pytest.mark.parametrize("source", INPUTS, ids=lambda form: form.name)
def test_every_input_format_is_recognised_by_its_content(api, source):
    answer = convert(api, draw(1, (30, 20), source.name), "png", name="wrong.txt")
    assert answer.json()["input"]["format"] == source.name


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda form: form.name)
def test_every_output_format_is_served_as_what_it_is(api, output):
    body = convert(api, draw(1, (30, 20), "png"), output.name).json()
    download = api.get(body["download_url"])
    assert download["Content-Type"] == output.content_type
    assert download["Content-Disposition"] == f'attachment; filename="{body["id"]}.{output.name}"'


def test_options_reach_the_result(api):
    body = convert(api, draw(1, (300, 200), "png"), "jpg", quality=10, width=150).json()
    assert body["output"].items() >= {"width": 150, "height": 100}.items()
    assert (
        body["output"]["bytes"]
        < convert(api, draw(1, (300, 200), "png"), "jpg", width=150).json()["output"]["bytes"]
    )


def test_the_clients_file_name_is_never_used(api):
    body = convert(api, draw(1, (30, 20), "png"), name="../../../evil.html").json()
    assert Job.objects.get(pk=body["id"]).result.name == f"out/{body['id']}-1"
