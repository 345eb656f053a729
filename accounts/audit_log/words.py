"""An entry of the audit log in words: what kind of thing it is about, and what changed, field by field."""

from datetime import UTC
from typing import Any, NamedTuple

from django.apps import apps
from django.utils.dateparse import parse_datetime

from accounts.models import AuditEntry


class Change(NamedTuple):
    """One field, and its value before and after in words; `None` where the entry doesn't tell one.

    Of a list that has changed, `gone` and `come` are what it lost and gained, and the other two are `None`.
    """

    field: str
    before: str | None
    after: str | None
    gone: list[str]
    come: list[str]

    @property
    def is_of_a_list(self) -> bool:
        return bool(self.gone or self.come)

    def __str__(self) -> str:
        """In a line: `minute: 30 → 20`."""
        if self.is_of_a_list:
            parts = [f"\u2212 {one}" for one in self.gone] + [f"+ {one}" for one in self.come]
            return f"{self.field}: {', '.join(parts)}"
        return f"{self.field}: {self.before or 'empty'} → {self.after or 'empty'}"


def changes_of(entry: AuditEntry) -> list[Change]:
    """What changed, in the order in which it was written down."""
    names = {**entry.before, **entry.after}
    return [_change(name, entry.before, entry.after) for name in names]


def kind_of(target_type: str) -> str:
    """What a model is called; its name at that time if there is none of it any more."""
    try:
        return str(apps.get_model(target_type)._meta.verbose_name)
    except (LookupError, ValueError):
        return target_type


def _change(name: str, before: dict[str, Any], after: dict[str, Any]) -> Change:
    field = name.replace("_", " ")
    old, new = before.get(name), after.get(name)
    if isinstance(old, list) and isinstance(new, list):
        gone = [_shown(one) for one in old if one not in new]
        come = [_shown(one) for one in new if one not in old]
        if gone or come:
            return Change(field, None, None, gone, come)
    return Change(
        field,
        _shown(old) if name in before else None,
        _shown(new) if name in after else None,
        [],
        [],
    )


def _shown(value: Any) -> str:
    match value:
        case None | "" | []:
            return "empty"
        case dict() if not value:  # `{}` would be every dict
            return "empty"
        case str() if (at := parse_datetime(value)) is not None:
            return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at.tzinfo else value
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case list():
            return ", ".join(map(_shown, value))
        case dict():
            return ", ".join(f"{name}: {_shown(one)}" for name, one in value.items())
    return str(value)
