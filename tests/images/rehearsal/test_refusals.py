"""Every refusal on demand, just as the real one."""

import re

import pytest
import time_machine
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import api_keys
from accounts.endpoint_limits.names import NAMES
from accounts.keys import actions
from accounts.models import ApiKey, Tier
from images.example_refusals import Occasion, by_code, by_limit, by_tier
from images.models import AccountQueue, Job
from images.rehearsal import waits
from images.rehearsal.asking import LONGEST_WAIT, ends_by_itself, read, words
from tests.images.calls import convert, convert_short, draw
from usage.escalation.ladder import Ladder
from usage.escalation.reactivation import suspend
from usage.limits.refusals import CODES, PROBLEM, ApiError
from usage.limits.store import limit_store
from usage.models import RateHit

PNG = draw(1, (30, 20), "png")
ALL = words(Ladder())
REFUSING = [word for word in ALL if word != "0"]
BY_NAME = {"1": "rate_limited", "2": "cooldown", "3": "blocked", "4": "blocked", "5": "key_suspended"}


# What Django adds for browsers to whatever comes from a view, where the guard refuses before any.
OF_VIEWS = {
    *("Content-Security-Policy", "Cross-Origin-Opener-Policy", "Referrer-Policy"),
    *("X-Content-Type-Options", "X-Frame-Options"),
}


def code_of(word: str) -> str:
    return BY_NAME.get(word) or (word if word in CODES else "rate_limited")


def asked(client: Client, word: str, send=convert, **headers: str):
    client.defaults["HTTP_X_KOALA_REHEARSE"] = word
    client.defaults.pop("HTTP_ACCEPT", None)
    if headers:
        client.defaults["HTTP_ACCEPT"] = headers["accept"]
    return send(client, PNG)


class TestEveryWord:
    @pytest.mark.parametrize("word", REFUSING)
    def test_is_answered_in_each_dialect_with_its_codes_status_and_body(self, actor, word):
        code = code_of(word)
        status = CODES[code].status
        first, short = asked(actor, word), asked(actor, word, convert_short)
        problem = asked(actor, word, accept=PROBLEM)
        for answer in (first, short, problem):
            assert answer.status_code == status
            assert answer["X-Koala-Rehearsal"] == "true"
            assert answer["Cache-Control"] == "no-store"
            assert ("Retry-After" in answer) == (status in (429, 503))
            assert ("WWW-Authenticate" in answer) == (status == 401)
        assert (first.json()["code"], first.json()["error"]) == (code, CODES[code].error)
        assert short.json()["error"] == code
        assert set(short.json()) <= {"error", "detail", "field"}
        assert problem["Content-Type"] == PROBLEM
        assert (problem.json()["code"], problem.json()["type"]) == (code, CODES[code].problem_type)
        if code == "rate_limited":
            assert first.json()["limit"] == {"rate_limited": "minute", "1": "minute"}.get(word, word)
            assert problem.json()["violated-policies"] == [first.json()["limit"]]
            assert short.json()["detail"] == f"Too many requests. Retry after {short['Retry-After']} seconds."

    @pytest.mark.parametrize("word", REFUSING)
    def test_is_no_other_than_what_refuses_gives(self, actor, key, word):
        """But for the mark, byte by byte: headers and body of the function that makes the real answer."""
        with time_machine.travel(1_800_000_000, tick=False):
            answer = asked(actor, word)
        request = answer.wsgi_request
        occasion = Occasion(
            request.subject,
            limit_store().ladder,
            1_800_000_000,
            request.META["REMOTE_ADDR"],
            "koala_nonsense",
        )
        examples = (
            by_code(occasion) | by_limit(occasion, {}) | {str(n): e for n, e in by_tier(occasion).items()}
        )
        if word == "invalid_key" or word in NAMES:  # another text; a rate that the panel has
            return
        with time_machine.travel(1_800_000_000, tick=False):
            real = examples[word](request.route, "")
        assert answer.content == real.body
        limits = {name: value for name, value in answer.headers.items() if name in real.headers}
        assert limits == {name: real.headers[name] for name in limits}
        assert set(real.headers) <= set(answer.headers)
        assert set(answer.headers) - set(real.headers) <= {"X-Koala-Rehearsal", *OF_VIEWS}

    def test_new_codes_can_be_rehearsed_by_themselves(self, actor):
        assert set(CODES) <= set(ALL)

    @pytest.mark.parametrize(
        ("said", "tier"),
        [
            ("Extended cooldown", 2),
            ("extended_cooldown", 2),
            ("TEMPORARY-BLOCK", 3),
            ("day block", 4),
            ("4", 4),
        ],
    )
    def test_tiers_go_by_number_and_by_name(self, actor, said, tier):
        assert asked(actor, said).json()["escalation"]["tier"] == tier

    def test_clear_is_a_success(self, actor):
        assert asked(actor, "clear").status_code == 200
        assert asked(actor, "0").status_code == 200


