"""Two of staff at the same thing at the same moment: one is done, and the other is told."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from accounts.changing import Stale
from accounts.limit_changes import TIER
from accounts.models import AuditEntry, Tier, User
from usage.escalation.ladder_changes import LADDER
from usage.models import EscalationPolicy

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]

PEOPLE = 4


def at_once(do):
    """What became of `do(number)` in each of some threads that start together."""
    barrier = Barrier(PEOPLE)

    def run(number):
        try:
            barrier.wait()
            return do(number)
        except Stale:
            return "stale"
        finally:
            connection.close()

    with ThreadPoolExecutor(PEOPLE) as threads:
        return list(threads.map(run, range(PEOPLE)))


@pytest.fixture
def lionel(transactional_db):
    return User.objects.create_user("lionel@example.com", is_staff=True)


def test_of_those_who_save_beside_the_same_edition_one_does(lionel):
    tier = Tier.objects.get(slug="free")

    def save(number):
        wanted = {"minute": 40 + number}
        return TIER.change(tier, wanted, by=lionel, revision=tier.revision, reason="a race")

    done = at_once(save)
    assert done.count("stale") == PEOPLE - 1
    entry = AuditEntry.objects.get()
    assert entry in done
    tier.refresh_from_db()
    assert entry.before == {"minute": 30}
    assert entry.after == {"minute": tier.minute}


def test_so_it_is_with_the_ladder_whichever_part_of_it_they_change(lionel):
    policy = EscalationPolicy.objects.get()
    before = LADDER.values_of(policy)
    parts = [{"grace_seconds": 90}, *({f"step_{n}_strikes": 7} for n in (2, 3, 4))]

    def save(number):
        return LADDER.change(policy, parts[number], by=lionel, revision=policy.revision, reason="a race")

    done = at_once(save)
    assert done.count("stale") == PEOPLE - 1
    entry = AuditEntry.objects.get()
    assert LADDER.values_of(EscalationPolicy.objects.get()) == before | entry.after


def test_of_an_undo_that_is_pressed_by_many_one_is_done(lionel):
    tier = Tier.objects.get(slug="free")
    entry = TIER.change(tier, {"minute": 40}, by=lionel, revision=tier.revision, reason="a test")

    done = at_once(lambda number: TIER.undo(tier, entry, by=lionel))
    assert done.count("stale") == PEOPLE - 1
    tier.refresh_from_db()
    assert tier.minute == 30
    assert AuditEntry.objects.count() == 2
