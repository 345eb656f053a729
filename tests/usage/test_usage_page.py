"""The usage page as the server writes it, before any script."""

from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.keys import actions
from accounts.models import ApiKey, User
from tests.usage.escalation.customer import DAY, HOUR, MINUTE, Customer
from usage.books.booking import book_closed_minutes
from usage.escalation import reactivation
from usage.escalation.following import follow_changes
from usage.guard.local_hits import local_hits
from usage.limits.store import limit_store
from usage.models import BookedUntil, EscalationEvent, EscalationStep, RateHit
from usage.subjects import bucket_of

pytestmark = pytest.mark.django_db(transaction=True)

CONVERT = "/api/v1/convert"


@pytest.fixture(autouse=True)
def _clock(driven_clock):
    return driven_clock


@pytest.fixture
def call(client):
    """Makes `times` real requests to the API with a key."""

    def make(text, times=1):
        return [client.post(CONVERT, headers={"X-Api-Key": text}).status_code for _ in range(times)]

    return make


@pytest.fixture
def customer(issue, driven_clock):
    """Someone with a key for 10 requests a minute."""
    key, text = issue(minute_override=10, day_override=100_000)
    one = Customer(text, driven_clock)
    one.key = key
    return one


@pytest.fixture
def staff(db):
    return User.objects.create_user("sam@example.com", is_staff=True)


class Words(HTMLParser):
    """A page's text as it is read, with one space between words; what scripts and styles say is left out."""

    def __init__(self):
        super().__init__()
        self.words = []
        self.silent = False

    def handle_starttag(self, tag, attrs):
        self.silent = tag in ("script", "style")

    def handle_endtag(self, tag):
        self.silent = False

    def handle_data(self, data):
        if not self.silent:
            self.words += data.split()


def read(response):
    assert response.status_code == 200
    words = Words()
    words.feed(response.content.decode())
    return " ".join(words.words)


def test_the_numbers_are_in_the_page_before_any_script(signed_in, issue, call, driven_clock):
    _, text = issue(day_override=12_345)
    driven_clock.set("2026-03-01T12:00:30")
    assert call(text, 33).count(429) == 3
    page = read(signed_in.get("/"))
    assert "Requests today 30 of 12,345 12,315 left resets Mon 00:00 UTC in 11 h 59 min" in page
    assert "This minute Used up 30 of 30 0 left resets 12:01 UTC in 30 s" in page
    assert "In flight now 0 of 5 5 left" in page
    assert "Rate-limit hits Requests that were refused in the last 24 hours 3" in page
    assert "12:00 UTC convert Minute limit 3" in page
    assert "Limit reached: this minute's requests are used up. until 12:01 UTC in 30 s" in page


def test_an_unused_key_is_all_clear(signed_in, issue):
    issue()
    page = read(signed_in.get("/"))
    assert "All clear. Every limit of this key has room." in page
    assert "No request was refused" in page
    assert "Clear you are here" in page


def test_from_80_per_cent_it_warns_in_words(signed_in, issue, call):
    _, text = issue(minute_override=10)
    call(text, 7)
    assert "Almost used up" not in read(signed_in.get("/"))
    call(text)
    page = read(signed_in.get("/"))
    assert "This minute Almost used up 8 of 10" in page
    assert "Warned: this minute's requests are almost used up." in page


def test_it_says_where_each_limit_comes_from(signed_in, issue):
    issue(minute_override=7)
    page = read(signed_in.get("/"))
    assert "1,000 requests per UTC day: Free tier." in page
    assert "7 requests per minute: this key's override; the Free tier has 30." in page


def test_no_limit_is_said_in_words(signed_in, issue):
    key, _ = issue()
    key.tier.day = None
    key.tier.save()
    page = read(signed_in.get("/"))
    assert "Requests today 0 no limit" in page
    assert "No limit requests per UTC day: Free tier." in page


def test_without_a_key_it_says_how_keys_come_about(signed_in):
    page = read(signed_in.get("/"))
    assert "You have no API key yet" in page
    assert "Create your first key" in page


def test_the_newest_working_key_is_shown_and_the_others_can_be_chosen(signed_in, issue):
    old, _ = issue()
    issue(status=ApiKey.Status.REVOKED)
    response = signed_in.get("/")
    assert response.context["key"] == old
    response = signed_in.get("/", {"key": old.start})
    assert response.context["key"] == old
    assert all(f"?key={key.start}" in response.content.decode() for key in ApiKey.objects.all())


