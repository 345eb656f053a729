"""Many at the same queues at once: limits hold, nothing runs twice, nobody waits in a circle."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import count as forever

import pytest
from django.db import connection

from accounts import api_keys
from accounts.account.deletion import delete_account
from accounts.models import ApiKey, Tier, User
from images import closed_accounts
from images.formats import output_named
from images.models import AccountQueue, Job
from images.orders import Order
from images.queue import accepting, ends, mending, picking
from tests.images.calls import upload
from usage.limits.refusals import ApiError
from usage.subjects import Subject, of_limits

pytestmark = pytest.mark.usefixtures("store")

THREADS = 8
QUEUED, PARALLEL = 20, 3
ORDER = Order(output_named("webp"))


@pytest.fixture
def subjects(transactional_db) -> list[Subject]:
    """Two keys of one account, and one of another."""
    tier = Tier.objects.create(slug="narrow", name="Narrow", queued=QUEUED, parallel=PARALLEL)
    busy, other = (User.objects.create_user(f"{name}@example.com") for name in ("busy", "other"))
    for owner in (busy, busy, other):
        api_keys.issue(owner, name="tests", tier=tier)
    return [of_limits(key) for key in ApiKey.objects.select_related("tier").order_by("pk")]


def in_threads(count, work):
    """What each of so many threads returned."""

    def run(number):
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


def submit(subject, jobs=1):
    return accepting.accept(subject, [upload(b"a picture")] * jobs, ORDER)


def test_many_submitters_never_fill_a_queue_beyond_its_limit(subjects):
    def submit_till_refused(number):
        accepted = []
        with pytest.raises(ApiError, match="Too many queued jobs"):
            accepted.extend(job for _ in forever() for job in submit(subjects[number % 2], 1 + number % 3))
        return len(accepted)

    accepted = sum(in_threads(THREADS, submit_till_refused))
    # Batches of two and three may not have found room where one more would have.
    assert accepted == Job.objects.count() == AccountQueue.objects.get().queued == QUEUED


def test_many_takers_never_run_more_of_an_account_than_its_limit_and_nothing_twice(subjects):
    for subject in (subjects[0], subjects[2]):
        submit(subject, QUEUED)
    taken = in_threads(THREADS, lambda number: [job.pk for job in iter(picking.take, None)])
    started = [pk for pks in taken for pk in pks]
    assert len(started) == len(set(started)) == 2 * PARALLEL
    assert {(queue.queued, queue.running) for queue in AccountQueue.objects.all()} == {
        (QUEUED - PARALLEL, PARALLEL)
    }


def test_takers_that_come_together_serve_different_accounts(subjects):
    for subject in (subjects[0], subjects[2]):
        submit(subject, 5)
    together = threading.Barrier(2)

    def take(number):
        together.wait()
        return picking.take().owner_id

    assert len(set(in_threads(2, take))) == 2


def test_whatever_happens_together_the_numbers_are_those_of_the_jobs(subjects):
    end = time.monotonic() + 2
    too_many = []

    def live(number):
        dice = random.Random(number)
        did = 0
        while time.monotonic() < end:
            did += 1
            match number % 4:
                case 0:
                    with suppress(ApiError):  # full
                        submit(dice.choice(subjects), dice.choice((1, 2, 5)))
                case 1 | 2:
                    job = picking.take()
                    if job is not None:
                        dice.choice((lambda job: job.put_back(died=True), fail, fail))(job)
                case 3:
                    job = Job.objects.order_by("?").first()
                    if job is not None:
                        dice.choice((ends.cancel, ends.cancel, Job.delete))(job)
                    mending.remove_idle_queues()
                    assert mending.mend_numbers() == 0
            numbers = AccountQueue.objects.values_list("queued", "running")
            too_many.extend(one for one in numbers if one[1] > PARALLEL)
        return did

    assert min(in_threads(THREADS, live)) > 0
    assert too_many == []
    assert mending.mend_numbers() == 0
    ended = Job.objects.ended()
    assert ended.exists()
    assert not ended.filter(ended_at=None).exists()


def test_an_account_is_deleted_while_somebody_submits_and_neither_waits_in_a_circle(subjects, monkeypatch):
    submit(subjects[0])  # there is a queue to meet at
    booked, closing = threading.Event(), threading.Event()
    move, queue_id = AccountQueue.move, closed_accounts.account_queue_id

    def move_and_wait(queue, **change):
        move(queue, **change)
        booked.set()
        closing.wait(0.5)  # where a whole database is locked, it can't begin

    def tell(account_id):
        closing.set()
        return queue_id(account_id)

    def submit_or_delete(number):
        if number == 0:
            submit(subjects[0])
        else:
            booked.wait(5)
            delete_account(User.objects.get(pk=subjects[0].account_id))

    monkeypatch.setattr(AccountQueue, "move", move_and_wait)
    monkeypatch.setattr(closed_accounts, "account_queue_id", tell)
    in_threads(2, submit_or_delete)
    assert [(job.owner, job.status) for job in Job.objects.all()] == [(None, "failed")] * 2


def fail(job):
    return ends.fail(job, ends.OUR_FAULT)
