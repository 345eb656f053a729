"""A form that knows which edition of a row its page showed, and refuses to be saved over another one."""

import hashlib
import json
from copy import copy
from typing import Any, ClassVar, TypeVar

from django import forms
from django.db.models import Model
from django.utils.functional import cached_property

from accounts.models import AuditEntry
from accounts.snapshots import snapshot_of

Row = TypeVar("Row", bound=Model)


class EditionForm(forms.ModelForm[Row]):
    """`as_read` is no field of the model: it says which edition of the row the page showed.

    If another was saved since, the form is not valid: it comes back with what was typed, says what the row
    holds now, and is good for that edition from then on. A new row has no edition.
    """

    # Fields that aren't the row's.
    ASIDE: ClassVar[frozenset[str]] = frozenset({"as_read"})

    as_read = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_stale = False
        if self.instance._state.adding:
            del self.fields["as_read"]
        else:
            # Now, while the instance is what the database holds: validation writes into it.
            self.initial["as_read"] = self.edition()

    def edition(self) -> str:
        """Another one for each state of the row that a form could have been filled in beside."""
        revision = getattr(self.instance, "revision", None)
        if revision is not None:
            return str(revision)
        return hashlib.sha256(json.dumps(self.facts(), sort_keys=True).encode()).hexdigest()

    def facts(self) -> dict[str, Any]:
        """What the row holds, by field."""
        return snapshot_of(self.instance)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        name = self.add_prefix("as_read")
        if "as_read" in self.fields and self.data.get(name) != self.initial["as_read"]:
            read = self.data.get(name, "")
            fresh: Any = copy(self.data)
            fresh[name] = self.initial["as_read"]
            self.data, self.is_stale = fresh, True
            self.add_error(None, self._stale(read))
        return cleaned

    @cached_property
    def changed_data(self) -> list[str]:
        """The model's fields alone: the reason of a change is no change."""
        return [name for name in super().changed_data if name not in self.ASIDE]

    def since(self, read: str) -> list[str]:
        """What was done to the row after the edition that was read, as far as it is told."""
        last = AuditEntry.objects.about(self.instance).first()
        return [] if last is None else [f"Last: {last.actor_label}, {_at(last)}, {last.action}."]

    def shown(self, name: str, value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(str, value)) or "none"
        return "empty" if value in (None, "") else str(value)

    def _stale(self, read: str) -> str:
        facts = self.facts()  # validation has not come to the instance yet
        words = ["This was changed after you opened the page, so nothing was saved.", *self.since(read)]
        differs = [
            f"{self.fields[name].label}: {self.shown(name, facts.get(name))}" for name in self.changed_data
        ]
        if differs:
            words.append(f"What is different from yours, as it is now: {'; '.join(differs)}.")
        words.append("What you typed is below. Save again to put it in place of that.")
        return " ".join(words)


def _at(entry: AuditEntry) -> str:
    return f"{entry.at:%Y-%m-%d %H:%M} UTC"
