"""Let the long runs of the tests happen on the real engine; prints, as JSON, what became of each."""

import json
import sys
from dataclasses import asdict

import django


def main() -> None:
    django.setup()

    from django.conf import settings

    from accounts.tiers import Limits
    from benchmarks.climbs.memory import ContractsLadder
    from tests.usage.clock import Clock
    from tests.usage.escalation import scenarios
    from tests.usage.escalation.engines import RealEngine
    from usage.escalation.ladder import Ladder
    from usage.limits.store import LimitStore

    limits = Limits(scenarios.LIMIT, None, None, None, None)
    played = []
    for number, scenario in enumerate((scenarios.HAMMERING, *scenarios.NEVER_PAST_TIER_1)):
        clock = Clock()
        store = LimitStore(settings.LIMITS_URL, timeout=5, memory=ContractsLadder(), clock=clock)
        engine = RealEngine(store, f"k:{number}", limits, Ladder(), clock)
        outcome = scenarios.play(scenario, engine, clock)
        played.append({"name": scenario.name, "minutes": outcome.minutes_of_blocks, **asdict(outcome)})
    json.dump(played, sys.stdout)


if __name__ == "__main__":
    main()
