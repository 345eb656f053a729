"""The box holds: whatever a picture does to its process, the limit is told, and nobody else feels it."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import psutil
import pytest

from images import formats
from images.drawings import draw
from images.formats import INPUTS, OUTPUTS, output_named
from images.orders import Order, Unconvertible
from images.pictures import box
from images.pictures.limits import Limits
from koalapanel.env import BASE_DIR
from tests.panel import still_alive

LIMITS = Limits.within(memory_bytes=3 * 1024**3, max_pixels=50_000_000)
SMALL = draw(1, (60, 40), "png")


def in_a_box(content, output=formats.WEBP, *, going_on=lambda progress: True, **limits):
    """The outcome and the result's bytes."""
    with tempfile.TemporaryFile() as target:
        outcome = box.convert(
            BytesIO(content), target, Order(output), limits=replace(LIMITS, **limits), going_on=going_on
        )
        target.seek(0)
        return outcome, target.read()


def refused(content, output=formats.WEBP, **limits):
    with pytest.raises(Unconvertible) as caught:
        in_a_box(content, output, **limits)
    return caught.value.code, caught.value.detail


@pytest.fixture(scope="module")
def slow():
    """A picture that takes many seconds to make an AVIF of."""
    noise = os.urandom(2_400 * 1_600 * 3)
    from PIL import Image

    file = BytesIO()
    Image.frombytes("RGB", (2_400, 1_600), noise).save(file, "BMP")
    return file.getvalue()


def templates():
    return [
        process
        for process in psutil.Process().children()
        if "images.pictures.template" in " ".join(process.cmdline())
    ]


def boxes():
    return [child for template in templates() for child in template.children()]


@pytest.fixture(autouse=True)
def _no_box_stays():
    in_a_box(SMALL)  # the template is there, so a box is made at once
    yield
    assert boxes() == []
    assert len(templates()) <= 1


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda form: form.name)
@pytest.mark.parametrize("source", INPUTS, ids=lambda form: form.name)
def test_every_format_converts_where_no_file_can_be_opened(source, output):
    """What decoders and encoders load late would have to be opened: all of it is in the template."""
    outcome, result = in_a_box(draw(1, (60, 40), source.name), output)
    assert (outcome.input.format, outcome.output.format) == (source, output)
    assert (outcome.output.width, outcome.output.height, outcome.output.bytes) == (60, 40, len(result))


def test_what_a_decoder_refuses_is_told_as_it_is():
    assert refused(b"text")[0] == "unsupported_format"
    assert refused(SMALL[:100])[0] == "invalid_request"


@pytest.fixture(scope="module")
def large():
    """16 megapixels."""
    return draw(1, (4_000, 4_000), "png")


@pytest.mark.parametrize(
    ("output", "megabytes"),
    [("bmp", 130), ("webp", 200), ("avif", 240), ("avif", 340), ("jpg", 190), ("gif", 150)],
)
def test_a_picture_that_takes_too_much_memory_is_too_large(large, output, megabytes):
    """Whether it is decoding that fails, or encoding: libraries have many words for it, or none."""
    assert refused(large, output_named(output), memory_bytes=megabytes * 1_000_000) == (
        "image_too_large",
        "Processing this image takes more memory than a job may have.",
    )
    assert in_a_box(SMALL, memory_bytes=megabytes * 1_000_000)


def test_a_picture_that_takes_too_long_is_too_large(slow):
    started = time.monotonic()
    code, detail = refused(slow, formats.AVIF, seconds=1)
    assert (code, detail) == ("image_too_large", "This image takes longer than 1 seconds to process.")
    assert time.monotonic() - started < 4


def test_a_picture_that_takes_too_much_processor_time_is_too_large(slow):
    assert refused(slow, formats.AVIF, cpu_seconds=1)[0] == "image_too_large"


def test_a_result_that_grows_too_large_is_refused():
    code, detail = refused(draw(1, (600, 400), "png"), formats.BMP, file_bytes=100_000)
    assert (code, detail) == ("image_too_large", "The result would be larger than a job may make it.")


def test_a_job_that_does_not_go_on_is_stopped(slow, monkeypatch):
    monkeypatch.setattr(box, "BEAT_SECONDS", 0.1)
    asked = []

    def twice(progress):
        asked.append(progress)
        return len(asked) < 2

    with pytest.raises(box.Stopped):
        in_a_box(slow, formats.AVIF, going_on=twice)
    assert len(asked) == 2
    assert all(0 <= progress < 100 for progress in asked)


