"""Which job is next: accounts take turns, and none has more at once than its limit."""

import pytest
from django.test import Client

from accounts.models import Tier, User
from images.models import Job
from images.queue import picking
from tests.images.calls import make_job, submit

pytestmark = pytest.mark.usefixtures("store")


def taken(count: int) -> list[Job | None]:
    return [picking.take() for _ in range(count)]


def test_jobs_of_one_account_run_in_the_order_they_came(api):
    assert [submit(api) for _ in range(3)] == taken(3)


def test_accounts_take_turns_however_much_each_has_waiting(new_client):
    busy, other, third = (new_client(f"{name}@example.com") for name in ("busy", "other", "third"))
    many = [submit(busy) for _ in range(4)]
    two = [submit(other) for _ in range(2)]
    one = submit(third)
    order = taken(7)
    # The three of them first, in some order, before anybody's second.
    assert set(order[:3]) == {many[0], two[0], one}
    assert set(order[3:5]) == {many[1], two[1]}
    assert order[5:] == many[2:]


def test_a_thousand_jobs_of_one_account_do_not_delay_the_first_of_another(db):
    busy = User.objects.create_user("busy@example.com")
    first = make_job(busy, "queued")
    Job.objects.bulk_create(
        Job(owner=busy, queue=first.queue, subject_id=first.subject_id, output_format="webp", input_bytes=1)
        for _ in range(999)
    )
    first.queue.move(entered="queued", jobs=999)
    assert picking.take() == first
    other = make_job(User.objects.create_user("other@example.com"), "queued")
    assert picking.take() == other


def test_no_more_of_an_account_run_than_its_limit_and_the_next_starts_as_one_ends(new_client):
    one, other = new_client(), new_client()  # two keys of one account
    Tier.objects.filter(slug="boundless").update(parallel=3)
    jobs = [submit(client) for client in (one, other, one, other, one)]
    assert taken(4) == [*jobs[:3], None]
    running = Job.objects.get(pk=jobs[1].pk)
    assert running.fail("invalid_request", "")
    assert taken(2) == [jobs[3], None]


def test_guests_have_theirs_by_network():
    for _ in range(4):
        submit(Client(REMOTE_ADDR="192.0.2.1"))
    assert [job is not None for job in taken(4)] == [True, True, True, False]
    elsewhere = submit(Client(REMOTE_ADDR="192.0.2.2"))
    assert taken(2) == [elsewhere, None]


def test_a_limit_that_staff_change_is_in_force_for_jobs_that_wait(api):
    Tier.objects.filter(slug="boundless").update(parallel=1)
    jobs = [submit(api) for _ in range(4)]
    assert taken(2) == [jobs[0], None]
    Tier.objects.filter(slug="boundless").update(parallel=3)
    assert taken(3) == [jobs[1], jobs[2], None]
    Tier.objects.filter(slug="boundless").update(parallel=None)
    assert taken(2) == [jobs[3], None]


def test_an_account_at_its_limit_holds_up_nobody(new_client):
    full, other = new_client("full@example.com"), new_client("other@example.com")
    Tier.objects.filter(slug="boundless").update(parallel=1)
    mine = [submit(full) for _ in range(3)]
    assert taken(2) == [mine[0], None]
    theirs = submit(other)
    assert taken(2) == [theirs, None]