class TestTheRealOne:
    """Of a key that is refused in truth, beside one that rehearses it: the same, but for times and names."""

    def same(self, real, acted):
        def shape(text):
            text = re.sub(r"koala_\w+", "KEY", text)
            return re.sub(r"\d+", "N", text)

        assert acted.status_code == real.status_code
        assert shape(acted.content.decode()) == shape(real.content.decode())
        ours = {name: shape(value) for name, value in acted.headers.items()}
        assert ours.pop("X-Koala-Rehearsal") == "true"
        for name in OF_VIEWS - set(real.headers):
            ours.pop(name, None)
        assert ours == {name: shape(value) for name, value in real.headers.items()}

    @pytest.fixture(params=["v1", "short"])
    def send(self, request):
        return convert if request.param == "v1" else convert_short

    def test_over_the_minute(self, actor, issue, send):
        real = Client(headers={"Authorization": f"Bearer {issue(minute_override=0)[1]}"})
        ApiKey.objects.filter(is_rehearsal=True).update(minute_override=0)
        self.same(send(real, PNG), asked(actor, "rate_limited", send))

    def test_a_full_queue(self, actor, issue, owner, send):
        Tier.objects.filter(slug="free").update(queued=0)
        real = Client(headers={"Authorization": f"Bearer {issue()[1]}"})
        self.same(send(real, PNG), asked(actor, "queue.limit_exceeded", send))

    def test_a_suspension(self, actor, issue, send):
        real, text = issue()
        suspend(real, by=None, reason="A test.")
        self.same(
            send(Client(headers={"Authorization": f"Bearer {text}"}), PNG),
            asked(actor, "key_suspended", send),
        )

    def test_a_key_that_nobody_knows(self, actor, send):
        stranger = Client(headers={"Authorization": f"Bearer {api_keys.new_text()}"})
        self.same(send(stranger, PNG), asked(actor, "invalid_key", send))

    def test_a_revoked_and_an_expired_key_and_one_that_is_used_from_elsewhere(
        self, actor, issue, owner, send
    ):
        revoked, text = issue()
        actions.revoke(revoked, by=owner, revision=None)
        self.same(send(Client(headers={"X-Api-Key": text}), PNG), asked(actor, "key_revoked", send))
        _, text = issue(expires_at=revoked.created_at)
        self.same(send(Client(headers={"X-Api-Key": text}), PNG), asked(actor, "key_expired", send))
        _, text = issue(allowed_networks=["192.0.2.0/24"])
        self.same(send(Client(headers={"X-Api-Key": text}), PNG), asked(actor, "ip_not_allowed", send))

    def test_a_format_that_we_dont_write(self, actor, ordinary, send):
        self.same(send(ordinary, PNG, "pdf"), asked(actor, "unsupported_format", send))


class TestTheWait:
    def test_who_waits_as_told_is_served_and_may_try_it_all_again(self, actor):
        with time_machine.travel(1_800_000_000, tick=False) as clock:
            for _ in range(2):
                first = asked(actor, "cooldown; retry_after=2")
                assert (first.status_code, first["Retry-After"]) == (429, "2")
                assert first.json()["retry_after"] == 2
                clock.shift(1.5)
                assert asked(actor, "cooldown; retry_after=2")["Retry-After"] == "1"
                clock.shift(0.5)
                assert asked(actor, "cooldown; retry_after=2").status_code == 200

    @pytest.mark.parametrize("word", [word for word in REFUSING if ends_by_itself(word)])
    def test_everything_in_the_answer_tells_the_same_wait(self, actor, word):
        with time_machine.travel(1_800_000_007, tick=False):
            answer = asked(actor, f"{word};retry_after=9")
        wait = "1" if word == "concurrent" else "9"
        assert answer["Retry-After"] == wait
        assert answer.json()["retry_after"] == int(wait)
        if word in ("rate_limited", "minute", "day", "cooldown", "blocked", "1", "2", "3", "4"):
            assert answer["X-RateLimit-Reset"] == str(1_800_000_016)
            assert f"{wait} s" in answer.json()["detail"]

    def test_each_word_and_each_key_waits_by_itself(self, actor, issue):
        other = Client(headers={"Authorization": f"Bearer {issue(is_rehearsal=True)[1]}"})
        with time_machine.travel(1_800_000_000, tick=False) as clock:
            asked(actor, "cooldown; retry_after=2")
            clock.shift(2)
            assert asked(other, "cooldown; retry_after=2").status_code == 429
            assert asked(actor, "blocked; retry_after=2").status_code == 429
            assert asked(actor, "cooldown; retry_after=2").status_code == 200

    def test_without_the_cache_it_never_ends_and_never_breaks(self, actor, monkeypatch):
        def away(*args, **kwargs):
            raise waits.RedisError

        monkeypatch.setattr(waits.cache, "add", away)
        assert asked(actor, "minute; retry_after=2")["Retry-After"] == "2"


