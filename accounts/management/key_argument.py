"""A key on a command line: its whole text, or the visible start of it."""

from argparse import ArgumentParser

from django.core.management.base import CommandError

from accounts import api_keys
from accounts.models import ApiKey


def add_key_argument(parser: ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY_OR_START", help="the key's text, or its visible start")


def find_key(text: str) -> ApiKey:
    """The key that was meant, with its tier and owner; raises `CommandError` if none or several are."""
    if api_keys.is_well_formed(text):
        matches = [key for key in [api_keys.find(text)] if key is not None]
    else:
        matches = list(ApiKey.objects.started_with(text).select_related("tier", "owner"))
    if not matches:
        raise CommandError("No such key. Give its whole text, or its start as the pages show it (koala_…).")
    if len(matches) > 1:
        raise CommandError(f"{len(matches)} keys start like this. Give the key's whole text.")
    return matches[0]
