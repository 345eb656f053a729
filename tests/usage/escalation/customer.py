"""A customer who doesn't listen, for tests that need someone on the ladder."""

from django.test import Client

from tests.usage.clock import Clock
from tests.usage.wsgi_client import WsgiClient

CONVERT = "/api/v1/convert"
MINUTE, HOUR, DAY = 60, 3600, 86_400
# Strikes that lead to each tier, by the contract, and how long it blocks.
STEPS = {2: (3, 5 * MINUTE), 3: (2, HOUR), 4: (2, DAY), 5: (2, 0)}


class Customer:
    """Asks with a key (or none, as a guest), on a clock that only moves when told."""

    def __init__(self, text: str | None, clock: Clock, door: type[Client] = WsgiClient) -> None:
        self.headers = {"Authorization": f"Bearer {text}"} if text else {}
        self.clock = clock
        self.door = door

    def asks(self, times=1, path=CONVERT, method="post"):
        """The last answer; each call goes to a web process that knows no block yet."""
        web = self.door(raise_request_exception=False)
        for _ in range(times):
            answer = getattr(web, method)(path, headers=self.headers)
        return answer

    def hammers_for_a_minute(self, times=20):
        answer = self.asks(times)
        self.clock.advance(MINUTE)
        return answer

    def climbs_to(self, tier):
        """Up to a tier, whose block begins with the request that is answered here."""
        for step in range(2, tier + 1):
            strikes, block = STEPS[step]
            for _ in range(strikes):
                self.hammers_for_a_minute()
            answer = self.asks()
            if step < tier:
                self.clock.advance(block + MINUTE)
        return answer
