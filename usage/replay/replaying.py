"""A replay of the recorded days, from the books to its result."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

from accounts.models import ApiKey, Tier
from usage.escalation.ladder import GUEST_PREFIX, Ladder
from usage.escalation.policy import read_ladder
from usage.models import Replay
from usage.replay import numbers, reading
from usage.replay.engine import Windows, play
from usage.replay.numbers import Numbers
from usage.replay.reading import Chosen, History, Scope, Span
from usage.replay.result import Changed, Day, Recorded, Result
from usage.replay.summing import Difference, Sums, fate
from usage.spans import DAY_SECONDS
from usage.subjects import key_id_of

# Called with how much is done, from 0 to 1.
Tell = Callable[[float], None]

CHOOSING = 0.4  # of the whole


def replay(about: str, slug: str, current: Numbers, proposed: Numbers, now: datetime, tell: Tell) -> Result:
    """Replay the days that are recorded at `now` under both, as `usage.models.Replay` describes them.

    Raises `Tier.DoesNotExist` if there is no such tier any more.
    """
    began = time.perf_counter()
    scope, ladders = _what(about, slug, current, proposed)
    span = reading.recorded_span(now)
    chosen, sums = Chosen(), Sums()
    if span is not None:
        days = span.days()
        for number, day in enumerate(days):
            scope.choose(span, day, chosen)
            tell(CHOOSING * (number + 1) / len(days))
        started = _play(scope, ladders, span, chosen, sums, tell)
    estimates = sums.estimates(
        {
            "demand": chosen.blocked_hits,
            "concurrent": chosen.concurrent_hits,
            "elsewhere": chosen.other_hits,
            "start": 0 if span is None else started,
            "strikes": 0 if span is None else reading.struck_before(chosen.since, span),
        }
    )
    reasons = {estimate["reason"] for estimate in estimates}
    return Result(
        first=None if span is None else span.first.isoformat(),
        last=None if span is None else span.end.isoformat(),
        subjects=0 if span is None else scope.subjects(span),
        minutes=chosen.minutes,
        requests=chosen.requests,
        recorded=Recorded(
            admitted=chosen.admitted, limit_hits=chosen.limit_hits, blocked_hits=chosen.blocked_hits
        ),
        current=sums.current.totals(),
        proposed=sums.proposed.totals(),
        days=[] if span is None else _days(span, chosen, sums),
        changed=_named(sums.worst()),
        changed_total=sums.changed,
        worse_total=sums.worse,
        exact=not reasons,
        exact_as_recorded=reasons <= {"clients"},
        estimates=estimates,
        seconds=round(time.perf_counter() - began, 3),
    )


def _what(about: str, slug: str, current: Numbers, proposed: Numbers) -> tuple[Scope, tuple[Ladder, Ladder]]:
    if about == Replay.Subject.LADDER:
        return Scope(None, None), (numbers.ladder_of(current), numbers.ladder_of(proposed))
    limits = tuple(Windows(*(given.get(kind) for kind in Windows._fields)) for given in (current, proposed))
    ladder = read_ladder()
    return Scope(Tier.objects.get(slug=slug), (limits[0], limits[1])), (ladder, ladder)


def _play(
    scope: Scope, ladders: tuple[Ladder, Ladder], span: Span, chosen: Chosen, sums: Sums, tell: Tell
) -> int:
    """Play everybody who was chosen; gives how many of them didn't begin on the ground."""
    played = started = 0
    nothing = History()
    for since, subjects in chosen.portions():
        windows = scope.windows(subjects)
        histories = reading.histories(subjects, span, ladders[0])
        for subject, minutes in reading.minutes_of(subjects, Span(since, span.end)):
            if subject in windows:  # else its key was removed meanwhile
                history = histories.get(subject, nothing)
                current, proposed = (
                    play(minutes, limits, ladder, subject, start=history.start, orders=history.orders)
                    for limits, ladder in zip(windows[subject], ladders, strict=True)
                )
                sums.add(subject, current, proposed)
                started += history.start.escalation > 0
            played += 1
            tell(CHOOSING + (1 - CHOOSING) * played / len(chosen.since))
    return started


def _days(span: Span, chosen: Chosen, sums: Sums) -> list[Day]:
    listed = []
    for start, _ in span.days():
        number = int(start.timestamp()) // DAY_SECONDS
        listed.append(
            Day(
                date=start.date().isoformat(),
                requests=chosen.requests_by_day.get(start, 0),
                current=sums.current.refused_by_day[number],
                proposed=sums.proposed.refused_by_day[number],
            )
        )
    return listed


def _named(worst: Sequence[Difference]) -> list[Changed]:
    ids = [key_id for one in worst if (key_id := key_id_of(one.subject)) is not None]
    keys = {key.pk: key for key in ApiKey.objects.filter(pk__in=ids).select_related("owner")}
    listed = []
    for one in worst:
        key = keys.get(key_id_of(one.subject) or 0)
        listed.append(
            Changed(
                subject=one.subject,
                key=key.pk if key else None,
                name=key.name if key else "",
                start=key.start if key else "",
                owner=key.owner.email if key else "",
                network=one.subject.removeprefix(GUEST_PREFIX) if key is None else "",
                current=fate(one.current),
                proposed=fate(one.proposed),
            )
        )
    return listed
