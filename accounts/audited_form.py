"""The form of a row whose changes are audited: it asks why, and refuses what was typed beside a newer row."""

from typing import Any, TypeVar

from django.db.models import Model

from accounts.edition_form import EditionForm
from accounts.reasons import reason_field

Row = TypeVar("Row", bound=Model)


class AuditedForm(EditionForm[Row]):
    """Neither the reason nor the edition is the model's. A new row is asked for neither."""

    ASIDE = frozenset({"reason", "as_read"})

    reason = reason_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            del self.fields["reason"]