class TestWhatIsNoWord:
    @pytest.mark.parametrize(
        "said",
        [
            *("", "nonsense", "6", "-1", "²", "x" * 200, "cooldown;", "cooldown; times=2"),
            *("cooldown; retry_after=0", "cooldown; retry_after=x", "cooldown; retry_after=2; retry_after=2"),
            *("minute; retry_after=61", f"day; retry_after={LONGEST_WAIT + 1}", "invalid_key; retry_after=2"),
        ],
    )
    def test_is_told_with_what_can_be_said(self, actor, said):
        for answer in (asked(actor, said), asked(actor, said, convert_short)):
            assert answer.status_code == 400
            assert answer.json()["field"] == "X-Koala-Rehearse"
            assert answer["X-Koala-Rehearsal"] == "true"
            assert answer["X-RateLimit-Remaining"] == "30"

    def test_all_words_are_listed(self, actor):
        assert "cooldown, blocked, queue.limit_exceeded" in asked(actor, "nonsense").json()["detail"]

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.one_of(
            st.text(max_size=120), st.builds("{};{}".format, st.sampled_from(ALL), st.text(max_size=30))
        )
    )
    def test_nothing_that_is_said_breaks_it(self, said):
        try:
            found = read(said, Ladder())
        except ApiError as error:
            found = error
        assert found.code == "invalid_request" if isinstance(found, ApiError) else found.word in ALL


class TestWhoItIsFor:
    def test_an_ordinary_key_doesnt_know_the_header(self, ordinary):
        for word in ("cooldown", "key_suspended", "nonsense"):
            answer = asked(ordinary, word, lambda client, png: client.get("/api/v1/conversions"))
            assert answer.status_code == 200
            assert "X-Koala-Rehearsal" not in answer
        assert (
            asked(
                ordinary, "cooldown", lambda client, png: convert(client, png, **{"async": "true"})
            ).status_code
            == 202
        )
        assert Job.objects.count() == 1

    def test_nor_does_a_guest(self):
        answer = asked(Client(), "cooldown", lambda client, png: client.get("/conversions"))
        assert answer.status_code == 200

    def test_what_isnt_charged_goes_on_through_a_block(self, actor):
        for path in ("/api/v1/conversions", "/api/v1/usage", "/entitlements/me"):
            assert asked(actor, "blocked", lambda client, png, path=path: client.get(path)).status_code == 200
        assert asked(actor, "key_revoked", lambda client, png: client.get("/conversions")).status_code == 401
        assert asked(actor, "not_found", lambda client, png: client.get("/api/v1/nothing")).status_code == 404

    def test_nothing_of_it_is_counted(self, actor, key):
        for word in [*REFUSING, "nonsense", "0"]:
            asked(actor, word)
        actor.defaults.pop("HTTP_X_KOALA_REHEARSE")
        used = actor.get("/api/v1/usage").json()
        assert used["rehearsal"] is True
        assert {quota["kind"]: quota["used"] for quota in used["quotas"]} == dict.fromkeys(
            ("day", "minute", "concurrent", "parallel", "queued"), 0
        )
        assert used["hits_24h"]["total"] == 0
        assert used["escalation"]["tier"] == 0
        assert (RateHit.objects.count(), AccountQueue.objects.count(), Job.objects.count()) == (0, 0, 0)

    def test_a_rehearsal_key_that_is_refused_in_truth_is_refused_and_not_counted(self, actor, key, issue):
        suspend(key[0], by=None, reason="A test.")
        answer = convert(actor, PNG)
        assert (answer.status_code, answer.json()["code"]) == (403, "key_suspended")
        assert answer["X-Koala-Rehearsal"] == "true"
        _, text = issue(is_rehearsal=True, allowed_networks=["192.0.2.0/24"])
        answer = convert(Client(headers={"X-Api-Key": text}), PNG)
        assert (answer.status_code, answer["X-Koala-Rehearsal"]) == (403, "true")
        assert RateHit.objects.count() == 0
