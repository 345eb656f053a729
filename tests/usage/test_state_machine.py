"""Whatever happens, in whatever order: the real guard, store, worker and staff against a model of them.

The model (`tests.usage.escalation.panel_model`) decides by the oracle and counts plainly. Everything that is
shown, and every row of SQL, must be what the model says, after each step.
"""

import json
import logging
from collections import Counter
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import redis
from django.db import DatabaseError, connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts import api_keys
from accounts.client_address import client_network
from accounts.models import ApiKey, Tier, User
from accounts.tiers import Limits
from tests.usage.clock import Clock
from tests.usage.escalation.engines import answer_of
from tests.usage.escalation.panel_model import PanelModel, State, bucket_of
from usage.books import booking
from usage.escalation import reactivation, recording
from usage.escalation.following import follow_changes
from usage.escalation.ladder import Cause, Ladder
from usage.escalation.memory import SqlMemory
from usage.escalation.policy import read_ladder
from usage.guard import guard, known_subjects
from usage.guard.guard import Admission, Guard
from usage.guard.known_blocks import KnownBlocks
from usage.guard.known_subjects import KnownSubjects
from usage.guard.local_hits import local_hits
from usage.limits.link import pack
from usage.limits.outcomes import column_of
from usage.limits.store import NEWEST, LimitStore, limit_store
from usage.limits.upkeep import Trace, trace_of
from usage.models import (
    BookedUntil,
    EscalationEvent,
    EscalationPolicy,
    EscalationState,
    EscalationStep,
    FollowedUntil,
    Notice,
    RateHit,
    UsageDay,
    UsageHour,
    UsageMinute,
)
from usage.models.usage import COUNTS
from usage.subjects import BUCKETS, Subject, key_subject_id

BEGINNING = "2026-03-01T21:58:30"
ROUTES = {"convert": ("POST", "/api/v1/convert"), "convert, short": ("POST", "/convert")}
LOOK = ("GET", "/api/v1/jobs/job_1")
GUEST = "198.51.100.7"
FREE = {"minute": 3, "day": 30, "concurrent": 2}
ANONYMOUS = {"minute": 2, "day": 20, "concurrent": 2}
OVERRIDES = {"minute": 2, "day": None, "concurrent": 1}
ALL_OF_SQL = (
    *(EscalationEvent, EscalationState, Notice, RateHit, UsageMinute, UsageHour, UsageDay),
    *(BookedUntil, FollowedUntil),
)


class Killed(DatabaseError):
    pass


