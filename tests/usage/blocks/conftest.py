import pytest

from tests.usage.escalation.customer import Customer
from usage.books.booking import book_closed_minutes
from usage.escalation.following import follow_changes
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store


class Watched(Customer):
    """A customer whose minutes are brought to the books as the panel's processes do it."""

    def hammers_for_a_minute(self, times=20):
        answer = super().hammers_for_a_minute(times)
        local_hits().flush()
        return answer

    def is_booked(self):
        """A minute later everything so far is in SQL."""
        local_hits().flush()
        self.clock.advance(65)
        book_closed_minutes(limit_store())
        follow_changes(limit_store())


@pytest.fixture
def customer(issue, driven_clock):
    """With a key for 10 requests a minute."""
    key, text = issue(minute_override=10, day_override=100_000)
    one = Watched(text, driven_clock)
    one.key = key
    return one
