"""Whatever is wrong with a request, its answer is a documented 4xx with a body, in the client's dialect."""

import json
import re

import pytest
from django.test import Client

from images import schemas
from images.drawings import draw
from images.models import Job
from tests.images.calls import convert, convert_short, upload
from tests.images.conftest import kept_files
from tests.images.pictures.test_decoding import png_bomb
from usage import routes

pytestmark = pytest.mark.usefixtures("worker")

PNG = draw(1, (60, 40), "png")
JPG = draw(1, (600, 400), "jpg")


def assert_refused(answer, status, code, field=None):
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert (body["code"], body.get("field")) == (code, field)
    assert {"error", "detail"} <= body.keys()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"", 400, "invalid_request"),
        (b"Just some text, honestly.", 415, "unsupported_format"),
        (JPG[: len(JPG) // 2], 422, "invalid_request"),
        (PNG[:40], 422, "invalid_request"),
        (PNG[:9], 422, "invalid_request"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, 422, "invalid_request"),
        (png_bomb(30_000, 30_000), 413, "image_too_large"),
    ],
    ids=["empty", "text", "half a jpg", "40 bytes", "9 bytes", "magic only", "bomb"],
)
def test_a_file_that_is_no_good_image(api, content, status, code):
    assert_refused(convert(api, content), status, code, "file")


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({"output_format": "docx"}, 415, "unsupported_format", "output_format"),
        ({"output_format": "heic"}, 415, "unsupported_format", "output_format"),
        ({"output_format": ""}, 415, "unsupported_format", "output_format"),
        ({"output_format": "webp\0"}, 415, "unsupported_format", "output_format"),
        ({"output_format": "x" * 100_000}, 415, "unsupported_format", "output_format"),
        ({"quality": "0"}, 400, "invalid_request", "quality"),
        ({"quality": "101"}, 400, "invalid_request", "quality"),
        ({"quality": "high"}, 400, "invalid_request", "quality"),
        ({"quality": "9" * 5000}, 400, "invalid_request", "quality"),
        ({"width": "0"}, 400, "invalid_request", "width"),
        ({"width": "30001"}, 400, "invalid_request", "width"),
        ({"height": "-1"}, 400, "invalid_request", "height"),
        ({"height": "1.5"}, 400, "invalid_request", "height"),
        ({"height": "nan"}, 400, "invalid_request", "height"),
        ({"async": "perhaps"}, 400, "invalid_request", "async"),
        ({"width": "30000", "height": "30000"}, 413, "image_too_large", "width"),
    ],
)
def test_a_field_that_is_wrong_is_named(api, fields, status, code, field):
    assert_refused(convert(api, PNG, **{"output_format": "png", **fields}), status, code, field)


@pytest.mark.parametrize(
    ("fields", "status", "code", "field"),
    [
        ({}, 400, "invalid_request", "quality"),
        ({"quality": ""}, 400, "invalid_request", "quality"),
        ({"quality": "0"}, 400, "invalid_request", "quality"),
        ({"quality": "101"}, 400, "invalid_request", "quality"),
        ({"quality": "50", "target_bytes": "5000"}, 400, "invalid_request", "target_bytes"),
        ({"target_bytes": "0"}, 400, "invalid_request", "target_bytes"),
        ({"target_bytes": "-5"}, 400, "invalid_request", "target_bytes"),
        ({"target_bytes": "small"}, 400, "invalid_request", "target_bytes"),
        ({"target_bytes": "1e3"}, 400, "invalid_request", "target_bytes"),
        ({"target_bytes": "2147483648"}, 400, "invalid_request", "target_bytes"),
        ({"target_bytes": "9" * 5000}, 400, "invalid_request", "target_bytes"),
        ({"quality": "50", "async": "perhaps"}, 400, "invalid_request", "async"),
        ({"quality": "50", "webhook_url": "x" * 2001}, 400, "invalid_request", "webhook_url"),
    ],
)
def test_a_compressions_field_that_is_wrong_is_named(api, fields, status, code, field):
    assert_refused(api.post("/api/v1/compress", {"file": upload(PNG), **fields}), status, code, field)
    short = api.post("/compress", {"file": upload(PNG), **fields})
    assert (short.status_code, short.json()["error"], short.json()["field"]) == (status, code, field)
    assert not Job.objects.exists()