@pytest.mark.parametrize("name", ["usage", "usage_live"])
def test_an_old_mails_link_finds_the_key_that_was_rotated_since(signed_in, issue, owner, name):
    key, _ = issue()
    rotated, _ = actions.rotate(key, by=owner, revision=None, overlap=timedelta(0))
    issue()
    for start in (key.start, rotated.start):
        assert signed_in.get(reverse(name), {"key": start}).context["key"] == key
    stranger = User.objects.create_user("mallory@example.com")
    signed_in.force_login(stranger)
    assert signed_in.get(reverse(name), {"key": key.start}).status_code == 404


@pytest.mark.parametrize("start", ["", "koala_\0", "koala_" + "a" * 10_000, "\ud800", "%"])
def test_a_start_that_is_none_is_not_found(signed_in, issue, start):
    issue()
    address = reverse("usage") + "?key=" + quote(start, errors="surrogatepass")
    assert signed_in.get(address).status_code == 404


@pytest.mark.parametrize("name", ["usage", "usage_live"])
def test_it_never_shows_another_accounts_key(signed_in, issue, name):
    issue()
    theirs, _ = issue(owner=User.objects.create_user("mallory@example.com"))
    assert signed_in.get(reverse(name), {"key": theirs.start}).status_code == 404
    assert signed_in.get(reverse(name), {"key": "koala_nobody"}).status_code == 404


def test_whoever_is_not_signed_in_is_sent_to_the_sign_in(client):
    response = client.get("/?key=koala_abc")
    assert response.status_code == 302
    assert response.headers["Location"] == "/accounts/login/?next=/%3Fkey%3Dkoala_abc"


def test_a_page_left_open_after_signing_out_is_told_to_start_anew(client):
    response = client.get(reverse("usage_live"))
    assert response.headers["HX-Refresh"] == "true"
    assert response.content == b""


def test_the_old_address_leads_to_the_page(signed_in):
    assert signed_in.get("/usage/?key=koala_abc").headers["Location"] == "/?key=koala_abc"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"status": ApiKey.Status.SUSPENDED},
            "Key prod is suspended. It is refused. To have it reactivated, say what",
        ),
        ({"status": ApiKey.Status.REVOKED}, "Key prod is revoked. It is refused for good: give"),
        (
            {"expires_at": timezone.now() - timedelta(days=1)},
            "Key prod has expired. It is past its date, and refused:",
        ),
    ],
)
def test_a_key_that_is_refused_still_has_its_page(signed_in, issue, fields, words):
    issue(**fields)
    assert words in read(signed_in.get("/"))


def test_without_the_limit_store_the_page_says_so_and_guesses_nothing(signed_in, issue, lose_the_store):
    issue()
    lose_the_store()
    page = read(signed_in.get("/"))
    assert "The limit store can't be reached." in page
    assert "Unknown: the counters can't be read right now." in page
    assert "All clear" not in page
    assert "you are here" not in page
    assert "No request was refused" not in page


def test_what_an_account_calls_its_key_is_text_and_nothing_else(signed_in, issue):
    key, _ = issue()
    ApiKey.objects.filter(pk=key.pk).update(name="<script>alert(1)</script>", status=ApiKey.Status.REVOKED)
    response = signed_in.get("/")
    assert "<script>alert(1)" not in response.content.decode()
    assert "Key <script>alert(1)</script> is revoked." in read(response)


def test_a_warned_key_is_told_what_it_did_and_what_comes_next(signed_in, customer):
    customer.hammers_for_a_minute()
    page = read(signed_in.get("/"))
    assert "Warned: requests over a limit were refused lately. until 12:11 UTC in 10 min" in page
    assert "Standard you are here Requests over a limit are refused" in page
    assert "Why 10 requests were refused in one minute, over the minute's limit. 12:00 UTC" in page
    assert "Strikes 1 of 3 If nothing is refused before, one is forgiven 12:10 UTC in 9 min" in page
    assert "What comes next 2 more strikes lead to an Extended cooldown of 5 minutes." in page
    assert "When it eases If no limit refuses anything before, it drops to Clear 12:11 UTC in 10 min" in page
    assert "refuses at least 5 requests of this key" in page


def test_a_minute_that_will_be_the_last_strike_is_announced(signed_in, customer):
    for _ in range(2):
        customer.hammers_for_a_minute()
    customer.asks(20)
    page = read(signed_in.get("/"))
    assert "Strikes 3 of 3" in page
    assert "Once this minute is over, the next request leads to an Extended cooldown of 5 minutes." in page
    customer.clock.advance(MINUTE)
    assert "The next request leads to an Extended cooldown" in read(signed_in.get("/"))


