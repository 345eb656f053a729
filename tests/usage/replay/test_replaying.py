"""The recorded days, replayed from the books: whom it is about, what it tells, and when it is an estimate."""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from accounts.models import ApiKey, Tier
from tests.usage.escalation.customer import Customer
from usage.books import booking
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.escalation.policy import read_ladder
from usage.limits.store import limit_store
from usage.models import EscalationEvent, EscalationState, UsageMinute
from usage.replay import numbers, reading
from usage.replay.engine import Windows, play
from usage.replay.replaying import replay
from usage.replay.result import LISTED, Result
from usage.spans import DAY, MINUTE
from usage.subjects import bucket_of, key_subject_id, of_key, of_network

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 8, 15, 30, tzinfo=UTC)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)  # the first whole day of which everything is kept


def book_and_follow():
    booking.book_closed_minutes(limit_store())
    follow_changes(limit_store())


def booked_outcomes(now):
    """By subject: what the books say was admitted and refused, and by what."""
    found = {}
    for row in UsageMinute.objects.filter(start__lt=now):
        counts = found.setdefault(row.subject, Counter())
        for name in ("admitted", "minute_hits", "day_hits", "blocked_hits"):
            counts[name] += getattr(row, name)
    return found


def replayed_outcomes(now, subjects):
    """The same, replayed under the limits in force; and the moves."""
    span, ladder = reading.recorded_span(now), read_ladder()
    windows = reading.Scope(None, None).windows(subjects)
    histories = reading.histories(subjects, span, ladder)
    counts, moves = {}, {}
    for subject, minutes in reading.minutes_of(subjects, span):
        history = histories.get(subject, reading.History())
        outcome = play(
            minutes, windows[subject][0], ladder, subject, start=history.start, orders=history.orders
        )
        counts[subject] = Counter(
            {name: getattr(outcome, name) for name in ("admitted", "minute_hits", "day_hits", "blocked_hits")}
        )
        moves[subject] = [(at, move.before, move.after, move.until) for at, move in outcome.moves]
    return counts, moves


def moves_in_sql(subject):
    events = EscalationEvent.objects.filter(subject=subject, cause__in=["strikes", "decay"]).order_by("at")
    return [
        (
            int(event.at.timestamp()),
            event.before,
            event.after,
            int(event.until.timestamp()) if event.until else 0,
        )
        for event in events
    ]


