"""The page between choosing an action in Django's admin and its being done: it says what will happen."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.http import HttpRequest
from django.template.response import TemplateResponse

from accounts.reasons import reason_field


class ReasonForm(forms.Form):
    """For an action that nobody takes without saying why."""

    reason = reason_field()


def is_confirmed(request: HttpRequest) -> bool:
    """Whether the action comes from this page, not from the list."""
    return "confirmed" in request.POST


def action_page(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    *,
    action: str,
    title: str,
    consequence: str,
    button: str,
    rows: Iterable[tuple[int, str]],
    form: forms.Form | None = None,
) -> TemplateResponse:
    """Ask before `action` (a method of the admin) is done to `rows`: the primary key of each, and its words.

    The answer calls the same method again, with `is_confirmed` true and the fields of `form`.
    """
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "action": action,
        "consequence": consequence,
        "button": button,
        "rows": list(rows),
        "form": form,
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/action_page.html", context)