class World:
    """What all examples share, and how it begins anew."""

    def __init__(self, valkey, clock, monkeypatch):
        self.valkey, self.clock = valkey, clock
        owner = User.objects.create_user("olivia@example.com", wants_quota_emails=False)
        made = [api_keys.issue(owner, name="prod"), api_keys.issue(owner, name="test")]
        self.keys = {key_subject_id(key.pk): key for key, _ in made}
        self.texts = {key_subject_id(key.pk): text for key, text in made}
        self.guest = f"ip:{client_network({'REMOTE_ADDR': GUEST})}"
        time = SimpleNamespace(time=lambda: clock.seconds, monotonic=lambda: clock.seconds)
        monkeypatch.setattr(guard, "time", time)
        monkeypatch.setattr(known_subjects, "time", time)
        self.guards = [Guard(KnownSubjects()) for _ in range(2)]
        url = limit_store().url
        for one in self.guards:
            one._store = LimitStore(url, clock=clock, timeout=2, memory=SqlMemory())
        self.observer = LimitStore(url, clock=clock, timeout=2, memory=SqlMemory())
        self.nowhere = redis.Redis(unix_socket_path="/nowhere", retry=Retry(NoBackoff(), 0))
        self.steps = list(EscalationStep.objects.all())

    def begin_anew(self):
        """Gives the model of it."""
        self.clock.set(BEGINNING)
        self.valkey.flushall()
        for model in ALL_OF_SQL:
            model.objects.all().delete()
        ApiKey.objects.update(status="active", revision=1, **{f"{kind}_override": None for kind in FREE})
        first, second = self.keys
        overrides = {f"{kind}_override": number for kind, number in OVERRIDES.items()}
        ApiKey.objects.filter(pk=self.keys[second].pk).update(**overrides)
        Tier.objects.filter(slug="free").update(revision=1, **FREE)
        Tier.objects.filter(slug="anonymous").update(revision=1, **ANONYMOUS)
        EscalationPolicy.objects.all().delete()
        EscalationPolicy(pk=EscalationPolicy.ROW, strike_refusals=2, forgive_minutes=3).save()
        for step in self.steps:
            strikes = {2: 2, 3: 1, 4: 1, 5: 1}.get(step.number)
            EscalationStep.objects.filter(pk=step.pk).update(
                strikes=strikes, block_seconds=step.block_seconds
            )
        limit_store().ladder = Ladder()
        for one in self.guards:
            one._known, one._blocks = KnownSubjects(), KnownBlocks(lambda: self.clock.seconds)
            one._store.ladder = Ladder()
        local_hits()._start_over()
        limits = {
            first: Limits(*FREE.values(), 3, 200),
            second: Limits(2, FREE["day"], 1, 3, 200),
            self.guest: Limits(*ANONYMOUS.values(), 3, 100),
        }
        model = PanelModel(self.clock, limits, read_ladder())
        BookedUntil.objects.bulk_create(
            BookedUntil(bucket=bucket, minute=model.minute if bucket in model.buckets else 2**31 - 1)
            for bucket in range(BUCKETS)
        )
        return model

    def environ(self, sid, method, path):
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": GUEST}
        if sid in self.texts:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {self.texts[sid]}"
        return environ

    @contextmanager
    def store_out_of_reach(self, *, indeed):
        """For staff and the worker; the web processes reach it."""
        store = limit_store()
        kept = store.client
        if indeed:
            store.client = self.nowhere
        yield
        store.client = kept


@contextmanager
def killed_at(statement):
    """The process that does this dies at its n-th statement."""
    left = statement

    def kill(execute, sql, params, many, context):
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed(sql)
        return execute(sql, params, many, context)

    try:
        with connection.execute_wrapper(kill):
            yield
    except Killed:
        pass


subjects = st.integers(0, 2)
webs = st.integers(0, 1)