class TestBatch:
    """Whatever is wrong with one of its files or fields, nothing of a batch is taken."""

    @pytest.fixture(autouse=True)
    def _nothing_is_kept(self):
        yield
        assert not Job.objects.exists()
        assert kept_files() == []

    def send(self, client, files, **fields):
        named = [upload(one) if isinstance(one, bytes) else one for one in files]
        return client.post("/api/v1/batch", {"files": named, "output_format": "webp", **fields})

    @pytest.mark.parametrize(
        ("fields", "status", "code", "field"),
        [
            ({"output_format": "docx"}, 415, "unsupported_format", "output_format"),
            ({"quality": "0"}, 400, "invalid_request", "quality"),
            ({"width": "30001"}, 400, "invalid_request", "width"),
            ({"height": "tall"}, 400, "invalid_request", "height"),
            ({"webhook_url": "ftp://koala.example.com/"}, 400, "invalid_request", "webhook_url"),
        ],
    )
    def test_a_field_that_is_wrong_is_named(self, api, fields, status, code, field):
        assert_refused(self.send(api, [PNG, PNG], **fields), status, code, field)

    def test_a_field_that_is_missing_is_named(self, api):
        no_files = api.post("/api/v1/batch", {"output_format": "webp"})
        assert_refused(no_files, 400, "invalid_request", "files")
        text = api.post("/api/v1/batch", {"files": "koala.png", "output_format": "webp"})
        assert_refused(text, 400, "invalid_request", "files")
        no_format = api.post("/api/v1/batch", {"files": [upload(PNG)]})
        assert_refused(no_format, 400, "invalid_request", "output_format")

    def test_a_file_that_is_empty_is_told_by_its_place(self, api):
        refused = self.send(api, [PNG, PNG, b"", PNG])
        assert_refused(refused, 400, "invalid_request", "files")
        assert refused.json()["detail"] == "File 3 of 4 is empty."

    def test_one_file_too_many_is_refused(self, api):
        refused = self.send(api, [PNG] * 51)
        assert_refused(refused, 400, "invalid_request", "files")
        assert refused.json()["detail"] == "A batch has 50 files at most."

    def test_each_file_is_held_to_the_limit_and_the_body_to_that_of_so_many_files(self, api, settings):
        settings.UPLOAD_MAX_BYTES = 10_000
        assert_refused(self.send(api, [PNG, bytes(10_001)]), 413, "image_too_large", "files")
        body = api.generic("POST", "/api/v1/batch", b"", CONTENT_LENGTH=50 * 10_000 + 100_000)
        assert_refused(body, 413, "image_too_large", "files")


def test_more_than_one_file_is_refused_where_one_is_made(api):
    answer = api.post("/api/v1/convert", {"file": [upload(PNG), upload(PNG)], "output_format": "webp"})
    assert_refused(answer, 400, "invalid_request", "file")
    assert answer.json()["detail"] == "Send one file; up to 50 go to /api/v1/batch."


def test_a_field_that_is_missing_is_named(api):
    assert_refused(api.post("/api/v1/convert", {"output_format": "webp"}), 400, "invalid_request", "file")
    assert_refused(
        api.post("/api/v1/convert", {"file": upload(PNG)}), 400, "invalid_request", "output_format"
    )
    short = api.post("/convert", {"file": upload(PNG)})
    assert (short.status_code, short.json()["field"]) == (400, "targetFormat")
    assert_refused(api.post("/api/v1/compress", {"quality": 50}), 400, "invalid_request", "file")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"output_format": "webp"}'),
        ("application/json", b"{"),
        ("application/x-www-form-urlencoded", b"output_format=webp&file=abc"),
        ("text/plain", b"hello"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=", b"no boundary"),
        ("multipart/form-data; boundary=" + "x" * 300, b"boundary too long"),
        ("multipart/form-data; boundary=x", b"no part at all"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=file; filename=a"),
        ("multipart/form-data; boundary=x; charset=nonsense", b"--x--"),
        *(
            (f"{form}; charset={charset}", body)
            for form, body in (
                (
                    "multipart/form-data; boundary=x",
                    b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\nb\r\n--x--",
                ),
                ("application/x-www-form-urlencoded", b"output_format=%F0"),
            )
            for charset in ("hex", "rot13", "base64", "zlib", "undefined")
        ),
        ("application/x-www-form-urlencoded", b"a" * 2_000_000),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % number for number in range(1100))),
        ("", b""),
    ],
)
def test_a_body_that_is_no_form_is_refused(api, content_type, body):
    for path in ("/api/v1/convert", "/convert", "/api/v1/compress", "/compress", "/api/v1/batch"):
        answer = api.generic("POST", path, body, content_type=content_type)
        assert 400 <= answer.status_code < 500, answer.content
        assert answer.json()["error"] in ("Invalid request", "invalid_request")
        assert not re.search("[A-Z]_[A-Z]|settings|Django|codec|multipart:", answer.json()["detail"])