def test_a_cooldown_says_until_when_why_and_what_comes_next(signed_in, customer):
    customer.climbs_to(2)
    follow_changes(limit_store())
    page = read(signed_in.get("/"))
    assert (
        "Key prod is cooling down until 12:08 UTC in 5 min . "
        "Requests that count are refused. Job polling and downloads still work."
    ) in page
    assert "Extended cooldown you are here Charged requests are refused for 5 minutes." in page
    assert "Why 20 requests in one minute, limit 10; third strike. 12:02 UTC" in page
    assert "Strikes 0 of 2 What comes next Requests are served again 12:08 UTC in 5 min" in page
    assert "2 strikes lead to a Temporary block of 1 hour." in page
    assert "it drops to Clear Mon 12:08 UTC in 1 d" in page
    assert "Cooldown of 5 minutes 20 requests in one minute, limit 10; third strike. 12:03 UTC" in page
    assert "12:03 UTC convert Cooldown 1" in page
    assert "24 hours, 1 of them by the ladder 31" in page


def test_before_sql_has_heard_of_a_block_the_page_says_what_the_store_does(signed_in, customer):
    customer.climbs_to(2)
    page = read(signed_in.get("/"))
    assert "Key prod is cooling down until" in page
    assert "Extended cooldown you are here" in page
    assert "Why 20 requests" not in page
    assert "This key was never blocked" in page


def test_an_older_block_is_not_taken_for_the_reason_of_a_new_one(signed_in, customer):
    customer.climbs_to(3)
    follow_changes(limit_store())
    customer.clock.advance(HOUR + DAY)
    for _ in range(2):
        customer.hammers_for_a_minute(times=15)
    customer.asks()
    page = read(signed_in.get("/"))
    assert "Key prod is blocked until" in page
    assert "Why 20 requests" not in page
    follow_changes(limit_store())
    assert "Why 15 requests in one minute, limit 10; second strike." in read(signed_in.get("/"))


def test_after_a_block_the_tier_stays_and_the_page_says_for_how_long(signed_in, customer):
    customer.climbs_to(3)
    follow_changes(limit_store())
    customer.clock.advance(HOUR)
    page = read(signed_in.get("/"))
    assert "Warned: the block is over, but its tier is remembered for a while. it drops by one Mon" in page
    assert "Temporary block you are here Requests are served within the limits; only the tier" in page
    assert "Strikes 0 of 2 Grace: nothing strikes until 13:12 UTC in 1 min" in page
    assert "What comes next 2 strikes lead to a Day block of 24 hours." in page
    assert "it drops to Extended cooldown Mon 13:11 UTC in 1 d" in page


def test_clean_time_lowers_the_tier_and_the_history_says_so(signed_in, customer):
    customer.climbs_to(3)
    customer.clock.advance(HOUR + DAY)
    page = read(signed_in.get("/"))
    assert "Extended cooldown you are here" in page
    customer.asks()
    follow_changes(limit_store())
    page = read(signed_in.get("/"))
    assert "Dropped to Extended cooldown After 24 clean hours." in page
    assert page.index("Dropped to Extended cooldown") < page.index("Blocked for 1 hour")
    customer.clock.advance(DAY)
    customer.asks()
    follow_changes(limit_store())
    page = read(signed_in.get("/"))
    assert "All clear." in page
    assert "Dropped to Clear After 24 clean hours." in page


def test_a_key_suspended_by_the_ladder_is_told_how_it_came_and_what_to_do(signed_in, customer):
    customer.climbs_to(5)
    follow_changes(limit_store())
    customer.asks(4)
    local_hits().flush()
    page = read(signed_in.get("/"))
    assert "Key prod is suspended. It climbed the whole ladder and is refused. To have it reactivated" in page
    assert "Suspension you are here" in page
    assert "What comes next Nothing by itself: this is the last step." in page
    assert "When it eases When a person reactivates the key: ask for that, and say what you have" in page
    for words in ("Suspended by the ladder", "Blocked for 24 hours", "Blocked for 1 hour", "Cooldown of 5"):
        assert words in page


def test_a_key_suspended_by_staff_is_told_their_reason_and_not_their_address(signed_in, customer, staff):
    reactivation.suspend(customer.key, by=staff, reason="Published in a <public> repository.")
    page = read(signed_in.get("/"))
    assert (
        "Key prod is suspended by staff. “Published in a <public> repository.” To have it reactivated" in page
    )
    assert "Why Suspended by staff: Published in a <public> repository. " in page
    assert "Suspension you are here" in page
    assert "sam@example.com" not in signed_in.get("/").content.decode()


