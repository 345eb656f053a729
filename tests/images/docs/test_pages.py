"""The docs: public, cheap, with the numbers in force, and nothing in them that leads nowhere."""

import json
import re
from html.parser import HTMLParser
from uuid import uuid4

import pytest
from django.urls import reverse
from django.utils import timezone
from standardwebhooks import Webhook

from accounts import api_keys
from accounts.models import EndpointLimit, Tier, User
from images.docs import example_files, limits, refusals, webhooks
from images.docs.pages import PAGES
from images.docs.refusal_words import WORDS
from images.models import Job, WebhookDelivery, WebhookEndpoint
from images.webhooks.events import body_of
from usage.escalation.policy import read_ladder
from usage.limits.refusals import CODES
from usage.models import EscalationPolicy, EscalationStep

pytestmark = pytest.mark.django_db

# Of the tiers, the endpoint limits, the ladder's policy and its steps.
QUERIES = {
    "docs": 0,
    "docs_limits": 3,
    "docs_headers": 2,
    "docs_refusals": 2,
    "docs_jobs": 1,
    "docs_webhooks": 0,
    "docs_examples": 0,
    "docs_rehearsal": 2,
    "docs_api": 0,
}


class Page(HTMLParser):
    """What a page links to, what in it can be linked to, and what it says."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.words = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        known = dict(attributes)
        if tag not in ("a", "code", "strong"):
            self.words += " "
        if tag == "a":
            self.links.append(known["href"])
        if "id" in known:
            self.ids.append(known["id"])

    def handle_data(self, data):
        self.words += data


@pytest.fixture
def read(client):
    def get(name):
        response = client.get(reverse(name))
        assert response.status_code == 200
        return Page(response.content.decode())

    return get


@pytest.fixture
def said(read):
    """A page's words, without line breaks."""
    return lambda name: " ".join(read(name).words.split())


@pytest.mark.parametrize("name", QUERIES)
def test_everybody_can_read_every_page_for_few_queries(client, django_assert_num_queries, name):
    client.get(reverse(name))
    with django_assert_num_queries(QUERIES[name]):
        response = client.get(reverse(name))
    assert response.status_code == 200
    assert client.post(reverse(name)).status_code == 405


def test_the_queries_are_counted_of_all_pages():
    assert set(QUERIES) == {one.name for one in PAGES}


def test_each_page_leads_to_all_others_and_says_where_one_is(client):
    for one in PAGES:
        text = client.get(reverse(one.name)).content.decode()
        nav = text[text.index('aria-label="Docs"') : text.index('<header class="kp-docs-head">')]
        assert [f'href="{reverse(other.name)}"' in nav for other in PAGES] == [True] * len(PAGES)
        assert re.findall(r'<a href="([^"]+)" aria-current="page">', nav) == [reverse(one.name)]


def test_every_link_leads_somewhere(client, read):
    pages = {reverse(one.name): read(one.name) for one in PAGES}
    for path, found in pages.items():
        assert len(set(found.ids)) == len(found.ids), path
        for link in found.links:
            if link.startswith("https://"):
                continue
            target, _, fragment = link.partition("#")
            target = target or path
            if target in pages:
                assert not fragment or fragment in pages[target].ids, (path, link)
            else:
                assert fragment == "", (path, link)
                assert client.get(target).status_code in (200, 302), (path, link)


def test_the_header_leads_there_for_everybody_and_the_footer(client):
    docs = f'<a href="{reverse("docs")}"'
    assert client.get("/accounts/login/").content.decode().count(docs) == 2
    client.force_login(User.objects.create_user("olivia@example.com"))
    assert client.get("/account/").content.decode().count(docs) == 2


def test_who_has_no_key_yet_or_just_made_one_is_led_there(client, valkey):
    client.force_login(User.objects.create_user("olivia@example.com"))
    assert 'the <a href="/docs/">docs</a>' in client.get("/").content.decode()
    text = client.post(
        "/keys/new/", {"name": "website", "ends": "never", "form_id": uuid4()}
    ).content.decode()
    assert "Copy your new key now" in text
    assert '<a href="/docs/examples/">examples</a>' in text