class TestRealTraffic:
    """What the limiter itself did, booked by the worker, and replayed under the limits in force."""

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.urls("tests.usage.api_urls")
    def test_a_customer_who_climbs_to_the_last_step_climbs_it_in_the_replay(self, issue, driven_clock):
        driven_clock.set("2026-03-02T00:00:00")
        key, text = issue(minute_override=10)
        Customer(text, driven_clock).climbs_to(5)
        driven_clock.advance(120)
        book_and_follow()
        subject = key_subject_id(key.pk)
        counts, moves = replayed_outcomes(driven_clock.at, [subject])
        assert counts == booked_outcomes(driven_clock.at)
        assert moves[subject] == moves_in_sql(subject)
        assert [after for _, _, after, _ in moves[subject]] == [2, 3, 4, 5]

    @pytest.mark.parametrize("seed", range(3))
    def test_whatever_came_is_refused_in_the_replay_as_it_was(self, issue, owner, driven_clock, seed):
        chance = random.Random(seed)
        driven_clock.set("2026-03-02T00:00:00")
        Tier.objects.filter(slug="anonymous").update(minute=3, day=40, concurrent=None)
        keys = [
            issue(minute_override=m, day_override=d)[0] for m, d in ((4, 60), (7, 5000), (9, 30), (2, 400))
        ]
        ApiKey.objects.update(concurrent_override=1000)
        keys = list(ApiKey.objects.select_related("tier", "owner"))
        subjects = [*map(of_key, keys), of_network("192.0.2.7/32", Tier.objects.get(slug="anonymous"))]
        store = limit_store()
        mood = dict.fromkeys((subject.id for subject in subjects), 0)
        for _ in range(220):
            for subject in subjects:
                if chance.random() < 0.15:
                    mood[subject.id] = chance.choice([0, 2, 8, 25])
                for _ in range(chance.randint(0, mood[subject.id])):
                    store.decide(subject, "convert", store.new_lease())
            driven_clock.advance(60 * chance.choices([1, 2, 11, 90, 700], [60, 20, 5, 2, 1])[0])
        driven_clock.advance(120)
        book_and_follow()
        assert driven_clock.at < MONDAY + 6 * DAY
        counts, moves = replayed_outcomes(driven_clock.at, [subject.id for subject in subjects])
        assert counts == booked_outcomes(driven_clock.at)
        assert moves == {subject.id: moves_in_sql(subject.id) for subject in subjects}
        assert any(moves.values())

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.urls("tests.usage.api_urls")
    def test_what_staff_did_happens_in_the_replay_too(self, issue, owner, driven_clock):
        driven_clock.set("2026-03-02T00:00:00")
        key, text = issue(minute_override=10)
        customer = Customer(text, driven_clock)
        customer.climbs_to(2)
        driven_clock.advance(20)
        reactivation.suspend(key, by=owner, reason="Enough.")
        driven_clock.advance(40)
        customer.hammers_for_a_minute()
        reactivation.reactivate(key, by=owner, reason="Sorry.")
        for _ in range(4):
            customer.hammers_for_a_minute()
        driven_clock.advance(120)
        book_and_follow()
        subject = key_subject_id(key.pk)
        counts, moves = replayed_outcomes(driven_clock.at, [subject])
        assert counts == booked_outcomes(driven_clock.at)
        assert moves[subject] == moves_in_sql(subject)
        assert [after for _, _, after, _ in moves[subject]] == [2, 4]


class TestWhom:
    def test_a_tiers_keys_whose_minutes_were_above_the_proposed_limit(self, issue, record, of_tier):
        busy, quiet, other = issue()[0], issue()[0], issue(tier=Tier.objects.get(slug="pro"))[0]
        for key, admitted in ((busy, 25), (quiet, 20), (other, 25)):
            record(key_subject_id(key.pk), MONDAY, admitted=admitted)
        result = of_tier(NOW, minute=20)
        assert (result["subjects"], result["minutes"], result["requests"]) == (2, 2, 45)
        assert (result["current"]["limited"], result["proposed"]["limited"]) == (0, 1)
        assert result["proposed"]["minute_hits"] == 5
        assert [one["key"] for one in result["changed"]] == [busy.pk]

    def test_a_keys_own_limit_wins_over_the_proposed_one(self, issue, record, of_tier):
        key, _ = issue(minute_override=30)
        record(key_subject_id(key.pk), MONDAY, minutes=60, admitted=25)
        assert of_tier(NOW, minute=20)["changed_total"] == 0
        result = of_tier(NOW, day=1000)  # has no limit of its own by the day
        assert result["proposed"]["refused"] == 500

    def test_the_day_is_added_up_over_its_minutes(self, issue, record, of_tier):
        key, _ = issue()
        record(key_subject_id(key.pk), MONDAY + 23 * timedelta(hours=1) + 58 * MINUTE, minutes=4, admitted=10)
        assert of_tier(NOW, day=15)["proposed"]["day_hits"] == 2 * 5

    def test_guests_are_named_by_their_network(self, record, of_tier, issue):
        record("ip:192.0.2.7/32", MONDAY, admitted=9)
        record(key_subject_id(issue()[0].pk), MONDAY, admitted=9)
        result = of_tier(NOW, "anonymous", minute=4)
        assert result["subjects"] == 1
        (one,) = result["changed"]
        assert (one["network"], one["key"], one["owner"]) == ("192.0.2.7/32", None, "")
        assert one["proposed"]["refused"] == 5

    def test_a_ladder_is_replayed_for_everybody(self, record, of_ladder, issue):
        record("ip:192.0.2.7/32", MONDAY, minutes=5, admitted=10, minute_hits=10)
        record(key_subject_id(issue()[0].pk), MONDAY, minutes=5, admitted=30, minute_hits=10)
        record(key_subject_id(issue(minute_override=100)[0].pk), MONDAY, minutes=5, admitted=40)
        result = of_ladder(NOW, strike_refusals=11)
        assert result["subjects"] == 3
        assert (result["current"]["escalated"], result["proposed"]["escalated"]) == (2, 0)
        assert result["changed_total"] == 2
        assert result["worse_total"] == 0

    def test_a_revoked_key_and_one_that_is_gone_are_no_matter(self, issue, record, of_tier, of_ladder):
        key, _ = issue()
        key.revoke()
        record(key_subject_id(key.pk), MONDAY, admitted=25)
        record("k:99999", MONDAY, admitted=25)
        assert of_tier(NOW, minute=20)["subjects"] == 0
        assert of_ladder(NOW)["subjects"] == 0


