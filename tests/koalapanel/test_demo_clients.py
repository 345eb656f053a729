"""The sample clients of `up --demo`, against a server of ours: they do what their manners say."""

import threading

import pytest

from accounts import api_keys
from accounts.models import User
from images.models import AccountQueue, Job
from koalapanel.demo.clients import Client
from usage.limits.store import limit_store

QUEUE = 12


@pytest.fixture
def said():
    return []


@pytest.fixture
def client(live_server, valkey, settings, monkeypatch, tmp_path, said):
    """With a key whose account may have as many jobs waiting as Fiona's; nobody works on them."""
    monkeypatch.setattr(limit_store(), "_timeout", 2)
    settings.JOB_WAIT_SECONDS = 0
    owner = User.objects.create_user("fiona@example.com")
    _, text = api_keys.issue(owner, name="archive", queued_override=QUEUE)
    client = Client(live_server.url, text, threading.Event(), said.append)
    client._random.seed(1)
    return client


def test_it_converts_and_compresses(client, said):
    assert (client.convert(), client.compress()) == (0.0, 0.0)
    assert sorted(Job.objects.values_list("operation", flat=True)) == ["compress", "convert"]
    assert said == []


def test_a_second_folder_finds_no_room_and_waits(client, said):
    assert client.convert_folder(8) == 0.0
    assert client.convert_folder(8) >= 1.0
    assert Job.objects.count() == 8
    assert said == []


def test_sometimes_it_thinks_better_of_the_last_picture(client, said, monkeypatch):
    monkeypatch.setattr(client, "_sometimes", lambda share: True)
    assert client.convert_folder(3) == 0.0
    assert sorted(Job.objects.values_list("status", flat=True)) == ["cancelled", "queued", "queued"]
    assert AccountQueue.objects.get().queued == 2
    assert said == []


def test_told_to_stop_it_sends_nothing(client):
    client._stopping.set()
    assert (client.convert(), client.convert_folder(2)) == (0.0, 0.0)
    assert Job.objects.count() == 0
