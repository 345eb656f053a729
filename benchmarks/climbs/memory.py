"""What the limit store asks about a panel that is new and has no SQL."""

import secrets

from usage.escalation.ladder import Ladder
from usage.limits import upkeep
from usage.limits.store import LimitStore


class ContractsLadder:
    """Every bucket is built empty, and the ladder is the contract's."""

    def ladder(self) -> Ladder:
        return Ladder()

    def build(self, store: LimitStore, bucket: int) -> None:
        upkeep.build(store, bucket, secrets.token_hex(4), {}, [], Ladder())
