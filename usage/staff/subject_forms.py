"""What staff are asked before something is done to a subject."""

import re
from uuid import UUID, uuid4

from django import forms

from accounts.reasons import reason_field
from usage.counter_resets import COUNTERS
from usage.limits.resetting import ALL_LEASES

LEASE = re.compile(rf"\A(?:{re.escape(ALL_LEASES)}|[0-9a-f]{{1,40}})\Z")
PROBATION, CLEAN = "probation", "clean"
TOLD = "The key's owner reads it in the email, and your colleagues in the audit log."


class OrderForm(forms.Form):
    """Its `order` is made with the form, so that the same form sent twice is one order."""

    order = forms.UUIDField(widget=forms.HiddenInput, initial=uuid4)
    reason = reason_field()

    @property
    def id(self) -> UUID:
        given: UUID = self.cleaned_data["order"]
        return given


class ResetForm(OrderForm):
    """Gives `counters`, some of `COUNTERS`."""

    counters = forms.MultipleChoiceField(
        label="What to set back to nothing",
        choices=[(counter, counter) for counter in COUNTERS],
        widget=forms.CheckboxSelectMultiple(attrs={"class": "form-check-input"}),
        error_messages={"required": "Choose at least one."},
    )
    field_order = ("order", "counters", "reason")

    def __init__(self, *args: object, words: dict[str, str], **kwargs: object) -> None:
        """`words` are the choices' by counter, with what each of them stands at."""
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["counters"]
        assert isinstance(field, forms.MultipleChoiceField)  # noqa: S101
        field.choices = [(counter, words[counter]) for counter in COUNTERS]


class ReleaseForm(OrderForm):
    """Gives `lease`: the id of one, or `ALL_LEASES`."""

    lease = forms.RegexField(LEASE, widget=forms.HiddenInput, initial=ALL_LEASES)


class SuspendForm(forms.Form):
    reason = reason_field(TOLD)


class ReactivateForm(forms.Form):
    """Gives `how`. The words of both choices are the caller's: they have the ladder's numbers."""

    how = forms.ChoiceField(
        label="How it goes on",
        initial=PROBATION,
        widget=forms.RadioSelect(attrs={"class": "form-check-input"}),
    )
    reason = reason_field(TOLD)

    def __init__(self, *args: object, probation: str, clean: str, told: bool, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        how = self.fields["how"]
        assert isinstance(how, forms.ChoiceField)  # noqa: S101
        how.choices = [(PROBATION, probation), (CLEAN, clean)]
        if not told:
            self.fields["reason"].help_text = reason_field().help_text


class RevokeForm(forms.Form):
    """`revision` is that of the key when the page was made."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    reason = reason_field()
