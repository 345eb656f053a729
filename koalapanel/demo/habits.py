"""How the sample clients worked on the days before anybody looked: sessions of requests, by the hour."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from koalapanel.demo.books import Books, Caller
from usage.spans import DAY, HOUR, MINUTE, day_start

DAYS = 30  # that a chart shows, the present one included


@dataclass(frozen=True, slots=True)
class Habit:
    """When a client works and how much, within its limit of requests a minute.

    In each of its `hours` (UTC) it begins some `sessions` of `size` requests, up to `pace` in a minute; in
    others now and then one. The present hour and the one before have some more, `lately`, for a chart of the
    last hour. `overdoes` is how often a session fills a minute and asks for more, `over` by how many; what
    refuses it then is `kind`.
    """

    caller: Caller
    limit: int
    hours: range
    sessions: int
    size: tuple[int, int]
    pace: int
    overdoes: float = 0.0
    over: tuple[int, int] = (1, 3)
    kind: str = "minute"
    route: str = "convert"
    weekend: float = 0.4
    since_days: int = DAYS
    lately: int = 0


def live(books: Books, subject: str, habit: Habit, chance: random.Random) -> None:
    """Note what the subject did until the present, a little more each week."""
    for hour, eagerness in _hours(books.present, habit):
        is_lately = hour > books.present - 2 * HOUR
        for number in range(habit.sessions + habit.lately * is_lately):
            if number >= habit.sessions or chance.random() < eagerness:
                _session(books, subject, habit, hour + MINUTE * chance.randrange(60), chance)


def _hours(present: datetime, habit: Habit) -> Iterator[tuple[datetime, float]]:
    """Each hour, and how likely a session is then."""
    first = day_start(present) - DAY * (habit.since_days - 1)
    for number in range(habit.since_days * 24):
        hour = first + HOUR * number
        growth = 1 - 0.4 * (day_start(present) - day_start(hour)) / (DAY * DAYS)
        week = habit.weekend if hour.weekday() >= 5 else 1.0
        yield hour, growth * week * (1.0 if hour.hour in habit.hours else 0.12)


def _session(books: Books, subject: str, habit: Habit, minute: datetime, chance: random.Random) -> None:
    left, has_overdone = chance.randint(*habit.size), False
    while left > 0:
        room = 0 if books.is_taken(subject, minute) else habit.limit - books.served(subject, minute)
        number = min(left, room, chance.randint(max(1, habit.pace // 2), habit.pace))
        overdoes = room > 0 and not has_overdone and chance.random() < habit.overdoes
        overdoes = overdoes and not books.is_calm(subject, minute)
        if overdoes and habit.kind == "minute":
            number = room  # only a full minute refuses
        books.admit(subject, minute, number, failed=int(number > 3 and chance.random() < 0.08))
        if overdoes:
            over = chance.randint(*habit.over)
            seconds = chance.randint(4, 50)
            told = (seconds, seconds * 1000 - chance.randint(400, 3500))
            books.refuse(subject, minute, habit.kind, over, habit.caller, route=habit.route, told=told)
            has_overdone = True  # once in a while is no strike that leads anywhere
        left -= max(number, 1)
        minute += timedelta(minutes=1)