def test_a_file_part_with_a_broken_transfer_encoding_is_refused(api):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\n--x--\r\n"
    )
    answer = api.generic("POST", "/api/v1/convert", body, content_type="multipart/form-data; boundary=x")
    assert_refused(answer, 400, "invalid_request", answer.json().get("field"))


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/api/v1/convert", "POST"),
        ("PUT", "/api/v1/convert", "POST"),
        ("DELETE", "/convert", "POST"),
        ("GET", "/compress", "POST"),
        ("GET", "/api/v1/batch", "POST"),
        ("POST", "/api/v1/jobs/job_x", "DELETE, GET, HEAD"),
        ("PATCH", "/job/job_x", "DELETE, GET, HEAD"),
        ("POST", "/api/v1/conversions", "GET, HEAD"),
        ("POST", "/conversions", "GET, HEAD"),
        ("POST", "/api/v1/downloads/x", "GET, HEAD"),
        ("OPTIONS", "/api/v1/convert", "POST"),
        ("POST", "/api/v1/openapi.json", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_refused_and_told_the_right_one(api, method, path, allow):
    answer = api.generic(method, path)
    assert (answer.status_code, answer["Allow"]) == (405, allow)
    if path.startswith("/api/"):
        assert_refused(answer, 405, "invalid_request")
    else:
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1",
        "/api/v1/nothing",
        "/api/v1/foo%0abar",
        "/api/v1/convert/",
        "/api/v2/convert",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_unknown_path_of_the_api_is_no_page(api, method, path):
    assert_refused(api.generic(method, path), 404, "not_found")


@pytest.mark.parametrize(
    "path", ["/job", "/job/", "/job/a/b", "/job/a%0ab/c", "/convert/", "/convert/nothing", "/conversions/x"]
)
def test_below_the_short_routes_the_short_dialect_is_spoken(api, path):
    answer = api.post(path)
    assert answer.status_code == 404
    assert answer.json()["error"] == "not_found"


def test_an_unknown_job_is_not_found(api):
    assert_refused(api.get("/api/v1/jobs/job_" + "x" * 22), 404, "not_found")


@pytest.mark.parametrize(
    "job_id",
    ["%00", "%F0%9F%90%A8", "job_", "job_" + "x" * 21 + "%00", "job_" + "x" * 22 + "%0a", "job_" + "x" * 23],
)
def test_what_is_no_jobs_id_never_reaches_the_database(api, job_id, django_assert_num_queries):
    api.get("/api/v1/conversions")  # the guard knows the key from here on
    for path in (f"/api/v1/jobs/{job_id}", f"/job/{job_id}"):
        with django_assert_num_queries(0):
            answer = api.get(path)
        assert answer.status_code == 404
        assert "not_found" in answer.content.decode()


def test_each_dialect_has_its_own_body(api):
    assert convert(api, b"").json() == {
        "error": "Invalid request",
        "code": "invalid_request",
        "detail": "The file is empty.",
        "field": "file",
    }
    assert convert_short(api, b"").json() == {
        "error": "invalid_request",
        "detail": "The file is empty.",
        "field": "file",
    }
    for path, fields in (
        ("/api/v1/convert", {"output_format": "png"}),
        ("/convert", {"targetFormat": "png"}),
    ):
        answer = api.post(
            path, {"file": upload(b"text"), **fields}, headers={"Accept": "application/problem+json"}
        )
        assert answer["Content-Type"] == "application/problem+json"
        assert json.loads(answer.content).items() >= {"status": 415, "code": "unsupported_format"}.items()


def test_a_file_over_the_limit_is_refused_by_its_length_and_by_its_bytes(api, settings):
    settings.UPLOAD_MAX_BYTES = 200_000
    for size in (200_001, 400_000):  # within what a form may have besides its file, and far over it
        assert_refused(convert(api, bytes(size)), 413, "image_too_large", "file")
    assert not Job.objects.exists()
    assert kept_files() == []


def test_a_file_of_exactly_the_limit_is_taken(api, settings):
    settings.UPLOAD_MAX_BYTES = len(PNG)
    assert convert(api, PNG).status_code == 200


@pytest.mark.parametrize("length", ["-1", "many", "1e3", "\u0663"])
def test_a_content_length_that_is_no_number_is_refused(api, length):
    answer = api.generic("POST", "/api/v1/convert", b"x", CONTENT_LENGTH=length)
    assert_refused(answer, 400, "invalid_request")


def test_a_content_length_of_thousands_of_digits_is_too_large(api):
    answer = api.generic("POST", "/api/v1/convert", b"x", CONTENT_LENGTH="9" * 10_000)
    assert_refused(answer, 413, "image_too_large", "file")


def test_work_that_the_guard_did_not_charge_is_not_begun(api, monkeypatch):
    # As if the guard's table and the URLs disagreed.
    monkeypatch.setattr(routes, "find", lambda method, path: routes.OTHER)
    for answer in (
        convert(api, PNG),
        convert_short(api, PNG),
        api.post("/compress", {"file": upload(PNG), "quality": 50}),
        api.post("/api/v1/batch", {"files": [upload(PNG)], "output_format": "webp"}),
    ):
        assert_refused(answer, 404, "not_found")
    assert not Job.objects.exists()


def test_a_bug_is_not_taken_for_a_malformed_form(api, monkeypatch):
    monkeypatch.setattr(schemas, "all_conversions", lambda *args: {}["missing"])
    with pytest.raises(KeyError):
        api.get("/api/v1/conversions")


def test_a_spoofed_address_opens_no_other_guests_job(store):
    job = convert(Client(REMOTE_ADDR="192.0.2.1"), PNG).json()["id"]
    spoofing = Client(REMOTE_ADDR="192.0.2.2", headers={"X-Forwarded-For": "192.0.2.1"})
    assert spoofing.get(f"/api/v1/jobs/{job}").status_code == 404