class Panel(RuleBasedStateMachine):
    world: World

    @initialize()
    def begin(self):
        self.model = self.world.begin_anew()
        self.sids = list(self.model.limits)
        self.open = []  # what is admitted and hasn't ended: model's lease, admission, web, subject
        self.admitted_by = {}  # by the model's lease: the web's copy of the key, and the limits
        self.numbers = 0
        self.orders = {}  # by the model's: subject, cause
        self.sql_may_differ = True

    # Requests

    def request(self, web, sid, route, *, dies=False):
        self.numbers += 1
        lease = f"lease {self.numbers}"
        expected = self.model.ask(self.model.webs[web], sid, "convert", lease, dies=dies)
        answer = self.world.guards[web].check(self.world.environ(sid, *ROUTES[route]))
        self.compare(sid, expected, answer, route)
        if isinstance(answer, Admission):
            self.open.append((lease, answer, web, sid))
            self.admitted_by[lease] = self.model.webs[web].copies[sid], self.model.limits[sid]
        return answer

    def compare(self, sid, expected, answer, route):
        if isinstance(answer, Admission):
            assert (expected.status, expected.code) == (200, "")
        else:
            body = json.loads(answer.body)
            code = body["code"] if route != "convert, short" else body["error"]
            assert (answer.status, code) == (expected.status, expected.code)
            if expected.status == 429:
                wait = int(answer.headers["X-RateLimit-Reset"]) - self.model.now
                assert int(answer.headers["Retry-After"]) == (1 if expected.is_concurrency else wait)
        if expected.answer is not None:
            self.compare_headers(self.model.limits[sid], expected.answer, answer.headers)

    def compare_headers(self, limits, shown, headers):
        now = self.model.now
        remaining = limits.minute - shown.minute_count
        reset = now - now % 60 + 60
        if limits.day is not None:
            day_left = max(0, limits.day - shown.day_count)
            if day_left == 0:
                reset = now - now % 86_400 + 86_400
            remaining = min(remaining, day_left)
        if shown.until > now:
            remaining, reset = 0, shown.until
        told = headers["X-RateLimit-Remaining"], headers["X-RateLimit-Reset"]
        assert told == (str(max(0, remaining)), str(reset))

    @rule(web=webs, subject=subjects, route=st.sampled_from(list(ROUTES)), times=st.integers(1, 7))
    def requests(self, web, subject, route, times):
        sid = self.sids[subject]
        for _ in range(times):
            if isinstance(self.request(web, sid, route), Admission):
                self.end(-1, failed=False)

    @rule(web=webs, subject=subjects)
    def request_that_goes_on(self, web, subject):
        self.request(web, self.sids[subject], "convert")

    @rule(web=webs, subject=subjects, minutes=st.integers(1, 4), dies=st.booleans())
    def bad_minutes(self, web, subject, minutes, dies):
        """Then one more request, with which a block may begin."""
        sid = self.sids[subject]
        for _ in range(minutes):
            for _ in range(self.model.limits[sid].minute + 3):
                if isinstance(self.request(web, sid, "convert"), Admission):
                    self.end(-1, failed=False)
            self.let_pass(60 - self.world.clock.seconds % 60)
        self.last_request(web, sid, dies)

    @rule(web=webs, subject=subjects, blocks=st.integers(1, 5), dies=st.booleans())
    def hammer_from_block_to_block(self, web, subject, blocks, dies):
        sid = self.sids[subject]
        for _ in range(blocks):
            place = self.model.twins[sid].place
            self.let_pass(place.grace_until - self.model.now)
            self.bad_minutes(web, subject, self.model.ladder.strikes_above(place.escalation, sid), dies)

    def last_request(self, web, sid, dies):
        kept = recording.record

        def die(change):
            raise redis.ConnectionError("this process dies")

        if dies:
            recording.record = die
        try:
            self.request(web, sid, "convert", dies=dies)
        finally:
            recording.record = kept
        self.sql_may_differ = True

    def end(self, which, *, failed):
        lease, admission, web, sid = self.open.pop(which)
        self.model.settle(sid, "convert", lease, failed=failed)
        process = self.world.guards[web]
        process.settle(admission, 500 if failed else 200)
        # Nobody waits for the store to have done it, but what comes next here is told over other connections.
        process._store._link().ask(pack(("PING",)))

    @rule(which=st.integers(0, 5), failed=st.booleans())
    def finish(self, which, failed):
        if self.open:
            self.end(which % len(self.open), failed=failed)

    @rule(which=st.integers(0, 5), outcome=st.sampled_from(["queued", "saturated"]))
    def view_refuses(self, which, outcome):
        if self.open:
            self.take_back(which % len(self.open), outcome)

    @rule(web=webs, subject=subjects, times=st.integers(1, 7))
    def requests_that_the_view_refuses(self, web, subject, times):
        for _ in range(times):
            if isinstance(self.request(web, self.sids[subject], "convert"), Admission):
                self.take_back(-1, "queued")

    def take_back(self, which, outcome):
        lease, admission, web, sid = self.open.pop(which)
        copy, limits = self.admitted_by[lease]
        shown = self.model.take_back(self.model.webs[web], sid, copy, "convert", lease, outcome)
        admission.refused_as = outcome
        process = self.world.guards[web]
        headers = process.headers_of(admission, self.world.environ(sid, *ROUTES["convert"]))
        self.compare_headers(limits, shown, headers)
        process.settle(admission, 429)

    @rule()
    def crash(self):
        """Whoever had requests under way never ends them."""
        self.open.clear()

    @rule(web=webs, subject=subjects)
    def uncharged(self, web, subject):
        sid = self.sids[subject]
        expected = self.model.ask(self.model.webs[web], sid, "jobs", None)
        answer = self.world.guards[web].check(self.world.environ(sid, *LOOK))
        self.compare(sid, expected, answer, "jobs")

    # The clock

    @rule(seconds=st.sampled_from([1, 3, 4, 5, 17, 59, 60, 119, 120, 121, 180, 300, 600, 3600]))
    def wait(self, seconds):
        self.let_pass(seconds)

    @rule(subject=st.none() | subjects, late=st.sampled_from([-1, 0, 30, 60]))
    def wait_for_the_end_of_a_block_or_of_the_minute(self, subject, late):
        now = self.model.now
        minute_end = now - now % 60 + 60
        until = minute_end if subject is None else self.model.twins[self.sids[subject]].place.until
        self.let_pass(until + late - now)

    @rule(hours=st.sampled_from([1, 24, 25, 48]))
    def wait_for_long(self, hours):
        self.let_pass(hours * 3600)

    def let_pass(self, seconds):
        """Without the books falling behind for the week that they look back."""
        if self.model.minute + seconds // 60 - min(self.model.booked_until.values()) > 6 * 1440:
            self.book(0)
        self.world.clock.advance(max(0, seconds))

    # The worker

    @rule()
    def bring_hits(self):
        self.model.bring_hits()
        assert local_hits().flush()

    @rule(killed=st.integers(0, 60))
    def book(self, killed):
        with killed_at(killed):
            booking.book_closed_minutes(limit_store())
        for row in BookedUntil.objects.filter(bucket__in=self.model.buckets):
            if row.minute > self.model.booked_until[row.bucket]:
                assert row.minute == self.model.last_closed
                self.model.book(row.bucket, row.minute)
        assert killed or min(self.model.booked_until.values()) >= self.model.last_closed
        self.sql_may_differ = True

    @rule(killed=st.integers(0, 60))
    def follow(self, killed):
        with killed_at(killed):
            follow_changes(limit_store())
        self.model_follows(all_of_it=not killed)

    def model_follows(self, *, all_of_it):
        cursors = {row.bucket: row for row in FollowedUntil.objects.all()}
        for bucket, stream in self.model.streams.items():
            entries = [entry for entry, _ in self.world.valkey.xrange(f"kp1:{{{bucket}}}:ev")]
            assert len(entries) == len(stream)
            cursor = cursors.get(bucket)
            life = self.world.valkey.hget(f"kp1:{{{bucket}}}:t", "*life")
            followed = 0
            if cursor is not None and life is not None and cursor.life == life.decode() and entries:
                followed = entries.index(cursor.entry.encode()) + 1
            assert followed >= self.model.followed[bucket]
            assert followed == len(stream) or not all_of_it
            self.model.follow(bucket, followed)
        self.sql_may_differ = True

    @rule(killed=st.integers(0, 8))
    def tell(self, killed):
        pending = [sid for sid, state in self.model.states.items() if state.pending]
        with killed_at(killed):
            reactivation.tell_pending(limit_store())
        told = set(EscalationState.objects.filter(is_pending=False).values_list("subject", flat=True))
        for sid in pending:
            in_store = self.world.valkey.hget(f"kp1:{{{bucket_of(sid)}}}:s:{sid}", "p")
            order = self.model.states[sid].order
            if sid in told or (in_store is not None and in_store.decode() == order):
                self.model.tell(sid, self.orders[order], told=sid in told)
            else:
                assert killed
        self.sql_may_differ = True

    # Staff

    @rule(subject=st.integers(0, 1), reached=st.booleans())
    def suspend(self, subject, reached):
        sid = self.sids[subject]
        with self.world.store_out_of_reach(indeed=not reached):
            if not self.model.may_suspend(sid):
                with pytest.raises(reactivation.NotPossible):
                    reactivation.suspend(self.world.keys[sid], by=None, reason="because")
                return
            reactivation.suspend(self.world.keys[sid], by=None, reason="because")
        self.note_order(sid, Cause.SUSPENDED, 5, heard=reached)

    @rule(subject=st.integers(0, 1), reached=st.booleans(), clean=st.booleans())
    def reactivate(self, subject, reached, clean):
        sid = self.sids[subject]
        key = self.world.keys[sid]
        with self.world.store_out_of_reach(indeed=not reached):
            if reached:
                for bucket in self.model.buckets:
                    self.model.follow(bucket)
                self.sql_may_differ = True
            if not self.model.may_reactivate(sid):
                with pytest.raises(reactivation.NotPossible):
                    reactivation.reactivate(key, by=None, reason="because", clean=clean)
                return
            expected = self.model.reactivated_to(sid, clean=clean)
            assert reactivation.reactivate(key, by=None, reason="because", clean=clean) == expected
        self.note_order(sid, Cause.REACTIVATED, expected, heard=reached)

    def note_order(self, sid, cause, escalation, *, heard):
        order = EscalationState.objects.get(subject=sid).order
        self.orders[order] = cause
        self.model.order(sid, order, cause, escalation, heard=heard)
        self.sql_may_differ = True

    @rule(subject=st.integers(0, 1), rarely=st.integers(0, 3))
    def revoke(self, subject, rarely):
        if rarely:
            return
        key = ApiKey.objects.get(pk=self.world.keys[self.sids[subject]].pk)
        key.status = ApiKey.Status.REVOKED
        key.save()
        self.model.save_key(self.sids[subject], status="revoked")

    @rule(minute=st.integers(1, 4), concurrent=st.sampled_from([1, 2]))
    def edit_override(self, minute, concurrent):
        sid = self.sids[1]
        key = ApiKey.objects.get(pk=self.world.keys[sid].pk)
        key.minute_override, key.concurrent_override = minute, concurrent
        key.save()
        self.model.save_key(sid)
        self.model.limits[sid] = self.model.limits[sid]._replace(minute=minute, concurrent=concurrent)

    @rule(minute=st.integers(1, 4), day=st.sampled_from([None, 6, 30]))
    def edit_tier(self, minute, day):
        tier = Tier.objects.get(slug="free")
        tier.minute, tier.day = minute, day
        tier.save()
        first, second, _ = self.sids
        self.model.limits[first] = self.model.limits[first]._replace(minute=minute, day=day)
        self.model.limits[second] = self.model.limits[second]._replace(day=day)
        for sid in (first, second):
            self.model.tier_revision[sid] += 1

    @rule(
        numbers=st.fixed_dictionaries(
            {},
            optional={
                "strike_refusals": st.integers(1, 3),
                "strike_percent": st.sampled_from([0, 20, 100]),
                "forgive_minutes": st.integers(1, 10),
                "warned_minutes": st.integers(1, 10),
                "decay_hours": st.sampled_from([1, 24]),
                "grace_seconds": st.sampled_from([0, 30, 60, 120]),
                "probation": st.integers(0, 4),
                "guests_highest": st.integers(1, 4),
            },
        )
    )
    def edit_policy(self, numbers):
        policy = EscalationPolicy.objects.get()
        for name, number in numbers.items():
            setattr(policy, name, number)
        policy.save()
        self.ladder_was_edited()

    @rule(number=st.integers(2, 5), strikes=st.integers(1, 3), seconds=st.sampled_from([60, 300, 90_000]))
    def edit_step(self, number, strikes, seconds):
        step = EscalationStep.objects.get(number=number)
        step.strikes = strikes
        step.block_seconds = seconds if number < 5 else None
        step.save()
        self.ladder_was_edited()

    def ladder_was_edited(self):
        self.model.ladder = read_ladder()
        self.model.ladder_revision += 1

    # What goes wrong

    @rule()
    def script_flush(self):
        self.world.valkey.script_flush()

    @rule()
    def flushall(self):
        self.world.valkey.flushall()
        self.model.lose_store()

    @rule()
    def everything_is_brought_and_then_flushall(self):
        self.bring_hits(), self.book(0), self.follow(0), self.tell(0)
        self.flushall()

    # What must be so at any time

    @invariant()
    def the_store_shows_what_the_model_does(self):
        self.world.observer.ladder = self.model.ladder
        for sid in self.sids:
            if bucket_of(sid) not in self.model.alive:
                continue  # to look would build it
            subject = Subject(sid, self.model.limits[sid], "free", NEWEST)
            decision = self.world.observer.insist(subject, "", None)
            assert answer_of(decision) == self.model.look(sid), sid
            place = self.model.twins[sid].place
            kept = Trace(place.last_refusal, place.grace_until, place.clean_since)
            assert trace_of(self.world.observer, sid) == kept, sid

    @invariant()
    def sql_says_what_the_model_does(self):
        if self.sql_may_differ:
            self.compare_sql()
            self.sql_may_differ = False

    def compare_sql(self):
        model = self.model
        for sid, key in self.world.keys.items():
            assert ApiKey.objects.get(pk=key.pk).status == model.status[sid]
        assert states() == model.states
        assert events() == {sid: found for sid, found in model.events.items() if found}
        assert Counter(Notice.objects.values_list("kind", flat=True)) == +model.notices
        minutes = {}
        for (sid, minute), counts in model.minutes.items():
            columns = Counter()
            for outcome, n in counts.items():
                columns[column_of(outcome)] += n
            minutes[sid, minute * 60] = columns
        for rows, seconds in ((UsageMinute, 60), (UsageHour, 3600), (UsageDay, 86_400)):
            sums = {}
            for (sid, start), columns in minutes.items():
                sums.setdefault((sid, start - start % seconds), Counter()).update(columns)
            assert booked(rows) == sums
        hits = {
            (hit.subject, unix(hit.minute) // 60, hit.route, hit.kind): hit.count
            for hit in RateHit.objects.all()
        }
        assert hits == model.hits


def unix(at):
    return 0 if at is None else int(at.timestamp())


def states():
    return {
        row.subject: State(
            row.escalation,
            unix(row.until),
            unix(row.clean_since),
            unix(row.grace_until),
            row.version,
            row.order,
            row.is_pending,
        )
        for row in EscalationState.objects.all()
    }


def events():
    """The history of each subject, in the order in which it was written."""
    found = {}
    for row in EscalationEvent.objects.order_by("id"):
        facts = row.strikes, unix(row.minute) // 60, row.served, row.refused
        found.setdefault(row.subject, []).append(
            (row.cause, row.before, row.after, unix(row.until), facts, unix(row.at))
        )
    return found


def booked(rows):
    return {
        (row.subject, unix(row.start)): Counter({name: n for name in COUNTS if (n := getattr(row, name))})
        for row in rows.objects.all()
    }


@pytest.fixture
def panel(valkey, driven_clock: Clock, monkeypatch, caplog, transactional_db):
    logging.getLogger("usage").setLevel(logging.CRITICAL)
    Panel.world = World(valkey, driven_clock, monkeypatch)
    yield Panel
    logging.getLogger("usage").setLevel(logging.NOTSET)
    del Panel.world


def profile(**numbers):
    return settings(
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
        **numbers,
    )


@pytest.mark.once
def test_the_panel_does_what_the_model_does(panel):
    run_state_machine_as_test(panel, settings=profile(max_examples=40, stateful_step_count=40))


@pytest.mark.long
@pytest.mark.once
@pytest.mark.timeout(0)
def test_the_panel_does_what_the_model_does_2000_times(panel):
    run_state_machine_as_test(panel, settings=profile(max_examples=2000, stateful_step_count=40))
