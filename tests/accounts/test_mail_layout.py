"""The HTML part of an email: the same words as its text, laid out, and nothing that isn't ours."""

import re
from xml.etree import ElementTree

import pytest

from accounts.mail.layout import html_of
from accounts.mail.message import wrapped
from accounts.templatetags.mail import quoted
from tests.mail_server import words_in

HOME = "https://panel.example.com"


@pytest.fixture(autouse=True)
def _base_url(settings):
    settings.BASE_URL = HOME


def body_of(text):
    """What the layout makes of it, without the styles."""
    html = html_of("A subject", text)
    ElementTree.fromstring(html)
    return re.sub(r' (style|class|width|align|valign|scope|cell\w+|border|role)="[^"]*"', "", html)


class TestWhatLinesMean:
    def test_each_is_a_paragraph_below_the_subject(self):
        html = body_of("Hello,\n\nall is well.\nIndeed.")
        assert "<h1>A subject</h1>" in html
        assert "<p>Hello,</p>" in html
        assert "<p>all is well.</p>" in html
        assert "<p>Indeed.</p>" in html

    @pytest.mark.parametrize(
        ("line", "opening"),
        [
            ("Why: it was late.", "Why:"),
            ("What to do: wait.", "What to do:"),
            ("Was it you? Fine.", "Was it you?"),
        ],
    )
    def test_what_it_is_about_stands_out(self, line, opening):
        assert f"<p><b>{opening}</b> {line.removeprefix(opening + ' ')}</p>" in body_of(line)

    def test_facts_are_a_table(self):
        html = body_of("Look:\n\n  Used: 800 of 1,000\n  Back: 2 March 2026, 00:00 UTC\n\nThat is all.")
        assert html.count("<tr><th>") == 2
        assert "<th>Used</th><td>800 of 1,000</td>" in html
        assert "<th>Back</th><td>2 March 2026, 00:00 UTC</td>" in html

    def test_the_first_address_on_a_line_of_its_own_is_the_button_and_others_are_links(self):
        html = html_of(
            "s", "Open it:\nhttps://panel.example.com/a/\n\nOr this:\n\nhttps://panel.example.com/b/?c=1&d=2"
        )
        assert re.search(r'<a class="button" href="https://panel.example.com/a/"[^>]*>Open it</a>', html)
        assert re.search(
            r'<a class="link" href="https://panel.example.com/b/\?c=1&amp;d=2"[^>]*>Or this</a>', html
        )
        assert html.count('class="button"') == 1

    def test_an_address_in_a_line_is_a_link_and_its_full_stop_is_none(self):
        html = body_of("Write to us (https://panel.example.com/contact/).")
        assert f'(<a href="{HOME}/contact/">{HOME}/contact/</a>).' in html

    def test_below_two_dashes_stands_why_it_came(self):
        html = body_of(
            "Hello\n\n--\nYou get this because.\nSwitch it off: https://panel.example.com/account/"
        )
        _, footer = html.split("<p>Hello</p>")
        assert "<p>You get this because.</p>" in footer
        assert '<a href="https://panel.example.com/account/">' in footer
        assert "--" not in words_in(html)
        assert "\n-- \n" in wrapped("Hello\n--\nYou")  # as mail programs know it


class TestWhatIsNotOurs:
    @pytest.mark.parametrize(
        "address",
        [
            "https://evil.example.com/",
            "https://panel.example.com.evil.example.com/",
            "https://panel.example.com@evil.example.com/",
            "http://panel.example.com/",
            "javascript:alert(1)",
        ],
    )
    def test_no_link_leads_elsewhere(self, address):
        html = html_of("s", f"Go there:\n{address}\n\nor to {address} at once\n\n--\n{address}")
        assert set(re.findall(r'href="([^"]*)"', html)) == {"https://panel.example.com/"}  # the name above
        assert html.count(address) == 3

    def test_nothing_is_markup_wherever_it_stands(self):
        evil = "<b>&\"'{{ x }}</b>"
        html = html_of(
            evil, f"{evil}\n  A: {evil}\n> {evil}\n{evil}:\nhttps://panel.example.com/{evil}\n--\n{evil}"
        )
        ElementTree.fromstring(html)
        assert "<b>" not in html

    def test_what_a_person_wrote_is_a_quotation_whatever_it_looks_like(self):
        wrote = "Hello\n\n--\n  Used: 0\nClick here:\nhttps://panel.example.com/accounts/logout/\n> before"
        html = body_of(f"They wrote:\n\n{quoted(wrote)}\n\n--\nThe end.")
        assert html.count("<blockquote>") == 1
        assert "<table>\n<tr><th" not in html
        assert html.count("href=") == 1
        words = words_in(html)
        for line in ("Used: 0", "Click here:", "> before"):
            assert line in words

    def test_a_long_quotation_is_one_in_the_text_as_well(self):
        lines = wrapped(quoted("word " * 60)).splitlines()
        assert len(lines) > 3
        assert all(line.startswith("> ") and len(line) <= 76 for line in lines)
