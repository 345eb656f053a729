"""A row of the database as plain JSON values, so that the audit log can tell what changed."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from django.db.models import Field, ForeignKey, Model

# What nobody may read, and what says nothing of what a person did.
LEFT_OUT = frozenset(
    {
        *("password", "secret", "digest", "pepper_version", "sealed", "nonce", "token_hash", "data"),
        *("form_id", "revision", "last_login"),
    }
)


def snapshot_of(row: Model) -> dict[str, Any]:
    """By field: times as ISO 8601 in UTC, a foreign key as the text of what it refers to, many-to-many as a
    sorted list of texts. Primary keys and what is `LEFT_OUT` are not in it.
    """
    found: dict[str, Any] = {}
    for field in row._meta.concrete_fields:
        if not field.primary_key and field.name not in LEFT_OUT:
            found[field.name] = _value_of(row, field)
    for many in row._meta.many_to_many:
        found[many.name] = sorted(str(other) for other in getattr(row, many.name).all())
    return found


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What two snapshots of a row don't agree on: as it was, and as it became."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return (
        {name: before[name] for name in names if name in before},
        {name: after[name] for name in names if name in after},
    )


def what_is_said(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """A snapshot without what was left empty: all there is to tell of a row that comes or goes."""
    return {name: value for name, value in snapshot.items() if value not in (None, "", [], {})}


def _value_of(row: Model, field: "Field[Any, Any]") -> Any:
    value = getattr(row, field.name)
    if isinstance(field, ForeignKey):
        return None if value is None else str(value)
    return _plain(value)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            # A choice is a string that calls itself by its class: `str` leaves the value alone.
            return str(value) if isinstance(value, str) else value
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            return [_plain(one) for one in value]
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
    return str(value)
