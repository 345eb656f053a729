"""What a key may be called."""

import unicodedata

from django.core.exceptions import ValidationError

from accounts.models import ApiKey

LONGEST = ApiKey._meta.get_field("name").max_length or 0

# Unicode's categories of what breaks a line, or can't be stored or mailed: control characters (NUL is one),
# lone surrogates, line and paragraph separators.
_UNFIT = {"Cc", "Cs", "Zl", "Zp"}


def clean_name(text: str) -> str:
    """The name, trimmed. Raises `ValidationError` for one that is empty, too long or can't be written."""
    name = text.strip()
    if len(name) > LONGEST:
        raise ValidationError(f"A name has at most {LONGEST} characters; this one has {len(name):,}.")
    categories = {unicodedata.category(character) for character in name}
    if categories & _UNFIT:
        raise ValidationError("A name is one line of text, without control characters.")
    if all(category[0] in "CZ" for category in categories):
        raise ValidationError("Give the key a name.")
    return name
