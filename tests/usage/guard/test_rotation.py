"""A rotated key: two secrets, one key with one quota, until the old secret ends when it was told to."""

from datetime import UTC, datetime, timedelta

import pytest

from accounts.keys import actions
from usage.escalation.reactivation import suspend
from usage.limits.store import limit_store
from usage.subjects import of_key

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.urls("tests.usage.api_urls")]

CONVERT = "/api/v1/convert"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _clock(driven_clock, time_machine):
    time_machine.move_to(NOON, tick=False)
    return driven_clock


@pytest.fixture
def rotate(owner):
    return lambda key, overlap=HOUR: actions.rotate(key, by=owner, revision=None, overlap=overlap)


def call(api, text):
    return api.post(CONVERT, headers={"X-Api-Key": text})


def test_old_and_new_share_one_window(new_client, issue, rotate):
    key, old = issue(minute_override=4)
    apis = new_client(), new_client()
    assert call(apis[0], old).headers["X-RateLimit-Remaining"] == "3"
    _, new = rotate(key)
    answers = [call(api, text) for api in apis for text in (old, new)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert call(apis[0], old).status_code == 429


def test_they_share_their_places_in_flight(api, issue, rotate):
    key, old = issue(concurrent_override=1)
    _, new = rotate(key)
    streamed = api.post(f"{CONVERT}?streamed", headers={"X-Api-Key": old})
    assert call(api, new).json()["limit"] == "concurrent"
    streamed.close()
    assert call(api, new).status_code == 200


def test_a_block_of_one_is_a_block_of_the_other(api, issue, rotate, driven_clock):
    key, old = issue(minute_override=1)
    _, new = rotate(key)
    for minute in range(4):
        driven_clock.set(f"2026-03-01T12:0{minute}:00")
        for _ in range(6):
            answer = call(api, old)
    assert answer.json()["code"] == "cooldown"
    assert call(api, new).json()["code"] == "cooldown"
    assert limit_store().look(of_key(key)).escalation == 2


def test_both_are_suspended_together(api, issue, rotate):
    key, old = issue()
    _, new = rotate(key)
    suspend(key, by=None, reason="Resold.")
    assert [call(api, text).json()["code"] for text in (old, new)] == ["key_suspended"] * 2


def test_both_are_the_same_subject_to_jobs_and_downloads(api, issue, rotate):
    key, old = issue()
    _, new = rotate(key)
    assert call(api, old).json() == call(api, new).json() == {"subject": f"k:{key.pk}"}


def test_the_old_secret_stops_at_the_moment_that_was_told_in_every_process(
    new_client, issue, rotate, time_machine
):
    key, old = issue()
    key, new = rotate(key)
    processes = new_client(), new_client()
    time_machine.move_to(NOON + HOUR - timedelta(seconds=1), tick=False)
    assert [call(api, old).status_code for api in processes] == [200, 200]
    time_machine.move_to(NOON + HOUR, tick=False)
    for api in processes:
        refused = call(api, old)
        assert (refused.status_code, refused.json()["code"]) == (401, "key_expired")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
        assert refused.json()["detail"] == (
            f"This secret was replaced by {key.start}… and ended at 2026-03-01 13:00:00 UTC. Use the new one."
        )
    assert [call(api, new).status_code for api in processes] == [200, 200]


def test_a_process_that_met_the_old_secret_before_learns_of_its_end_from_the_store(
    new_client, issue, rotate, time_machine
):
    key, old = issue()
    processes = new_client(), new_client()
    assert [call(api, old).status_code for api in processes] == [200, 200]
    key, _ = rotate(key)
    assert [call(api, old).status_code for api in processes] == [200, 200]
    time_machine.move_to(NOON + HOUR, tick=False)
    assert [call(api, old).status_code for api in processes] == [401, 401]


def test_without_an_overlap_the_next_request_of_every_process_is_refused(new_client, issue, rotate):
    key, old = issue()
    processes = new_client(), new_client()
    assert [call(api, old).status_code for api in processes] == [200, 200]
    rotate(key, timedelta(0))
    assert [call(api, old).json()["code"] for api in processes] == ["key_expired", "key_expired"]


def test_ending_the_overlap_is_felt_by_the_next_request_of_every_process(new_client, issue, rotate, owner):
    key, old = issue()
    processes = new_client(), new_client()
    key, _ = rotate(key)
    assert [call(api, old).status_code for api in processes] == [200, 200]
    actions.end_overlap(key, by=owner, revision=None)
    assert [call(api, old).json()["code"] for api in processes] == ["key_expired", "key_expired"]


def test_a_changed_expiry_is_felt_by_the_next_request_and_holds_to_the_second(
    new_client, issue, owner, time_machine
):
    key, text = issue()
    processes = new_client(), new_client()
    assert [call(api, text).status_code for api in processes] == [200, 200]
    actions.change_expiry(key, by=owner, revision=None, expires_at=NOON + timedelta(seconds=3))
    time_machine.move_to(NOON + timedelta(seconds=2, milliseconds=999), tick=False)
    assert [call(api, text).status_code for api in processes] == [200, 200]
    time_machine.move_to(NOON + timedelta(seconds=3), tick=False)
    for api in processes:
        assert call(api, text).json()["detail"] == "This key has expired. Create a new one in the panel."


def test_revoking_stops_all_of_a_keys_secrets_in_every_process(new_client, issue, rotate, owner):
    key, old = issue()
    _, new = rotate(key)
    processes = new_client(), new_client()
    assert {call(api, text).status_code for api in processes for text in (old, new)} == {200}
    actions.revoke(key, by=owner)
    assert {call(api, text).json()["code"] for api in processes for text in (old, new)} == {"key_revoked"}


def test_of_an_expired_key_no_secret_is_said_to_be_replaced(api, issue, rotate, time_machine):
    key, old = issue(expires_at=NOON + 2 * HOUR)
    rotate(key)
    time_machine.move_to(NOON + 3 * HOUR, tick=False)
    assert "has expired" in call(api, old).json()["detail"]