class TestDays:
    def test_days_are_whole_and_the_last_goes_to_the_newest_minute(self, issue, record, of_tier):
        key, _ = issue()
        for day in range(-1, 7):
            record(key_subject_id(key.pk), MONDAY + day * DAY, admitted=40)
        result = of_tier(NOW, minute=30)
        assert (result["first"], result["last"]) == (MONDAY.isoformat(), NOW.isoformat())
        assert [day["date"] for day in result["days"]] == [f"2026-03-0{n}" for n in range(2, 9)]
        assert {(day["requests"], day["current"], day["proposed"]) for day in result["days"]} == {
            (40, 10, 10)
        }

    def test_without_any_record_there_is_nothing_to_tell(self, of_tier):
        result = of_tier(NOW, minute=1)
        assert (result["first"], result["days"], result["subjects"], result["exact"]) == (None, [], 0, True)


class TestNames:
    def test_the_worst_comes_first_with_its_owner(self, issue, record, of_tier):
        bad, worse = (issue()[0] for _ in range(2))
        record(key_subject_id(bad.pk), MONDAY, minutes=2, admitted=30)
        record(key_subject_id(worse.pk), MONDAY, minutes=5, admitted=30)
        result = of_tier(NOW, minute=20)
        assert [one["key"] for one in result["changed"]] == [worse.pk, bad.pk]
        first = result["changed"][0]
        assert (first["name"], first["start"], first["owner"]) == ("prod", worse.start, "olivia@example.com")
        assert first["current"] == {
            "refused": 0,
            "limited_minutes": 0,
            "highest": 0,
            "highest_at": None,
        }
        assert first["proposed"] == {
            "refused": 10 * 3 + 30 * 2,
            "limited_minutes": 5,
            "highest": 2,
            "highest_at": (MONDAY + 3 * MINUTE).isoformat(),
        }

    def test_so_many_are_named_and_all_are_counted(self, owner, record, of_tier):
        tier = Tier.objects.get(slug="free")
        keys = ApiKey.objects.bulk_create(
            [ApiKey(owner=owner, name=str(n), tier=tier, start=f"koala_{n}") for n in range(LISTED + 20)]
        )
        for number, key in enumerate(keys):
            record(key_subject_id(key.pk), MONDAY, admitted=100 + number)
        result = of_tier(NOW, minute=100)
        assert result["current"]["limited"] == LISTED + 20
        assert result["proposed"]["limited"] == LISTED + 19
        assert result["changed_total"] == LISTED + 20
        assert len(result["changed"]) == LISTED
        assert result["changed"][0]["key"] == keys[0].pk


