"""The filter of the audit page, as it stands in the address."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator

from accounts.audit_log import choices
from accounts.audit_log.filtering import Asked, Thing
from accounts.audit_log.words import kind_of

LONGEST_SEARCH = 100
# The day after it still has a date.
LAST_DAY = date(9998, 12, 31)


class AuditForm(forms.Form):
    """Every field may be empty. A value that isn't among those to choose from stays: links have such."""

    q = forms.CharField(
        label="Search", required=False, max_length=LONGEST_SEARCH, widget=forms.TextInput({"type": "search"})
    )
    who = forms.CharField(label="Who", required=False, max_length=254)
    action = forms.CharField(label="Did what", required=False, max_length=40)
    kind = forms.CharField(label="To what", required=False, max_length=40)
    since = forms.DateField(label="From", required=False, validators=[MaxValueValidator(LAST_DAY)])
    until = forms.DateField(label="Until", required=False, validators=[MaxValueValidator(LAST_DAY)])
    about = forms.CharField(required=False, max_length=120, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        actions = [(action, action) for action in choices.actions()]
        kinds = sorted(((kind, kind_of(kind)) for kind in choices.kinds()), key=lambda kind: kind[1])
        self._offer("who", "Anybody", choices.people())
        self._offer("action", "Anything", actions)
        self._offer("kind", "Anything", kinds)
        for name in ("since", "until"):
            self.fields[name].widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")

    def _offer(self, name: str, whatever: str, offered: Sequence[tuple[str, str]]) -> None:
        asked = self.data.get(name, "")
        others = [] if not asked or asked in dict(offered) else [(asked, asked)]
        self.fields[name].widget = forms.Select(choices=[("", whatever), *offered, *others])

    def asked(self) -> Asked:
        """What is asked for; call only if it is valid."""
        given = self.cleaned_data
        kind, _, key = given["about"].partition(":")
        return Asked(
            about=Thing(kind, key) if given["about"] else None,
            who=given["who"],
            action=given["action"],
            kind=given["kind"],
            text=given["q"],
            since=_start_of(given["since"]),
            until=_start_of(given["until"] and given["until"] + timedelta(days=1)),
        )

    @property
    def narrows(self) -> bool:
        """Whether anything is asked for."""
        return any(self.data.get(name) for name in self.fields)


def _start_of(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)