class TestLimits:
    def test_the_numbers_are_those_in_force(self, said):
        text = said("docs_limits")
        assert "Guest Requests without a key, counted per IP address. 10 100 2 3 100" in text
        assert "Free Every new API key. 30 1,000 5 3 200" in text
        assert "Pro Keys that staff move here. 120 10,000 10 6 1,000" in text
        assert "download Downloading results 30 per minute" in text
        assert "contact The contact form 5 in 15 minutes" in text

    def test_a_change_by_staff_is_seen_at_once_and_no_limit_is_said_in_words(self, said):
        Tier.objects.filter(slug="free").update(minute=45, day=None)
        Tier.objects.create(slug="gold", name="Gold", minute=9000)
        EndpointLimit.objects.filter(name="download").update(requests=None)
        text = said("docs_limits")
        assert "45 no limit 5 3 200" in text
        assert "Gold 9,000 no limit no limit no limit no limit" in text
        assert "download Downloading results no limit" in text
        assert "45 requests a minute are allowed" in said("docs_headers")
        assert "Gold no limit no limit" in said("docs_jobs")

    def test_the_ladder_is_told_with_its_numbers(self, said):
        text = said("docs_limits")
        assert "2 Extended cooldown Charged requests are refused for 5 minutes. 3 strikes." in text
        assert "3 Temporary block Charged requests are refused for 1 hour. 2 more strikes." in text
        assert "a minute of the clock with at least 5 refusals" in text
        assert "and at least 20 % of the limit per minute." in text
        assert "So 5 with a limit of 10, 6 with a limit of 30 and 24 with a limit of 120." in text
        assert "each 10 clean minutes forgive one" in text
        assert "by one for every 24 clean hours outside of a block" in text
        assert "For 1 minute after it nothing strikes." in text
        assert "remembers up to tier 3, Temporary block" in text
        assert "an address never goes beyond tier 4, Day block" in text

    def test_the_ladder_changes_with_what_staff_make_of_it(self, said):
        EscalationPolicy.objects.update(
            strike_refusals=7,
            forgive_minutes=90,
            decay_hours=12,
            grace_seconds=0,
            probation=2,
            guests_highest=3,
        )
        EscalationStep.objects.filter(number=2).update(name="Pause", strikes=1, block_seconds=90)
        text = said("docs_limits")
        assert "2 Pause Charged requests are refused for 90 seconds. 1 strike." in text
        assert "at least 7 refusals" in text
        assert "So 7 with a limit of 10, 7 with a limit of 30" in text
        assert "each 90 clean minutes forgive one" in text
        assert "every 12 clean hours" in text
        assert "nothing strikes" not in text
        assert "remembers up to tier 2, Pause" in text
        assert "the key's owner gets an email. 2 more strikes. Keys alone. 5 Suspension" in text

    def test_limits_on_sizes_are_the_settings(self, said, settings):
        settings.UPLOAD_MAX_BYTES, settings.IMAGE_MAX_PIXELS = 5 * 1024 * 1024, 12_500_000
        settings.JOB_WAIT_SECONDS, settings.IPV6_PREFIX = 20, 64
        assert "A file may have 5 MB at most, and an image 12.5 megapixels" in said("docs_jobs")
        assert "wait up to 20 seconds" in said("docs_jobs")
        assert "by their /64 network" in said("docs_limits")


class TestHeaders:
    def test_the_example_is_what_the_limiter_would_say(self, said):
        text = said("docs_headers")
        assert "X-RateLimit-Limit: 30 X-RateLimit-Remaining: 27" in text
        assert 'RateLimit: "minute";r=27;t=30, "day";r=812;t=' in text
        assert "27 more in this minute, which has 30 s to go; 812 more today; 4 more at once." in text
        assert "HTTP/1.1 429 Too Many Requests" in text
        assert "Retry-After: 12" in text

    def test_there_is_an_example_while_new_keys_have_no_limits(self, said):
        Tier.objects.update(minute=None, day=None, concurrent=None)
        assert "X-RateLimit-Limit: 30" in said("docs_headers")
        Tier.objects.filter(slug="free").update(minute=1, day=2, concurrent=1)
        assert "X-RateLimit-Remaining: 0" in said("docs_headers")


