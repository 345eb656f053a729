"""The two forms of a change: what is proposed, and the confirmation after the preview."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS

from accounts.changing import Changeable, Values
from accounts.edition_form import EditionForm
from accounts.models import AuditEntry
from accounts.models.revision import Revised
from accounts.reasons import reason_field

Head = TypeVar("Head", bound=Revised)
MOST_TOLD = 3  # changes by others that a stale form tells of


class ProposalForm(EditionForm[Head]):
    """The values that are proposed for a thing that has the `current` ones.

    `tell` has a sentence for an entry of its history, and `shown` words for a value.
    """

    def __init__(
        self,
        data: Mapping[str, Any] | None,
        *,
        changes: Changeable[Head],
        head: Head,
        current: Values,
        tell: Callable[[AuditEntry], str],
        shown: Callable[[str, Any], str],
        **kwargs: Any,
    ) -> None:
        self.changes, self.head, self.current, self._tell, self._shown = changes, head, current, tell, shown
        super().__init__(data, **kwargs)

    def facts(self) -> Values:
        return self.current

    @property
    def proposed(self) -> Values:
        """Of a form whose fields are good, stale or not."""
        return {name: self.cleaned_data[name] for name in self.current if name in self.cleaned_data}

    @property
    def is_good(self) -> bool:
        """Whether its fields are; a stale one may be."""
        return self.is_bound and not [name for name in self.errors if name != NON_FIELD_ERRORS]

    def since(self, read: str) -> list[str]:
        """Who changed what since, and why: the newest changes."""
        history = self.changes.history(self.head)
        if read.isascii() and read.isdigit() and len(read) < 19:
            history = history.filter(revision__gt=int(read))
        return [self._tell(entry) for entry in history[:MOST_TOLD]]

    def shown(self, name: str, value: Any) -> str:
        return self._shown(name, value)


class ConfirmationForm(forms.Form):
    """Why; and where the change takes something from somebody, the thing's name, typed."""

    reason = reason_field()
    typed = forms.CharField(max_length=100, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: Mapping[str, Any] | None, *, word: str | None) -> None:
        super().__init__(data)
        self.word = word
        if word is None:
            del self.fields["typed"]
        else:
            self.fields["typed"].label = f"Type “{word}” to confirm"

    def clean_typed(self) -> str:
        typed: str = self.cleaned_data["typed"]
        if self.word is not None and typed.strip().casefold() != self.word.casefold():
            raise forms.ValidationError(f"Type “{self.word}”, as it is written here.")
        return typed