class TestEstimates:
    def reasons(self, result):
        return {one["reason"]: one["number"] for one in result["estimates"]}

    def test_nobody_near_a_limit_is_exact(self, issue, record, of_tier):
        record(key_subject_id(issue()[0].pk), MONDAY, admitted=5)
        result = of_tier(NOW, minute=20)
        assert (result["exact"], result["exact_as_recorded"], result["estimates"]) == (True, True, [])

    def test_windows_alone_are_exact_for_the_requests_that_came(self, issue, record, of_tier):
        record(key_subject_id(issue()[0].pk), MONDAY, admitted=25)
        result = of_tier(NOW, minute=20)
        assert (result["exact"], result["exact_as_recorded"]) == (False, True)
        assert self.reasons(result) == {"clients": 1}

    def test_blocks_concurrency_and_refusals_elsewhere_are_estimates(self, issue, record, of_tier):
        subject = key_subject_id(issue()[0].pk)
        record(subject, MONDAY, minutes=5, admitted=30, concurrent_hits=1)
        record(subject, MONDAY + DAY, blocked_hits=7, other_hits=2)
        result = of_tier(NOW, minute=20)
        assert not result["exact_as_recorded"]
        assert self.reasons(result) == {
            "clients": 1,
            "blocks": 1,
            "demand": 7,
            "concurrent": 5,
            "elsewhere": 2,
        }

    def test_a_place_from_before_the_days_is_where_a_subject_starts(self, issue, record, of_tier):
        key, _ = issue()
        subject = key_subject_id(key.pk)
        before, until = MONDAY - timedelta(hours=1), MONDAY + timedelta(hours=23)
        EscalationState.objects.create(
            subject=subject, bucket=bucket_of(subject), escalation=4, until=until, changed_at=before
        )
        EscalationEvent.objects.create(
            event_id="x", subject=subject, at=before, cause="strikes", before=3, after=4, until=until
        )
        record(subject, MONDAY, minutes=2, every=timedelta(hours=23), admitted=1)
        result = of_tier(NOW, minute=20)
        assert result["current"]["blocked_hits"] == result["proposed"]["blocked_hits"] == 1
        assert result["current"]["escalated"] == 0
        assert self.reasons(result) == {"blocks": 1, "start": 1}

    def test_who_met_a_limit_just_before_the_days_may_have_had_strikes(self, issue, record, of_tier):
        from usage.models import UsageHour

        subject = key_subject_id(issue()[0].pk)
        UsageHour.objects.create(subject=subject, start=MONDAY - timedelta(hours=1), minute_hits=50)
        record(subject, MONDAY, admitted=30, minute_hits=10)
        assert self.reasons(of_tier(NOW, minute=40)) == {"clients": 1, "strikes": 1}


def test_a_result_is_plain_json_of_the_shape_that_is_promised(issue, record, of_tier):
    record(key_subject_id(issue()[0].pk), MONDAY, minutes=9, admitted=40)
    result = of_tier(NOW, minute=20)
    assert json.loads(json.dumps(result)) == result
    assert result.keys() == Result.__annotations__.keys()


def test_numbers_come_back_as_they_were(db):
    ladder = read_ladder()
    again = numbers.ladder_of(json.loads(json.dumps(numbers.of_ladder(ladder))))
    assert numbers.of_ladder(again) == numbers.of_ladder(ladder)
    assert again.steps[2:] == ladder.steps[2:]
    limits = Tier.objects.get(slug="pro").limits
    assert numbers.limits_of(numbers.of_limits(limits)) == limits


def test_queries_grow_by_portions_and_not_by_subjects(
    owner, record, of_tier, monkeypatch, django_assert_max_num_queries
):
    tier = Tier.objects.get(slug="free")
    keys = ApiKey.objects.bulk_create(
        [ApiKey(owner=owner, name=str(n), tier=tier, start=f"koala_{n}") for n in range(40)]
    )
    for key in keys:
        record(key_subject_id(key.pk), MONDAY + 5 * DAY, admitted=40)
    with django_assert_max_num_queries(18):
        of_tier(NOW, minute=20)


def test_it_tells_how_far_it_is(issue, record):
    for _ in range(3):
        record(key_subject_id(issue()[0].pk), MONDAY, admitted=40)
    limits = {"minute": 30, "day": None}
    told = []
    replay("tier", "free", limits, limits, NOW, told.append)
    assert told == sorted(told)
    assert 0 < told[0] < 0.1
    assert told[-1] == 1


def test_windows_of_a_key_are_its_own_over_the_others():
    assert Windows(None, 5).over(Windows(30, 1000)) == Windows(30, 5)
