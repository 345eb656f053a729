"""The forms about keys. What they refuse is refused beside the field, before an action is tried."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator
from django.utils import timezone

from accounts.keys import allow_list
from accounts.keys.actions import DEFAULT_OVERLAP, LATEST_EXPIRY, OVERLAPS
from accounts.keys.names import clean_name

NEVER, AT = "never", "at"
DAYS = {"30": "30 days", "90": "90 days", "365": "1 year"}

_HOUR = timedelta(hours=1)
_OVERLAP_WORDS = {
    timedelta(0): "Stop it at once",
    timedelta(hours=1): "1 hour",
    timedelta(hours=24): "24 hours",
    timedelta(days=7): "7 days",
}


def _radios(choices: list[tuple[str, str]], **kwargs: Any) -> forms.ChoiceField:
    return forms.ChoiceField(
        choices=choices, widget=forms.RadioSelect(attrs={"class": "form-check-input"}), **kwargs
    )


class NameForm(forms.Form):
    # Its length is not the browser's business: it would cut what is pasted, and say nothing.
    name = forms.CharField(
        help_text="What uses it: “website”, “nightly import”. Only you and staff see this.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"required": "Give the key a name."},
        strip=False,
    )

    def clean_name(self) -> str:
        return clean_name(self.cleaned_data["name"])


class ExpiryForm(forms.Form):
    """Gives `expires_at`: a time that lies ahead, or `None` for never.

    `now_ends` is when the key ends as yet: leaving it as it is changes nothing, not even its seconds.
    """

    ends = _radios(
        [
            (NEVER, "Never"),
            *((days, f"In {words}") for days, words in DAYS.items()),
            (AT, "At a time of mine"),
        ],
        label="When it ends",
        initial=NEVER,
    )
    at = forms.DateTimeField(
        label="Date and time, in UTC",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def __init__(self, *args: Any, now_ends: datetime | None = None, **kwargs: Any) -> None:
        if now_ends is not None:
            kwargs.setdefault("initial", {"ends": AT, "at": now_ends})
        super().__init__(*args, **kwargs)
        self._now_ends = now_ends

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "ends" in cleaned and "at" in cleaned:
            try:
                cleaned["expires_at"] = self._expires_at(cleaned["ends"], cleaned["at"])
            except ValidationError as error:
                self.add_error("at", error)
        return cleaned

    def _expires_at(self, ends: str, at: datetime | None) -> datetime | None:
        now = timezone.now()
        is_as_it_was = at is not None and at == _to_the_minute(self._now_ends)
        if ends != AT:
            if at is not None and not is_as_it_was:
                raise ValidationError("To use this time, choose “At a time of mine”; else leave it empty.")
            return None if ends == NEVER else _to_the_minute(now + timedelta(days=int(ends)))
        if at is None:
            raise ValidationError("Say when it ends.")
        if is_as_it_was:
            return self._now_ends
        if at <= now:
            raise ValidationError(f"This is past: in UTC it is {now:%H:%M} on {now:%Y-%m-%d} now.")
        if at > now + LATEST_EXPIRY:
            raise ValidationError("A key ends within ten years, or never.")
        return at


class AllowListForm(forms.Form):
    """Gives `networks`, as they are stored."""

    networks = forms.CharField(
        label="Networks it may be used from",
        required=False,
        validators=[MaxLengthValidator(20_000)],  # not `max_length`: the browser would cut what is pasted
        help_text="One a line, such as <code>203.0.113.7</code>, <code>10.0.0.0/8</code> or "
        f"<code>2001:db8::/32</code>; at most {allow_list.MOST}. Empty: from anywhere.",
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false", "autocapitalize": "off"}),
    )

    def clean_networks(self) -> list[str]:
        return allow_list.parse(self.cleaned_data["networks"])


class NewKeyForm(NameForm, ExpiryForm, AllowListForm):
    is_rehearsal = forms.BooleanField(
        label="Rehearsal key, to test your code with",
        required=False,
        help_text="It answers any refusal on demand, so that you can see your program wait and try again. It "
        "converts nothing, counts against no limit, and never becomes an ordinary key.",
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    field_order = ("name", "is_rehearsal", "ends", "at", "networks")


class OverlapForm(forms.Form):
    """Gives `overlap`, a `timedelta`."""

    overlap = _radios(
        [(str(overlap // _HOUR), _OVERLAP_WORDS[overlap]) for overlap in OVERLAPS],
        label="How long the old secret goes on working",
        initial=str(DEFAULT_OVERLAP // _HOUR),
    )

    def clean_overlap(self) -> timedelta:
        return int(self.cleaned_data["overlap"]) * _HOUR


def _to_the_minute(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(second=0, microsecond=0)
