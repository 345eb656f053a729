"""The text of keys: told from garbage offline, stored only as a digest, found under every pepper."""

import secrets
import zlib

import pytest

from accounts import api_keys
from accounts.models import ApiKey, KeySecret, User


def test_a_new_text_is_a_prefix_32_random_characters_and_6_of_checksum():
    text = api_keys.new_text()
    assert text.startswith("koala_")
    assert len(text) == 6 + 32 + 6
    assert text[6:].isalnum()
    assert api_keys.is_well_formed(text)


def test_the_checksum_is_the_crc_of_all_before_it_in_base62():
    text = api_keys.new_text()
    number = 0
    for character in text[-6:]:
        number = number * 62 + api_keys.ALPHABET.index(character)
    assert number == zlib.crc32(text[:-6].encode())


def test_one_wrong_character_anywhere_is_noticed():
    text = api_keys.new_text()
    for place in range(len(text)):
        for other in "0aZ":
            if other != text[place]:
                assert not api_keys.is_well_formed(text[:place] + other + text[place + 1 :])


@pytest.mark.parametrize("garbage", ["", "koala_", "koala_é", "x" * 100_000, "koala_" + "a" * 38 + "\n"])
def test_garbage_is_not_well_formed(garbage):
    assert not api_keys.is_well_formed(garbage)


@pytest.mark.django_db
class TestStoredKeys:
    @pytest.fixture
    def owner(self):
        return User.objects.create_user("olivia@example.com")

    def test_a_key_is_found_by_its_text_in_one_query(self, owner, django_assert_num_queries):
        key, text = api_keys.issue(owner, name="prod")
        with django_assert_num_queries(1):
            found = api_keys.find(text)
            assert (found, found.tier.slug, found.owner.email) == (key, "free", owner.email)

    def test_garbage_asks_no_database(self, django_assert_num_queries):
        with django_assert_num_queries(0):
            assert api_keys.find("koala_" + "a" * 38) is None

    def test_only_a_digest_and_the_visible_ends_are_stored(self, owner):
        key, text = api_keys.issue(owner, name="prod")
        stored = {**ApiKey.objects.values().get(), **KeySecret.objects.values().get()}
        assert all(text not in str(value) for value in stored.values())
        assert (key.start, key.end) == (text[:12], text[-4:])
        assert len(stored["digest"]) == 64

    def test_a_key_of_an_older_pepper_is_still_found(self, owner, settings):
        old = {1: secrets.token_bytes(32)}
        settings.KEY_PEPPERS = old
        key, text = api_keys.issue(owner, name="prod")
        settings.KEY_PEPPERS = {**old, 2: secrets.token_bytes(32)}
        assert api_keys.find(text) == key
        assert api_keys.issue(owner, name="new")[0].secrets.get().pepper_version == 2

    def test_without_its_pepper_a_key_is_unknown(self, owner, settings):
        _, text = api_keys.issue(owner, name="prod")
        settings.KEY_PEPPERS = {1: secrets.token_bytes(32)}
        assert api_keys.find(text) is None
