"""A database with so many waiting jobs, and what each thing that is done to a queue takes there.

Asked by JSON on lines of standard input, answers by lines on standard output. First `jobs` and `accounts`:
so many jobs wait, of so many accounts; then, as often as one likes, `rounds`: a job is submitted, asked for,
another taken from the queue and ended, so that as many wait as before. Gives the seconds of each, by name.
"""

import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import django
from django.core.management import call_command

ROWS_AT_ONCE = 2000
SMALL_PICTURE = b"no picture, but nobody looks at it here"


def main() -> None:
    django.setup()
    call_command("migrate", verbosity=0)
    asked = json.loads(sys.stdin.readline())
    subject = _fill(asked["jobs"], asked["accounts"])
    _say(None)
    for line in sys.stdin:
        _say(_measure(subject, json.loads(line)["rounds"]))


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)


def _fill(jobs: int, accounts: int) -> Any:
    """Make the jobs, each account's as many; the subject whose account has the first of them."""
    from django.db import connection
    from django.utils import timezone

    from accounts import api_keys
    from accounts.models import ApiKey, Tier, User
    from images.models import AccountQueue, Job
    from images.models.account_queue import account_queue_id
    from usage.subjects import key_subject_id, of_limits

    tier = Tier.objects.create(slug="boundless", name="Boundless")
    users = User.objects.bulk_create(User(email=f"customer{n}@example.com") for n in range(accounts))
    keys = {user.pk: api_keys.issue(user, name="prod", tier=tier)[0] for user in users}
    each = jobs // accounts
    AccountQueue.objects.bulk_create(
        AccountQueue(pk=account_queue_id(user.pk), queued=each) for user in users
    )
    long_ago = timezone.now() - timedelta(hours=1)
    Job.objects.bulk_create(
        (
            Job(
                owner=user,
                subject_id=key_subject_id(keys[user.pk].pk),
                queue_id=account_queue_id(user.pk),
                output_format="webp",
                input_bytes=len(SMALL_PICTURE),
                created_at=long_ago + timedelta(milliseconds=number),
            )
            for number in range(each)
            for user in users
        ),
        batch_size=ROWS_AT_ONCE,
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
    return of_limits(ApiKey.objects.select_related("tier").get(pk=keys[users[0].pk].pk))


def _measure(subject: Any, rounds: int) -> dict[str, list[float]]:
    from django.core.files.uploadedfile import SimpleUploadedFile

    from images import api
    from images.formats import output_named
    from images.orders import Order
    from images.queue import accepting, ends, picking

    times: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        before = time.perf_counter()
        yield
        times[name].append(time.perf_counter() - before)

    order, request = Order(output_named("webp")), cast("Any", SimpleNamespace(subject=subject))
    ask = cast("Callable[..., object]", api.job)
    for _ in range(rounds):
        upload = SimpleUploadedFile("picture.png", SMALL_PICTURE)
        with timed("submit"):
            (job,) = accepting.accept(subject, [upload], order)
        with timed("poll"):
            ask(request, job.pk)
        with timed("pick"):
            picked = picking.take()
        if picked is None:
            raise AssertionError("A job waits, and was not found.")
        with timed("end"):
            ends.fail(picked, ends.OUR_FAULT)
    return times


if __name__ == "__main__":
    main()
