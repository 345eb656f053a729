"""The page about jobs: whose they are, what it shows, and what can be done there."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, Tier, User
from images.job_pages.overview import LISTED, NEXT_SHOWN, SLOTS_SHOWN
from images.models import AccountQueue, Download, Job
from tests.images.calls import draw, run_jobs, submit

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def read(client: Client, url: str = "/jobs/") -> str:
    """In words: without tags, and in single spaces."""
    answer = client.get(url)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    return " ".join(re.sub("<[^>]*>", " ", answer.content.decode()).split())


def ids(client: Client, url: str = "/jobs/") -> list[str]:
    """Of the jobs that wait and that are listed, in the order of the page."""
    return re.findall(r'class="kp-job" id="(job_\w+)"', client.get(url).content.decode())


class TestTheBeginning:
    def test_without_a_key_it_leads_to_one(self, hers):
        text = read(hers)
        assert "No job yet" in text
        assert "Create a key" in text
        assert "/api/v1/convert" in text

    def test_with_a_key_it_shows_the_first_request(self, hers, key):
        text = read(hers)
        assert "No job yet" in text
        assert "curl" in text
        assert "Create a key" not in text

    def test_only_a_key_that_may_send_jobs_has_slots(self, hers, key, given):
        given("done")
        ApiKey.objects.update(status=ApiKey.Status.REVOKED)
        assert "of 3" not in read(hers)


class TestWhatItShows:
    def test_slots_taken_and_free_add_up_to_the_limit(self, hers, given):
        given("running", progress=40)
        text = read(hers)
        assert "1 of 3" in text
        assert "40 %" in text
        assert text.count("Free") == 2
        assert "Jobs are under way 1 running, 0 waiting." in text

    def test_the_most_generous_key_says_how_many_slots_there_are(self, hers, olivia, given):
        given("running")
        api_keys.issue(olivia, name="batch", tier=Tier.objects.get(slug="pro"))
        text = read(hers)
        assert "1 of 6" in text
        assert "a key with a lower limit starts its own only below that" in text

    def test_many_free_slots_are_told_as_a_number(self, hers, key, given):
        ApiKey.objects.update(parallel_override=100)
        given("running")
        assert f"{100 - SLOTS_SHOWN} more free" in read(hers)

    def test_without_a_limit_no_slot_is_made_up(self, hers, given):
        Tier.objects.update(parallel=None, queued=None)
        given("running")
        text = read(hers)
        assert "no limit of its own" in text
        assert "Free" not in text

    def test_the_next_that_wait_are_shown_with_their_places(self, hers, given):
        waiting = [given("queued") for _ in range(NEXT_SHOWN + 2)]
        text = read(hers)
        assert f"{len(waiting)} of 200" in text
        assert "Place 1 Convert to WEBP" in text
        assert ids(hers) == [job.pk for job in waiting[:NEXT_SHOWN]]
        assert "All 7 that wait" in text
        assert ids(hers, "/jobs/?status=queued") == [job.pk for job in waiting]

    def test_a_full_queue_says_what_is_refused(self, hers, key, given):
        ApiKey.objects.update(queued_override=1)
        given("queued")
        assert "The queue is full Further jobs are refused with queue.limit_exceeded" in read(hers)

    def test_a_result_tells_its_format_what_was_saved_and_what_is_left_of_its_download(self, hers, given):
        job = given("done")
        Download.objects.filter(job=job).update(uses_left=7)
        text = read(hers)
        assert "PNG → WEBP" in text
        assert "800 · 976.6 KB to 244.1 KB · 75 % smaller" in text
        assert "7 of 10 downloads left, until" in text
        assert "web shop" in text
        assert "All done" in text

    @pytest.mark.parametrize(
        ("made", "change"),
        [(1_000_000, "same size"), (999_999, "under 1 % smaller"), (3_000_000, "200 % larger")],
    )
    def test_what_got_no_smaller_says_so(self, hers, given, made, change):
        given("done", output_bytes=made)
        assert change in read(hers)

    def test_a_result_that_is_gone_says_why(self, hers, given):
        spent, old = given("done"), given("done")
        Download.objects.filter(job=spent).update(uses_left=0)
        Download.objects.filter(job=old).update(expires_at=timezone.now())
        text = read(hers)
        assert "Downloaded 10 times: the result is gone." in text
        assert "Kept for 2 hours: the result is gone." in text
        assert "downloads left" not in text

    def test_a_failed_job_says_why_and_where_to_read_on(self, hers, given):
        given("failed")
        assert "That isn&#x27;t an image. unsupported_format" in read(hers)
        assert 'href="/docs/refusals/#unsupported_format"' in hers.get("/jobs/").content.decode()

    def test_a_job_of_a_key_that_is_gone_is_shown_without_its_name(self, hers, given):
        given("done", subject_id="k:999999")
        assert "PNG → WEBP" in read(hers)


class TestTheList:
    def test_it_has_one_status_or_all_that_have_ended(self, hers, given):
        jobs = {status: given(status) for status in ("done", "failed", "cancelled")}
        assert ids(hers) == [jobs[status].pk for status in ("cancelled", "failed", "done")]
        for status, job in jobs.items():
            assert ids(hers, f"/jobs/?status={status}") == [job.pk]

    @pytest.mark.parametrize("status", ["", "failed", "queued"])
    def test_it_is_read_part_by_part(self, hers, given, status):
        made = [given(status or "done").pk for _ in range(2 * LISTED + 3)]
        expected = made if status == "queued" else made[::-1]
        seen, url = [], f"/jobs/?status={status}"
        for _ in range(3):
            seen += ids(hers, url)
            page = hers.get(url).content.decode()
            link = re.search(r'rel="next" href="([^"]*)"', page)
            url = link[1].replace("&amp;", "&") if link else ""
        assert seen == expected
        assert not url

    def test_the_places_of_those_that_wait_go_on_in_the_next_part(self, hers, given):
        waiting = [given("queued") for _ in range(LISTED + 2)]
        past = f"{waiting[LISTED - 1].created_at.timestamp():.6f}".replace(".", "")
        assert f"Place {LISTED + 1} Convert" in read(hers, f"/jobs/?status=queued&past={past}")

    @pytest.mark.parametrize(
        "query",
        ["status=nonsense", "past=x", "past=" + "9" * 16, "past=²", "status=running&past=-1", "page=9"],
    )
    def test_an_address_without_sense_is_read_as_far_as_it_has_some(self, hers, given, query):
        given("done")
        read(hers, f"/jobs/?{query}")

    def test_an_empty_list_says_so(self, hers, given):
        given("done")
        assert "No job has failed" in read(hers, "/jobs/?status=failed")
        assert "Nothing waits" in read(hers, "/jobs/?status=queued")

    @pytest.mark.parametrize(
        "path", ["/jobs/", "/jobs/live/", "/jobs/?status=queued&past=1", "/jobs/?status=done"]
    )
    def test_its_queries_dont_grow_with_the_jobs(self, hers, given, path, django_assert_max_num_queries):
        for status in ("queued", "running", "done", "failed", "cancelled"):
            for _ in range(LISTED):
                given(status)
        given("done", subject_id="k:999999")
        with django_assert_max_num_queries(13):  # three of them note where it was last seen, every 5 minutes
            read(hers, path)
        with django_assert_max_num_queries(10):
            read(hers, path)


class TestCancelling:
    def test_a_job_that_waits_ends_and_its_place_is_free(self, hers, given):
        job = given("queued")
        answer = hers.post(f"/jobs/{job.pk}/cancel/", {"status": "queued"}, follow=True)
        assert answer.redirect_chain == [("/jobs/?status=queued", 302)]
        assert f"Cancelled: {job.pk}" in answer.content.decode()
        job.refresh_from_db()
        assert job.status == "cancelled"
        assert AccountQueue.objects.get().queued == 0

    def test_a_job_that_runs_ends(self, hers, given):
        job = given("running")
        hers.post(f"/jobs/{job.pk}/cancel/")
        job.refresh_from_db()
        assert job.status == "cancelled"

    def test_one_that_has_ended_stays_as_it_is(self, hers, given):
        job = given("done")
        answer = hers.post(f"/jobs/{job.pk}/cancel/", follow=True)
        assert "Too late to cancel" in answer.content.decode()
        job.refresh_from_db()
        assert job.status == "done"

    def test_a_get_changes_nothing_and_leads_to_the_page(self, hers, given):
        job = given("queued")
        assert hers.get(f"/jobs/{job.pk}/cancel/")["Location"] == "/jobs/"
        job.refresh_from_db()
        assert job.status == "queued"

    def test_a_post_from_elsewhere_is_refused(self, olivia, given):
        job = given("queued")
        client = Client(enforce_csrf_checks=True)
        client.force_login(olivia)
        assert client.post(f"/jobs/{job.pk}/cancel/").status_code == 403


class TestDownloading:
    @pytest.mark.usefixtures("store")
    def test_the_link_takes_one_use_and_shows_the_rest(self, hers, api, olivia):
        job = submit(api, draw(1, (30, 20), "png"))
        run_jobs()
        answer = hers.get(f"/jobs/{job.pk}/download/", follow=True)
        assert answer.status_code == 200
        assert answer["Content-Disposition"] == f'attachment; filename="{job.pk}.webp"'
        assert "9 of 10 downloads left" in read(hers)

    def test_looking_at_the_page_takes_none(self, hers, given):
        job = given("done")
        read(hers)
        read(hers, "/jobs/live/")
        assert "expires=" in hers.get(f"/jobs/{job.pk}/download/")["Location"]
        assert Download.objects.get(job=job).uses_left == 10

    @pytest.mark.parametrize("spent", [{"uses_left": 0}, {"expires_at": timezone.now() - timedelta(1)}])
    def test_what_is_gone_is_told_on_the_page(self, hers, given, spent):
        job = given("done")
        Download.objects.filter(job=job).update(**spent)
        answer = hers.get(f"/jobs/{job.pk}/download/?status=done", follow=True)
        assert answer.redirect_chain == [("/jobs/?status=done", 302)]
        assert "downloaded any more" in answer.content.decode()

    def test_a_job_without_a_result_has_none(self, hers, given):
        job = given("failed")
        assert hers.get(f"/jobs/{job.pk}/download/")["Location"] == "/jobs/"


class TestAnybodyElse:
    def test_anothers_jobs_are_not_there(self, client, given):
        jobs = [given(status) for status in ("queued", "running", "done")]
        client.force_login(User.objects.create_user("mallory@example.com", is_staff=True, is_superuser=True))
        text = client.get("/jobs/").content.decode()
        for job in jobs:
            assert job.pk not in text
            assert client.post(f"/jobs/{job.pk}/cancel/").status_code == 404
            assert client.get(f"/jobs/{job.pk}/download/").status_code == 404
        assert Job.objects.filter(status="cancelled").count() == 0

    @pytest.mark.parametrize("pk", ["job_AAAAAAAAAAAAAAAAAAAAAA", "x", "job_\0", "job_" + "é" * 22])
    def test_what_is_no_job_is_not_there(self, hers, pk):
        assert hers.get(f"/jobs/{pk}/download/").status_code == 404

    def test_a_guests_job_is_nobodys(self, hers, given):
        job = given("done", owner=None, subject_id="ip:192.0.2.1/32")
        assert job.pk not in hers.get("/jobs/").content.decode()
        assert hers.get(f"/jobs/{job.pk}/download/").status_code == 404

    def test_whoever_isnt_signed_in_signs_in_first(self, client, given):
        job = given("queued")
        for path in ("/jobs/", f"/jobs/{job.pk}/cancel/", f"/jobs/{job.pk}/download/"):
            assert (
                client.get(path)["Location"].startswith("/account/login/")
                or "login" in client.get(path)["Location"]
            )
        answer = client.get("/jobs/live/")
        assert (answer.status_code, answer["HX-Refresh"]) == (200, "true")
