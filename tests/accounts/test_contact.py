"""The contact form: open to everybody, stored once, mailed to staff, and nothing that was typed is lost."""

import re
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import expect

from accounts.mail.letters import content_of
from accounts.mail.sending import send_what_is_due
from accounts.models import ContactMessage, EndpointLimit, Letter, User
from accounts.templatetags.mail import quoted
from tests.admin_pages import change_page
from tests.browser import PHONE, assert_no_barriers, well_behaved
from tests.mail_server import html_of, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]  # posts are counted in the cache

PASSWORD = "eucalyptus leaf nine"
FIELDS = {
    "email": "ada@example.com",
    "subject": "Reactivation of koala_3fK9",
    "text": "We wait for Retry-After now.\n\nPlease reactivate it. — Ada",
}


@pytest.fixture
def staff():
    return User.objects.create_superuser("grace@example.com", PASSWORD)


@pytest.fixture
def ada():
    return User.objects.create_user("ada@example.com", PASSWORD)


def send(client, **changes):
    return client.post("/contact/", {**FIELDS, "form_id": str(uuid4()), **changes})


def sole_letter():
    letter = Letter.objects.get()
    return letter, content_of(letter)


def errors_of(response):
    return {name: list(errors) for name, errors in response.context["form"].errors.items()}


class TestSending:
    def test_it_is_stored_and_who_wrote_it_is_told_what_happens_next(self, client, staff):
        response = send(client)
        assert (response.status_code, response.headers["Location"]) == (302, "/contact/sent/")
        assert "A person reads it" in client.get("/contact/sent/").content.decode()
        message = ContactMessage.objects.get()
        assert {name: getattr(message, name) for name in FIELDS} == FIELDS
        assert (message.sender, message.is_spam, message.answered_at) == (None, False, None)

    def test_staff_get_it_by_mail_and_answer_by_a_reply(self, client, staff, mail_server):
        send(client)
        assert send_what_is_due() == 1
        (email,) = mail_server.received
        assert (email["To"], email["Reply-To"]) == ("grace@example.com", "ada@example.com")
        assert email["Subject"] == "Contact: Reactivation of koala_3fK9"
        text = text_of(email)
        assert f"\n{quoted(FIELDS['text'])}\n" in text
        assert "signed in to no account" in text
        message = ContactMessage.objects.get()
        assert f"https://panel.example.com{change_page(message)}" in html_of(email)

    def test_what_was_written_arrives_as_it_was_written(self, client, staff):
        send(client, text="<b>Tom & 'Jerry'</b>\r\n{{ secret }}")
        _, content = sole_letter()
        assert "\n> <b>Tom & 'Jerry'</b>\n> {{ secret }}\n" in content.text

    def test_the_account_that_was_signed_in_is_told_apart_from_the_address_that_was_typed(
        self, client, staff, ada
    ):
        client.force_login(ada)
        send(client, email="eve@example.com")
        assert ContactMessage.objects.get().sender == ada
        _, content = sole_letter()
        assert "eve@example.com wrote by the contact form, signed in as ada@example.com." in content.text
        assert "not the address of the account" in content.text

    def test_every_active_superuser_gets_it(self, client, staff, ada):
        User.objects.create_superuser("hopper@example.com")
        User.objects.create_superuser("gone@example.com", is_active=False)
        User.objects.create_user("support@example.com", is_staff=True)
        send(client)
        assert set(Letter.objects.values_list("recipient", flat=True)) == {
            "grace@example.com",
            "hopper@example.com",
        }

    def test_or_else_the_one_address_that_is_set(self, client, staff, settings):
        settings.CONTACT_EMAIL = "help@example.com"
        send(client)
        assert sole_letter()[0].recipient == "help@example.com"

    def test_it_is_kept_while_there_is_nobody_to_mail_it_to(self, client, caplog):
        assert send(client).status_code == 302
        assert ContactMessage.objects.count() == 1
        assert "mailed to nobody" in caplog.text

    def test_in_the_database_its_letter_is_sealed(self, client, staff):
        send(client)
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM accounts_letter")
            assert "Retry-After" not in repr(cursor.fetchall())


class TestSendingTwice:
    def test_a_form_that_is_posted_twice_is_one_message(self, client, staff):
        form_id = str(uuid4())
        for _ in range(2):
            assert send(client, form_id=form_id).headers["Location"] == "/contact/sent/"
        assert ContactMessage.objects.get().form_id == UUID(form_id)
        assert Letter.objects.count() == 1

    @pytest.mark.parametrize("field", ["email", "subject", "text"])
    def test_a_form_that_was_edited_in_between_is_another_message(self, client, staff, field):
        form_id = str(uuid4())
        send(client, form_id=form_id)
        send(client, form_id=form_id, **{field: "another@example.com"})
        assert ContactMessage.objects.count() == Letter.objects.count() == 2

    @pytest.mark.parametrize("form_id", ["", "nonsense", "\x00", "9" * 10_000])
    def test_a_form_without_a_mark_of_ours_is_sent_all_the_same(self, client, staff, form_id):
        assert send(client, form_id=form_id).status_code == 302
        assert ContactMessage.objects.count() == 1

    def test_each_page_has_a_mark_of_its_own(self, client):
        marks = [client.get("/contact/").context["form"]["form_id"].value() for _ in range(2)]
        assert marks[0] != marks[1]