def test_a_caller_that_fails_leaves_no_box(slow, monkeypatch):
    monkeypatch.setattr(box, "BEAT_SECONDS", 0.1)

    def fails(progress):
        raise ConnectionError("the database is away")

    with pytest.raises(ConnectionError):
        in_a_box(slow, formats.AVIF, going_on=fails)


@pytest.mark.parametrize(("number", "name"), [(signal.SIGKILL, "SIGKILL"), (40, "signal 40")])
def test_a_box_that_is_killed_is_told_apart(slow, monkeypatch, number, name):
    monkeypatch.setattr(box, "BEAT_SECONDS", 0.1)

    def kills(progress):
        for process in boxes():
            process.send_signal(number)
        return True

    with pytest.raises(box.Killed, match=name):
        in_a_box(slow, formats.AVIF, going_on=kills)


def test_what_a_box_says_is_cut_to_what_a_job_can_keep():
    said = {"unconvertible": ["invalid_request", "a\0b\n" + "c" * 1000, "d" * 1000]}
    line, their_line = socket.socketpair()
    news, their_news = socket.socketpair()
    with line, news:
        their_news.sendall(json.dumps(said).encode() + b"\n")
        their_line.sendall(struct.pack("qq", 0, 0))  # it ended well, and used no memory
        their_news.close()
        their_line.close()
        with pytest.raises(Unconvertible) as caught:
            box._Following(line, news, LIMITS, lambda progress: True).until_the_end()
    assert caught.value.detail == "ab" + "c" * 298
    assert caught.value.field == "d" * 20


def test_a_template_that_is_killed_takes_its_boxes_along_and_is_replaced(slow, monkeypatch):
    monkeypatch.setattr(box, "BEAT_SECONDS", 0.1)
    family = []

    def kills(progress):
        family.extend([*boxes(), *templates()])
        templates()[0].kill()
        return True

    with pytest.raises(box.Killed):
        in_a_box(slow, formats.AVIF, going_on=kills)
    assert still_alive(family, 2) == []
    assert in_a_box(SMALL)[0].output.format == formats.WEBP


def test_several_threads_have_a_box_each():
    ended = []

    def convert():
        for _ in range(5):
            ended.append(in_a_box(SMALL)[0].input.width)

    threads = [threading.Thread(target=convert) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [60] * 20


PROGRAM = """
import sys, tempfile
from dataclasses import replace
from images import formats
from images.orders import Order
from images.pictures import box
from images.pictures.limits import Limits

limits = Limits.within(memory_bytes=3 * 1024**3, max_pixels=50_000_000)
box.BEAT_SECONDS = 0.1
def going_on(progress):
    print("at it", flush=True)
    return True
with open(sys.argv[1], "rb") as source, tempfile.TemporaryFile() as target:
    box.convert(source, target, Order(formats.PNG, width=10), limits=limits)
    box.convert(source, target, Order(formats.AVIF), limits=limits, going_on=going_on)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_leaves_neither_box_nor_template(slow, tmp_path, number):
    picture = Path(tmp_path / "picture")
    picture.write_bytes(slow)
    worker = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(picture)], cwd=BASE_DIR, stdout=subprocess.PIPE, text=True
    )
    with worker:
        assert worker.stdout.readline() == "at it\n"
        family = psutil.Process(worker.pid).children(recursive=True)
        assert len(family) == 2
        worker.send_signal(number)
        worker.wait(5)
    assert still_alive(family, 2) == []


def test_a_box_knows_no_secret_and_nothing_of_ours(slow, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hush")
    monkeypatch.setattr(box, "BEAT_SECONDS", 0.1)
    box.end()
    in_a_box(SMALL)
    seen = {}

    def looks(progress):
        (process,) = boxes()
        seen["environment"] = set(process.environ())
        seen["files"] = len(process.open_files())
        seen["maps"] = " ".join(part.path for part in process.memory_maps())
        seen["limit"] = process.rlimit(psutil.RLIMIT_NOFILE)
        seen["nice"] = process.nice()
        return False

    with pytest.raises(box.Stopped):
        in_a_box(slow, formats.AVIF, going_on=looks)
    assert seen["environment"] <= {
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "MALLOC_ARENA_MAX",
        "GLIBC_TUNABLES",
        "LD_LIBRARY_PATH",
    }
    assert "hiredis" not in seen["maps"]
    assert seen["files"] <= 3
    assert seen["limit"] == (0, 0)
    assert seen["nice"] >= 10