def test_on_probation_the_tier_is_remembered(signed_in, customer, staff):
    customer.climbs_to(5)
    reactivation.reactivate(customer.key, by=staff, reason="Backs off now.")
    page = read(signed_in.get("/"))
    assert "On probation: staff reactivated this key, and its tier is remembered for a while." in page
    assert "Temporary block you are here" in page
    assert "Why Reactivated by staff: Backs off now." in page
    assert "Grace: nothing strikes until" in page
    assert "Reactivated on probation, tier 3 remembered Backs off now." in page
    assert "sam@example.com" not in signed_in.get("/").content.decode()


def test_reactivated_clean_it_is_all_clear_and_the_history_remembers(signed_in, customer, staff):
    customer.climbs_to(5)
    reactivation.reactivate(customer.key, by=staff, reason="Our mistake.", clean=True)
    page = read(signed_in.get("/"))
    assert "All clear." in page
    assert "Clear you are here" in page
    assert "Reactivated with a clean slate Our mistake." in page


@pytest.mark.parametrize("tier", [4, 5])
def test_without_the_limit_store_what_sql_knows_is_still_said(
    signed_in, customer, lose_the_store, driven_clock, tier
):
    driven_clock.microseconds = int(
        (timezone.now() - timedelta(hours=1.2 if tier == 4 else 26)).timestamp() * 1e6
    )
    customer.climbs_to(tier)
    follow_changes(limit_store())
    lose_the_store()
    page = read(signed_in.get("/"))
    assert "How much is used is not known until it is back; where this key stands is what was last" in page
    if tier == 4:
        assert "Key prod is blocked until" in page
        assert "Requests that count are refused. Job polling and downloads still work." in page
        assert "Day block you are here" in page
    else:
        assert "Key prod is suspended. It climbed the whole ladder" in page
        assert "Suspension you are here" in page
    assert "Strikes 0" not in page


def test_a_hit_tells_whose_it_was_once_it_is_booked(signed_in, customer, driven_clock):
    customer.headers["User-Agent"] = "impatient/1.0"
    customer.hammers_for_a_minute()
    local_hits().flush()
    driven_clock.advance(MINUTE)
    book_closed_minutes(limit_store())
    assert "12:00 UTC convert 127.0.0.1 impatient/1.0 Minute limit 10" in read(signed_in.get("/"))


def test_the_ladder_is_told_in_the_numbers_that_staff_gave_it(signed_in, customer):
    step = EscalationStep.objects.get(number=2)
    step.name, step.strikes, step.block_seconds = "Pause", 1, 90
    step.save()
    page = read(signed_in.get("/"))
    assert "Pause Charged requests are refused for 90 seconds." in page
    assert "What comes next 1 strike leads to a Pause of 90 seconds." in page


def test_a_revoked_key_keeps_its_history(signed_in, customer):
    customer.climbs_to(3)
    follow_changes(limit_store())
    ApiKey.objects.filter(pk=customer.key.pk).update(status=ApiKey.Status.REVOKED)
    page = read(signed_in.get("/"))
    assert "Key prod is revoked." in page
    assert "Blocked for 1 hour" in page


def test_more_keys_hits_and_history_cost_no_more_queries(
    signed_in, issue, built, driven_clock, django_assert_max_num_queries
):
    for _ in range(5):
        key, _ = issue()
    at = timezone.now()
    signed_in.get("/")  # the session's first page is written down
    with django_assert_max_num_queries(11):
        signed_in.get("/")
    subject = f"k:{key.pk}"
    BookedUntil.objects.create(bucket=bucket_of(subject), minute=driven_clock.seconds // 60 - 1)
    RateHit.objects.bulk_create(
        RateHit(
            subject=subject,
            minute=driven_clock.at - timedelta(minutes=n),
            kind="day",
            route="convert",
            count=2,
        )
        for n in range(1, 200)
    )
    EscalationEvent.objects.bulk_create(
        EscalationEvent(event_id=n, subject=subject, key=key, at=at, cause="decay", before=3, after=2)
        for n in range(100)
    )
    with django_assert_max_num_queries(11):
        page = read(signed_in.get("/"))
    assert "24 hours 398" in page
    assert page.count("Dropped to") == 20
    assert "The newest 20 are listed." in page
    assert "The newest 50 are listed here." in page
