"""What the panel around Pillow costs: images per second over HTTP, and memory for the largest images.

Rate: a panel as `manage.py up` starts it (granian, Valkey, a worker with two jobs at a time), and clients
that send pictures of a megapixel to POST /convert, each when it has the answer to the one before. Against it
a plain loop in two processes on the same files, without HTTP, database and box. The two take turns, and the
loop is as nice as a box is: what else the machine does takes the same from both.

Memory: pictures of 50 megapixels, converted in a box and by a plain process that does nothing else.
"""

import argparse
import http.client
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]

from benchmarks import NothingMeasured, arguments
from benchmarks.pictures.peak import peak_kib
from benchmarks.pictures.photos import photo
from benchmarks.servers import clean_environment
from images.formats import output_named
from images.orders import Order, Unconvertible
from images.pictures import box
from images.pictures.limits import Limits
from koalapanel.env import BASE_DIR

SUMMARY = "images: conversions per second over HTTP, and memory, against plain Pillow"
PROCESSES = 2
CLIENTS = 6  # enough that a worker never waits for one
FILES = 8
MEGAPIXEL = (1_154, 867)
FIFTY = (8_660, 5_773)
PROMISED_RATE = 0.8
PROMISED_MEMORY = 1.3
START_SECONDS = 300.0
MEMORY_CASES = (
    ("png", "webp"),
    ("jpg", "avif"),
    ("png", "jpg"),
    ("jpg", "png"),
    ("webp", "jpg"),
    ("jpg", "tiff"),
)
TIGHT = 500 * 2**20  # too little for a WebP of 50 megapixels
LIBRARIES = ("pillow", "pillow-heif", "django", "granian", "celery")


def add_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--images", type=arguments.positive, default=80, help="sent a round (%(default)s)")
    group.add_argument("--turns", type=arguments.positive, default=5, help="of both (%(default)s)")
    group.add_argument("--no-memory", action="store_true", help="measure the rate alone")


def run(asked: argparse.Namespace) -> bool:
    """Measure and print the tables; tells whether what was promised is kept."""
    versions = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    print(f"{SUMMARY}\n{os.cpu_count()} CPUs, Python {platform.python_version()}, {versions}")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}\n")
    with tempfile.TemporaryDirectory(prefix="koala-bench-") as directory:
        folder = Path(directory)
        met = [_rate(folder, asked.images, asked.turns)]
        if not asked.no_memory:
            met.append(_memory(folder))
    return all(met)


# --- Rate ------------------------------------------------------------------------------------------------


def _rate(folder: Path, images: int, turns: int) -> bool:
    files = []
    for number in range(FILES):
        files.append(folder / f"{number}.png")
        photo(*MEGAPIXEL).save(files[-1])
    size = sum(file.stat().st_size for file in files) / FILES / 2**20
    print(f"{FILES} PNGs of 1 megapixel, {size:.1f} MB each")
    with ExitStack() as running:
        loops = [running.enter_context(_loop(files[number:] + files[:number])) for number in range(PROCESSES)]
        panel = running.enter_context(_panel(folder / "var"))
        bodies = [file.read_bytes() for file in files]
        for both in (loops, panel):  # the first pictures fill caches
            _timed(both, bodies, PROCESSES * 2)
        rates: dict[str, list[float]] = {"plain": [], "panel": []}
        cpu = {"plain": 0.0, "panel": 0.0}
        for _ in range(turns):
            for name, convert, pids in (
                ("plain", loops, [loop.pid for loop in loops]),
                ("panel", panel, [panel.pid]),
            ):
                before = _cpu_seconds(pids)
                rates[name].append(images / _timed(convert, bodies, images))
                cpu[name] += (_cpu_seconds(pids) - before) / images / turns
    ratios = [ours / plain for ours, plain in zip(rates["panel"], rates["plain"], strict=True)]
    for name, text in (
        ("plain", f"plain loop, {PROCESSES} processes"),
        ("panel", "POST /convert, 2 at a time"),
    ):
        print(f"    {text:30}{_spread(rates[name])} images/s")
    for name, seconds in cpu.items():
        print(f"    {f'processor per image, {name}':30}{seconds * 1000:7.0f} ms")
    print(f"    {'its ratio':30}{cpu['plain'] / cpu['panel']:7.2f}")
    kept = median(ratios) >= PROMISED_RATE
    print(f"    {'ratio':30}{_spread(ratios)}   promised {PROMISED_RATE}: {_word(kept)}\n")
    return kept


def _cpu_seconds(pids: Sequence[int]) -> float:
    """Of these processes and all that ever descended from them."""
    parents = [psutil.Process(pid) for pid in pids]
    family = [*parents, *(child for parent in parents for child in parent.children(recursive=True))]
    used: float = sum(sum(member.cpu_times()[:4]) for member in family)
    return used


def _timed(convert: "Sequence[subprocess.Popen[str]] | Panel", bodies: Sequence[bytes], images: int) -> float:
    started = time.perf_counter()
    if isinstance(convert, Panel):
        convert.send(bodies, images)
    else:
        for process in convert:
            assert process.stdin is not None  # noqa: S101  (a pipe)
            process.stdin.write(f"{images // PROCESSES}\n")
            process.stdin.flush()
        for process in convert:
            assert process.stdout is not None  # noqa: S101  (a pipe)
            if not process.stdout.readline():
                raise NothingMeasured("a plain loop has ended")
    return time.perf_counter() - started


@contextmanager
def _loop(files: Sequence[Path]) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.pictures.loop", *map(str, files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=BASE_DIR,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


