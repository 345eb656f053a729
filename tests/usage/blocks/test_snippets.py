"""What the page shows as the right way to wait, run against a server that refuses first."""

import os
import subprocess
import sys
import threading
import time

import pytest
from django.urls import reverse

from tests.usage.blocks.test_block_page import words
from usage.blocks.snippets import snippets
from usage.escalation import reactivation
from usage.guard.local_hits import LocalHits
from usage.models import EscalationEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]


def test_the_python_one_waits_as_it_is_told_and_is_served_then(
    live_server, issue, driven_clock, tmp_path, monkeypatch
):
    driven_clock.set("2026-03-01T12:00:58")  # two seconds before the next minute
    _, text = issue(minute_override=1)
    refused = threading.Event()
    sample = LocalHits.sample
    monkeypatch.setattr(LocalHits, "sample", lambda *args: (sample(*args), refused.set()))
    snippet = next(one for one in snippets() if one.language == "Python")
    (tmp_path / "convert.py").write_text(snippet.text)
    (tmp_path / "photo.png").write_bytes(b"a picture")
    run = [sys.executable, "convert.py", "photo.png", "webp"]
    environ = os.environ | {"KOALA_URL": live_server.url, "KOALA_KEY": text}
    first = subprocess.run(run, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert first.stdout == "200\n", first.stderr
    began = time.monotonic()
    second = subprocess.Popen(run, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True)
    assert refused.wait(30)
    driven_clock.advance(2)
    out, _ = second.communicate(timeout=60)
    assert out == "200\n"
    assert time.monotonic() - began >= 2


@pytest.mark.urls("koalapanel.urls")
def test_all_of_them_are_on_the_page(client, owner, issue, driven_clock):
    key, _ = issue()
    reactivation.suspend(key, by=None, reason="It never waits.")
    client.force_login(owner)
    said = words(client.get(reverse("block", args=[EscalationEvent.objects.get().pk])))
    assert [one.language for one in snippets()] == ["curl", "Python", "JavaScript"]
    for one in snippets():
        assert " ".join(one.text.split()) in said
