"""`{% control field %}`: a form field's control as our pages draw it, with its errors tied to it."""

from typing import Any

from django import template
from django.forms import BoundField, CheckboxInput, RadioSelect, Select
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def is_tick(field: BoundField) -> bool:
    """Whether the control is a box or a list of them, which has its label behind it."""
    return isinstance(field.field.widget, (CheckboxInput, RadioSelect))


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The control with Tabler's classes.

    `aria-describedby` names the help text, the field's own errors and those of the whole form. The label
    above it says what it is for, so there is no placeholder to say it again (and to vanish).
    """
    attrs: dict[str, Any] = {"class": _class_of(field), "placeholder": False}
    described_by = [field.aria_describedby or ""]
    if field.form.non_field_errors() and not is_tick(field):
        described_by.append(errors_id(field.form))
    if named := " ".join(filter(None, described_by)):
        attrs["aria-describedby"] = named
    if field.errors or (field.form.non_field_errors() and not is_tick(field)):
        attrs["class"] += " is-invalid"
        attrs["aria-invalid"] = "true"
    return field.as_widget(attrs=attrs)


@register.filter
def errors_id(form: Any) -> str:
    """The id of the alert with the errors that are the whole form's."""
    return f"{form.prefix or 'form'}-errors"


def _class_of(field: BoundField) -> str:
    if is_tick(field):
        return "form-check-input"
    return "form-select" if isinstance(field.field.widget, Select) else "form-control"
