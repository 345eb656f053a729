"""The form of a row whose changes are audited: it asks why, and refuses what was typed beside a newer row."""

import hashlib
import json
from copy import copy
from typing import Any, TypeVar

from django import forms
from django.db.models import Model
from django.utils.functional import cached_property

from accounts.models import AuditEntry
from accounts.reasons import reason_field
from accounts.snapshots import snapshot_of

Row = TypeVar("Row", bound=Model)


class AuditedForm(forms.ModelForm[Row]):
    """Neither of its two fields is the model's. A new row is asked for neither.

    `as_read` says which edition of the row the page showed. If another was saved since, nothing is: the form
    comes back with what was typed, says what the row holds now, and is good for that edition from then on.
    """

    reason = reason_field()
    as_read = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            del self.fields["reason"], self.fields["as_read"]
        else:
            # Now, while the instance is what the database holds: validation writes into it.
            self.initial["as_read"] = self.edition()

    def edition(self) -> str:
        """Another one for each state of the row that a form could have been filled in beside."""
        revision = getattr(self.instance, "revision", None)
        if revision is not None:
            return str(revision)
        facts = json.dumps(snapshot_of(self.instance), sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        name = self.add_prefix("as_read")
        if "as_read" in self.fields and self.data.get(name) != self.initial["as_read"]:
            fresh: Any = copy(self.data)
            fresh[name] = self.initial["as_read"]
            self.data = fresh
            self.add_error(None, self._stale())
        return cleaned

    @cached_property
    def changed_data(self) -> list[str]:
        """The model's fields alone: the reason of a change is no change."""
        return [name for name in super().changed_data if name not in {"reason", "as_read"}]

    def _stale(self) -> str:
        words = ["This was changed after you opened the page, so nothing was saved."]
        last = AuditEntry.objects.about(self.instance).first()
        if last is not None:
            words.append(f"Last: {last.actor_label}, {last.at:%Y-%m-%d %H:%M} UTC, {last.action}.")
        facts = snapshot_of(self.instance)
        differs = [f"{self.fields[name].label}: {_shown(facts.get(name))}" for name in self.changed_data]
        if differs:
            words.append(f"What is different from yours, as it is now: {'; '.join(differs)}.")
        words.append("What you typed is below. Save again to put it in place of that.")
        return " ".join(words)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "empty" if value in (None, "") else str(value)
