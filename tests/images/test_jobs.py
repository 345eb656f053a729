"""Asking for a job: whose it is, and what is said of it at each time of its life."""

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tests.images.calls import run_jobs, state, submit

pytestmark = pytest.mark.usefixtures("store")


def test_async_answers_at_once_where_the_job_can_be_asked_for(api):
    job = submit(api)
    body = state(api, job)
    assert (body["status"], body["progress"], body["download_url"]) == ("queued", 0, None)
    run_jobs()
    later = state(api, job)
    assert (later["status"], later["progress"], later["error"]) == ("done", 100, None)
    assert api.get(later["download_url"]).status_code == 200


def test_a_job_that_failed_says_why(api):
    job = submit(api, b"some text")
    run_jobs()
    later = state(api, job)
    assert (later["status"], later["download_url"]) == ("failed", None)
    assert later["error"].items() >= {"code": "unsupported_format", "field": "file"}.items()


def test_an_account_sees_its_jobs_with_each_of_its_keys(new_client):
    job = submit(new_client("olivia@example.com"))
    assert state(new_client("olivia@example.com"), job)["id"] == job.pk


def test_nobody_else_sees_a_job(new_client, api):
    job = submit(api)
    for stranger in (new_client("mallory@example.com"), Client(), Client(REMOTE_ADDR="192.0.2.7")):
        for path in (f"/api/v1/jobs/{job.pk}", f"/job/{job.pk}"):
            answer = stranger.get(path)
            assert answer.status_code == 404
            assert "not_found" in answer.content.decode()


def test_a_guest_sees_the_jobs_of_its_network_alone(api):
    job = submit(Client(REMOTE_ADDR="192.0.2.1"))
    assert job.owner is None
    assert Client(REMOTE_ADDR="192.0.2.1").get(f"/job/{job.pk}").status_code == 200
    assert Client(REMOTE_ADDR="192.0.2.2").get(f"/job/{job.pk}").status_code == 404
    assert api.get(f"/job/{job.pk}").status_code == 404


@pytest.mark.parametrize("path", ["/api/v1/jobs/job_AAAAAAAAAAAAAAAAAAAAAA", "/api/v1/usage"])
def test_without_the_database_an_answer_is_a_503_in_the_clients_dialect(api, path):
    assert api.get(path).status_code in (200, 404)  # whose it is, is known from here on

    def gone(execute, sql, params, many, context):
        raise OperationalError("the database is away")

    with connection.execute_wrapper(gone):
        answer = api.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "limits_unavailable")
    assert answer["Retry-After"] == "2"