class Panel:
    """A running panel, and a key that no limit refuses."""

    def __init__(self, url: str, key: str, pid: int) -> None:
        self._address, self._key, self.pid = urlsplit(url).netloc, key, pid

    def send(self, bodies: Sequence[bytes], images: int) -> None:
        """Have so many converted and wait for the last. Raises `NothingMeasured` unless each is done."""
        left, lock, wrong = iter(range(images)), threading.Lock(), list[str]()

        def client() -> None:
            connection = http.client.HTTPConnection(self._address, timeout=60)
            while True:
                with lock:
                    number = next(left, None)
                if number is None or wrong:
                    break
                answer = self._convert(connection, bodies[number % len(bodies)])
                if answer is not None:
                    wrong.append(answer)
            connection.close()

        clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for each in clients:
            each.start()
        for each in clients:
            each.join()
        if wrong:
            raise NothingMeasured(wrong[0])

    def _convert(self, connection: http.client.HTTPConnection, picture: bytes) -> str | None:
        """What is wrong with the answer, if anything is."""
        edge = "koala-koala-koala"
        head = (
            f'--{edge}\r\nContent-Disposition: form-data; name="targetFormat"\r\n\r\nwebp\r\n'
            f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="koala.png"\r\n\r\n'
        )
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": f"multipart/form-data; boundary={edge}",
        }
        body = head.encode() + picture + f"\r\n--{edge}--\r\n".encode()
        connection.request("POST", "/convert", body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        is_done = response.status == 200 and json.loads(text)["status"] == "done"
        return None if is_done else f"a conversion was answered {response.status} {text[:300]}"


@contextmanager
def _panel(var_dir: Path) -> Iterator[Panel]:
    environment = {
        **clean_environment(),
        "VAR_DIR": str(var_dir),
        "WORKER_PROCESSES": str(PROCESSES),
        "LIMITS_TIMEOUT_MS": "5000",  # the machine is busy on purpose
    }
    log = var_dir.with_suffix(".log")
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", "0", "--var", str(var_dir)],
            env=environment,
            cwd=BASE_DIR,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not (ready := re.search(r"^ready (\S+)$", log.read_text(), re.MULTILINE)):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NothingMeasured(f"the panel did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.1)
        limits = ("minute", "day", "concurrent", "parallel", "queued")
        key = subprocess.run(
            [
                *(sys.executable, "manage.py", "issue_key", "bench@example.com", "--name", "benchmark"),
                *(part for limit in limits for part in ("--limit", f"{limit}=1000000")),
            ],
            env=environment,
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.strip()
        yield Panel(ready[1], key, process.pid)
    finally:
        process.terminate()
        process.wait(30)


# --- Memory ----------------------------------------------------------------------------------------------


def _memory(folder: Path) -> bool:
    sources: dict[str, Path] = {}
    picture = photo(*FIFTY)
    for name, options in (("png", {"compress_level": 1}), ("jpg", {"quality": 85}), ("webp", {"method": 0})):
        sources[name] = folder / f"fifty.{name}"
        form = output_named(name)
        assert form is not None  # noqa: S101
        picture.save(sources[name], form.pillow, **options)
    del picture
    print(f"{FIFTY[0] * FIFTY[1] / 1e6:.0f} megapixels{'plain MB':>22}{'box MB':>12}{'ratio':>10}")
    kept = True
    for given, output in MEMORY_CASES:
        plain = _plain_peak(sources[given], output)
        boxed, _ = _box_peak(sources[given], output, 3 * 2**30)
        kept = kept and boxed / plain <= PROMISED_MEMORY
        print(f"    {given:5}to {output:6}{plain / 1024:22.0f}{boxed / 1024:12.0f}{boxed / plain:10.2f}")
    boxed, answer = _box_peak(sources["png"], "webp", TIGHT)
    bounded = boxed * 1024 <= TIGHT and answer == "image_too_large"
    print(f"    with {TIGHT / 2**20:.0f} MB, png to webp{boxed / 1024:27.0f}   {answer}")
    templates = sum(child.memory_info().rss for child in psutil.Process().children()) / 2**20
    print(f"    besides: the template {templates:.0f} MB")
    print(f"Ratio of at most {PROMISED_MEMORY}: {_word(kept)}. Bounded by the setting: {_word(bounded)}.")
    box.end()
    return kept and bounded


def _plain_peak(source: Path, output: str) -> int:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.pictures.peak", str(source), output],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=BASE_DIR,
    )
    return int(done.stdout)


def _box_peak(source: Path, output: str, memory_bytes: int) -> tuple[int, str]:
    """The most kB that the box ever had, looked up every 20 ms, and how it ended."""
    peak = 0

    def look(progress: int) -> bool:
        nonlocal peak
        for template in psutil.Process().children():
            for child in template.children():
                try:
                    peak = max(peak, peak_kib(child.pid))
                except FileNotFoundError:
                    continue
        return True

    box.BEAT_SECONDS = 0.02
    limits = Limits.within(memory_bytes=memory_bytes, max_pixels=50_000_000)
    with source.open("rb") as reading, tempfile.TemporaryFile() as target:
        try:
            box.convert(reading, target, Order(output_named(output)), limits=limits, going_on=look)
        except Unconvertible as error:
            return peak, error.code
    return peak, "done"


def _spread(numbers: Sequence[float]) -> str:
    return f"{median(numbers):7.2f} ({min(numbers):.2f} to {max(numbers):.2f})"


def _word(is_met: bool) -> str:
    return "met" if is_met else "MISSED"
