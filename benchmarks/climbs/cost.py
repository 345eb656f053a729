"""Time a decision with the ladder, and one without it, by turns; prints the pairs as JSON.

Both scripts are asked by the same client over the same connection, about the same subjects, in the same
state. What a request then gives back is not timed.
"""

import json
import sys
import time
from collections.abc import Sequence
from hashlib import sha1
from pathlib import Path
from typing import Any

import django

WITHOUT = Path(__file__).parent.parent / "decide_without_ladder.lua"
SUBJECTS = 200
WARM_UP_ROUNDS = 2


def main(rounds: int, calls: int) -> None:
    django.setup()

    import redis
    from django.conf import settings

    from accounts.tiers import Limits
    from benchmarks.climbs.memory import ContractsLadder
    from usage.escalation.ladder import Cause, Ladder
    from usage.limits import upkeep
    from usage.limits.link import Link, pack
    from usage.limits.store import DECIDE, LimitStore, _words, keys_of
    from usage.subjects import BUCKETS, Subject

    store = LimitStore(settings.LIMITS_URL, timeout=5, memory=ContractsLadder())
    client: redis.Redis = store.client
    for bucket in range(BUCKETS):
        ContractsLadder().build(store, bucket)
    limits = Limits(1_000_000, 10_000_000, 1_000, 3, 200)

    def named(prefix: str) -> list[Subject]:
        return [Subject(f"{prefix}:{n}", limits, "free", 1) for n in range(SUBJECTS)]

    ordinary, risen = named("k"), named("ip:203.0.113")
    for subject in risen:
        upkeep.place(
            store, subject.id, order="staff", cause=Cause.REACTIVATED, escalation=3, grace=0, version=0
        )

    class Script:
        """One of the two, with what it takes: how many keys, and how many of the words."""

        def __init__(self, source: bytes, keys: int, words: int, prefix: str) -> None:
            client.script_load(source)
            self._sha = sha1(source, usedforsecurity=False).hexdigest()
            self._keys, self._words, self._prefix = keys, words, prefix
            self._link = Link(settings.LIMITS_URL, 5)

        def keys_of(self, subject: Subject) -> list[str]:
            return [key.replace("kp1:", self._prefix) for key in keys_of(subject.id)[: self._keys]]

        def words_of(self, subject: Subject) -> tuple[str | bytes, ...]:
            words = _words(subject, Ladder())[6 : 6 + self._words]
            return str(self._keys), *self.keys_of(subject), *words

        def time(self, subjects: Sequence[Subject], calls: int) -> tuple[list[int], float]:
            """Nanoseconds of each call, as the caller sees them, and the store's own microseconds a call."""
            told = [self.words_of(subject) for subject in subjects]
            took = []
            client.config_resetstat()
            for n in range(calls):
                words = told[n % len(told)]
                began = time.perf_counter_ns()
                reply = self._link.ask(pack(("EVALSHA", self._sha, *words, "convert", f"lease{n}", "")))
                took.append(time.perf_counter_ns() - began)
                if reply[0] != 0:
                    sys.exit(f"a request was to be admitted, but the answer was {reply}")
            used = client.info("commandstats")["cmdstat_evalsha"]["usec_per_call"]
            client.delete(*(self.keys_of(subject)[1] for subject in subjects))
            return took, float(used)

    with_ladder = Script(DECIDE, 5, 10, "kp1:")
    without = Script(WITHOUT.read_bytes(), 4, 8, "old:")
    for subject in risen:  # the old script reads the place as well, and does nothing about it
        client.hset(without.keys_of(subject)[0], mapping={"e": 3, "u": 1})

    measured: dict[str, list[dict[str, Any]]] = {}
    for name, subjects in (("ordinary", ordinary), ("risen", risen)):
        pairs = measured[name] = []
        for number in range(WARM_UP_ROUNDS + rounds):
            scripts = {"with": with_ladder, "without": without}
            order = ("with", "without") if number % 2 else ("without", "with")
            timed = {which: scripts[which].time(subjects, calls) for which in order}
            if number >= WARM_UP_ROUNDS:
                pairs.append(
                    {
                        which: {"seen": sorted(took)[len(took) // 2] / 1000, "used": used}
                        for which, (took, used) in timed.items()
                    }
                )
    json.dump(measured, sys.stdout)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