class TestMachines:
    def test_who_fills_in_what_people_dont_see_gets_the_same_answer_and_no_reader(self, client, staff):
        response = send(client, homepage="https://spam.example.com")
        assert (response.status_code, response.headers["Location"]) == (302, "/contact/sent/")
        assert ContactMessage.objects.get().is_spam
        assert not Letter.objects.exists()

    def test_a_post_from_another_site_is_refused(self):
        assert send(Client(enforce_csrf_checks=True)).status_code == 403
        assert not ContactMessage.objects.exists()

    def test_one_more_than_the_limit_is_refused_and_looking_is_free(self, client, staff):
        allowed = EndpointLimit.objects.get(name="contact").requests
        for _ in range(allowed + 2):
            assert client.get("/contact/").status_code == 200
        assert [send(client).status_code for _ in range(allowed + 1)] == [302] * allowed + [429]
        assert ContactMessage.objects.count() == allowed


class TestBadInput:
    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("email", "", "We need an address to answer to."),
            ("email", "ada", "This is no email address. One looks like name@example.com."),
            ("email", "ada@example.com\r\nBcc: eve@example.com", "This is no email address."),
            ("email", "a" * 250 + "@example.com", "An email address has at most 254 characters"),
            ("email", "a\x00@example.com", "This is no email address."),
            ("subject", "", "Say in a few words what it is about."),
            ("subject", "  \n ", "Say in a few words what it is about."),
            ("subject", "s" * 10_000, "At most 150 characters fit here; these are 10000."),
            ("subject", "Hi\r\nBcc: eve@example.com", "The subject is one line: take out the line breaks."),
            ("subject", "Hi\nBcc: eve@example.com", "The subject is one line: take out the line breaks."),
            ("subject", "Hi\u2028there", "The subject is one line: take out the line breaks."),
            ("subject", "Hi\x00", "Null characters are not allowed."),
            ("text", "", "The message is empty."),
            ("text", " \r\n ", "The message is empty."),
            ("text", "t" * 5_001, "At most 5,000 characters fit here; these are 5001."),
            ("text", "Hi\x00", "Null characters are not allowed."),
        ],
    )
    def test_it_is_said_at_the_field_and_nothing_typed_is_lost(self, client, staff, field, value, error):
        response = send(client, **{field: value})
        assert response.status_code == 422
        ((name, (said, *_)),) = errors_of(response).items()
        assert name == field
        assert said.startswith(error)
        form, html = response.context["form"], response.content.decode()
        for typed, text in {**FIELDS, field: value}.items():
            assert form[typed].value() == text
        assert "Nothing was sent yet." in html
        assert re.search(rf'<(input|textarea)[^>]*name="{field}"[^>]*aria-invalid="true"', html)
        assert not ContactMessage.objects.exists()
        assert not Letter.objects.exists()

    def test_all_errors_are_said_at_once(self, client):
        response = client.post("/contact/", {})
        assert set(errors_of(response)) == {"email", "subject", "text"}

    def test_a_form_that_was_sent_back_keeps_its_mark(self, client):
        form_id = str(uuid4())
        response = send(client, subject="", form_id=form_id)
        assert form_id in response.content.decode()

    def test_line_ends_count_as_one_character_as_people_see_them(self, client, staff):
        assert send(client, text="a\r\n" * 2_500).status_code == 302
        assert ContactMessage.objects.get().text == "\n".join("a" * 2_500)

    def test_the_longest_that_is_allowed_arrives(self, client, staff, mail_server):
        send(client, subject="s" * 150, text="t" * 5_000)
        assert send_what_is_due() == 1
        assert "t" * 5_000 in text_of(mail_server.received[0])


class TestThePage:
    def test_a_customer_finds_their_address_filled_in(self, client, ada):
        assert client.get("/contact/").context["form"]["email"].value() == ""
        client.force_login(ada)
        assert client.get("/contact/").context["form"]["email"].value() == "ada@example.com"

    def test_it_says_how_to_ask_for_reactivation(self, client):
        html = client.get("/contact/").content.decode()
        assert "Is your key suspended?" in html
        assert "what you have changed" in html

    def test_no_cache_keeps_it(self, client):
        assert "no-store" in client.get("/contact/").headers["Cache-Control"]

    def test_it_can_only_be_looked_at_and_posted(self, client):
        assert client.put("/contact/").status_code == 405
        assert client.post("/contact/sent/").status_code == 405


@pytest.mark.browser
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_a_person_writes_to_us_without_scripts(browser, live_server, staff):
    context = browser.new_context(java_script_enabled=False, viewport=PHONE)
    page = context.new_page()
    page.goto(f"{live_server.url}/contact/")
    page.get_by_label("Your email address").fill("ada@example.com")
    page.get_by_label("Subject").fill("A question")
    page.get_by_label("Message").fill("How are you?\nFine?")
    page.get_by_role("button", name="Send the message").click()
    expect(page.get_by_role("heading", name="We have your message")).to_be_visible()
    context.close()
    message = ContactMessage.objects.get()
    assert (message.text, message.is_spam) == ("How are you?\nFine?", False)


@pytest.mark.browser
@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_its_pages_stand_in_nobodys_way(page, live_server):
    def sent_in_vain():
        page.goto(f"{live_server.url}/contact/")
        page.locator("form").evaluate("form => form.noValidate = true")
        page.get_by_label("Message").fill("long" * 2_000)
        page.get_by_role("button", name="Send the message").click()

    page.goto(f"{live_server.url}/contact/")
    assert_no_barriers(page)
    sent_in_vain()
    assert_no_barriers(page)
    page.goto(f"{live_server.url}/contact/sent/")
    assert_no_barriers(page)
    with well_behaved(page, live_server.url):
        page.goto(f"{live_server.url}/contact/")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.get_by_label("Message").focus()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Send the message")).to_be_focused()