class TestRefusals:
    def test_every_code_is_explained_and_no_other(self, read):
        assert set(WORDS) == set(CODES)
        assert set(CODES) <= set(read("docs_refusals").ids)

    def test_each_body_is_one_that_the_api_makes(self):
        for one in refusals.explained(limits.example_limits(), read_ladder(), 1_706_745_612):
            v1, short, problem = (json.loads(body.text.partition("\n\n")[2]) for body in one.bodies)
            assert v1["code"] == short["error"] == problem["code"] == one.code
            assert problem["status"] == CODES[one.code].status == int(one.status[:3])
            assert all(body.text.startswith(f"HTTP/1.1 {one.status}\n") for body in one.bodies)
            assert ("retry_after" in v1) == ("Retry-After: " in one.bodies[0].text) == one.ends_by_itself

    def test_an_example_has_the_fields_of_the_answer_in_earnest(self, client, valkey):
        examples = {
            one.code: json.loads(one.bodies[0].text.partition("\n\n")[2])
            for one in refusals.explained(limits.example_limits(), read_ladder(), 1_706_745_612)
        }
        Tier.objects.filter(slug="anonymous").update(minute=1)
        client.post("/api/v1/convert")
        for code, answer in {
            "rate_limited": client.post("/api/v1/convert"),
            "invalid_key": client.get("/api/v1/usage", headers={"X-Api-Key": "koala_nonsense"}),
            "not_found": client.get("/api/v1/jobs/nothing"),
        }.items():
            assert list(answer.json()) == list(examples[code])
            assert answer.json()["error"] == examples[code]["error"]


class TestJobs:
    def test_formats_are_those_of_the_api(self, client, said):
        text = said("docs_jobs")
        told = client.get("/api/v1/conversions").json()
        for one in told["inputs"]:
            assert f" {one['format']} yes {'yes' if one['format'] in told['outputs'] else 'no'} " in text
        assert text.count(" yes yes ") + text.count(" yes no ") >= len(told["inputs"])


class TestWebhooks:
    def test_the_event_that_is_shown_verifies(self):
        event = webhooks.event(timezone.now())
        assert Webhook(webhooks.SECRET).verify(event.sent, event.headers)["type"] == "job.completed"
        assert json.loads(event.body) == json.loads(event.sent)

    def test_it_has_the_fields_of_those_that_are_sent(self):
        owner = User.objects.create_user("olivia@example.com")
        job = Job.objects.create(owner=owner, input_bytes=1, status="done", ended_at=timezone.now())
        endpoint = WebhookEndpoint.objects.create(owner=owner, url="https://example.com/", url_digest="x")
        delivery = WebhookDelivery(owner=owner, endpoint=endpoint, job=job, event="job.completed")
        sent, shown = json.loads(body_of(delivery, job)), json.loads(webhooks.event(timezone.now()).sent)
        assert list(sent) == list(shown)
        assert list(sent["data"]) == list(shown["data"])

    def test_the_schedule_is_told(self, said):
        assert "after 5 seconds, 5 minutes, 30 minutes, 2 hours, 5 hours, 10 hours" in said("docs_webhooks")


class TestExamples:
    def test_they_are_shown_and_handed_out_as_they_are(self, client, read):
        words = read("docs_examples").words
        for example in example_files.EXAMPLES:
            assert example.text in words
            response = client.get(f"/docs/examples/{example.filename}")
            assert response.content == (example_files.FOLDER / example.filename).read_bytes()
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        for other in ("nothing.py", "receive.py", "..%2fviews.py"):
            assert client.get(f"/docs/examples/{other}").status_code == 404

    def test_addresses_are_this_servers(self, said, settings):
        settings.BASE_URL = "https://api.koala.example"
        assert "curl https://api.koala.example/api/v1/convert" in said("docs")
        assert "export KOALA_URL=https://api.koala.example" in said("docs_examples")
        assert '"explain_url": "https://api.koala.example/usage/?key=koala_' in said("docs_refusals")


def test_a_signed_in_customer_is_led_to_their_keys(client):
    owner = User.objects.create_user("olivia@example.com")
    api_keys.issue(owner, name="prod")
    client.force_login(owner)
    text = client.get("/docs/").content.decode()
    assert '<a href="/keys/new/">' in text
    assert "Create an account" not in text
