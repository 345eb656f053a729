"""Staff answer about a suspended key. Of two who do at once, the second is told what the first did."""

import contextlib
from enum import StrEnum

import redis
from django.db import transaction

from accounts.models import ApiKey, AuditEntry, User
from usage.escalation.following import follow_changes
from usage.escalation.policy import read_ladder
from usage.escalation.reactivation import keep_suspended, let_go
from usage.limits.store import limit_store
from usage.models import ReactivationRequest


class Answer(StrEnum):
    PROBATION = "probation"
    CLEAN = "clean"
    KEEP = "keep"


class Overtaken(Exception):
    """Things stand differently from what the person saw; the message says who did what."""


def answer(key: ApiKey, what: Answer, *, seen: int | None, by: User, reason: str) -> None:
    """Reactivate the key, or keep it suspended, and with it settle the request that waits.

    `seen` is the request that the person read (`None`: nobody had asked). Raises `Overtaken` if the key or
    its request is another by now, and `NotPossible`.
    """
    ladder = read_ladder()
    with contextlib.suppress(redis.RedisError):
        follow_changes(limit_store())  # a suspension may be seconds old, and not in SQL yet
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        waiting = ReactivationRequest.objects.waiting().filter(key=key).values_list("pk", flat=True).first()
        if key.status != ApiKey.Status.SUSPENDED or waiting != seen:
            raise Overtaken(_what_was_done(key, waiting))
        if what is Answer.KEEP:
            keep_suspended(key, by, reason)
        else:
            let_go(key, ladder, by, reason, clean=what is Answer.CLEAN)


def _what_was_done(key: ApiKey, waiting: int | None) -> str:
    done = AuditEntry.objects.about(key).filter(action__in=_ANSWERS).first()
    if key.status == ApiKey.Status.SUSPENDED and waiting is not None:
        return "The owner has asked meanwhile, so nothing was changed. Read what they say, and answer that."
    if done is None:
        return "This key isn't suspended any more, so nothing was changed."
    said = f" Their reason: “{done.reason}”" if done.reason else ""
    return (
        f"Nothing was changed: {done.actor_label} {_ANSWERS[done.action]} it at {done.at:%H:%M:%S} UTC on "
        f"{done.at:%d %b %Y}.{said}"
    )


_ANSWERS = {"reactivated": "reactivated", "kept suspended": "answered and kept", "revoked": "revoked"}
