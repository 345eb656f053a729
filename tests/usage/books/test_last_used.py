"""Last uses, brought from a real store to SQL: late, at once, twice or killed on the way."""

from datetime import UTC, datetime, timedelta

import pytest
import redis

from accounts.models import KeySecret
from usage.books import last_used
from usage.books.last_used import book_last_uses
from usage.limits import last_uses
from usage.limits.store import limit_store
from usage.tasks import book_last_uses as task

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    driven_clock.set("2026-03-01T12:30:30")
    return driven_clock


@pytest.fixture
def secret(issue):
    return issue()[0].secrets.get()


def use(secret, at):
    last_uses.bring(limit_store(), {secret.pk: int(at.timestamp()) // 60})


def last_used_at(secret):
    return KeySecret.objects.get(pk=secret.pk).last_used_at


def test_the_last_use_is_written_down(secret):
    use(secret, NOON)
    assert book_last_uses(limit_store()) == 1
    assert last_used_at(secret) == NOON


def test_the_store_forgets_what_is_written_down(secret, valkey):
    use(secret, NOON)
    book_last_uses(limit_store())
    assert valkey.keys("kp1:*:used") == []
    assert book_last_uses(limit_store()) == 0


def test_a_secret_that_is_used_while_it_is_written_down_is_not_forgotten(secret, monkeypatch):
    use(secret, NOON)
    write = last_used._write

    def write_slowly(*words):
        monkeypatch.setattr(last_used, "_write", write)
        write(*words)
        use(secret, NOON + MINUTE)

    monkeypatch.setattr(last_used, "_write", write_slowly)
    book_last_uses(limit_store())
    assert last_used_at(secret) == NOON + MINUTE


def test_whoever_is_killed_between_the_two_has_done_no_harm(secret, monkeypatch):
    use(secret, NOON)

    def killed(*words):
        raise redis.ConnectionError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(last_uses, "forget", killed)
        with pytest.raises(redis.ConnectionError):
            book_last_uses(limit_store())
    assert book_last_uses(limit_store()) == 1
    assert last_used_at(secret) == NOON


def test_a_time_never_moves_back(secret):
    use(secret, NOON)
    book_last_uses(limit_store())
    use(secret, NOON - MINUTE)
    book_last_uses(limit_store())
    assert last_used_at(secret) == NOON


def test_a_web_process_whose_clock_is_ahead_has_not_seen_the_future(secret):
    use(secret, NOON + timedelta(days=400))
    book_last_uses(limit_store())
    assert last_used_at(secret) == NOON + 30 * MINUTE


def test_a_deleted_secret_is_forgotten(secret, valkey):
    use(secret, NOON)
    KeySecret.objects.all().delete()
    book_last_uses(limit_store())
    assert valkey.keys("kp1:*:used") == []


def test_many_are_written_with_few_statements(owner, issue, django_assert_max_num_queries, monkeypatch):
    key, _ = issue()
    secrets = KeySecret.objects.bulk_create(
        KeySecret(key=key, digest=f"{number:064}", pepper_version=1) for number in range(2000)
    )
    minute = int(NOON.timestamp()) // 60
    last_uses.bring(limit_store(), {secret.pk: minute - number % 2 for number, secret in enumerate(secrets)})
    with django_assert_max_num_queries(4):
        assert book_last_uses(limit_store()) == 2000
    assert KeySecret.objects.filter(last_used_at=NOON).count() == 1000
    assert KeySecret.objects.filter(last_used_at=NOON - MINUTE).count() == 1000


def test_a_store_that_is_away_is_asked_again_later(monkeypatch):
    def away(store):
        raise redis.ConnectionError("away")

    monkeypatch.setattr(last_used, "book_last_uses", away)
    assert task() == 0
