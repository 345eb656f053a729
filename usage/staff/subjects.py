"""Find a subject: by a key's start or name, its owner, or an address."""

from urllib.parse import urlencode

from django import forms
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.models import Tier
from usage.staff.access import StaffRequest, staff_page
from usage.subject_search import MOST_OWNERS, MOST_PAGES, STATUSES, Search, find, without_secrets
from usage.subjects_of_note import of_note


class SearchForm(forms.Form):
    """It is posted, and answered with an address without secrets: what is pasted must not end up in logs."""

    q = forms.CharField(
        label="Key, owner or address",
        required=False,
        widget=forms.TextInput(
            attrs={"type": "search", "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
        ),
    )
    tier = forms.ChoiceField(label="Tier", required=False)
    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[("", "Any status"), *((status, status.capitalize()) for status in STATUSES)],
    )

    def __init__(self, *args: object, tiers: list[Tier], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        tier = self.fields["tier"]
        assert isinstance(tier, forms.ChoiceField)  # noqa: S101
        keys = [(one.slug, one.name) for one in tiers if one.slug != Tier.ANONYMOUS]
        tier.choices = [("", "Any tier"), *keys]

    def clean_q(self) -> str:
        return without_secrets(self.cleaned_data["q"])[:200]

    @property
    def search(self) -> Search:
        return Search(*(self.cleaned_data.get(name, "") for name in ("q", "tier", "status")))


@sensitive_post_parameters("q")
@require_http_methods(["GET", "HEAD", "POST"])
@staff_page("accounts.view_apikey")
def subjects(request: StaffRequest) -> HttpResponse:
    tiers = list(Tier.objects.all())
    form = SearchForm(request.POST if request.method == "POST" else request.GET, tiers=tiers)
    form.is_valid()
    search = form.search
    if request.method == "POST" or request.GET.get("q", "") != search.text:
        return HttpResponseRedirect(_address(search))
    context: dict[str, object] = {
        "form": SearchForm(
            initial={"q": search.text, "tier": search.tier, "status": search.status}, tiers=tiers
        ),
        "search": search,
    }
    if search:
        results = find(search, _number(request.GET.get("page", "1")), tiers)
        context |= {
            "results": results,
            "now": results.now,
            "most_owners": MOST_OWNERS,
            "most_pages": MOST_PAGES,
            "here": _address(search),
        }
    else:
        anonymous = next(tier for tier in tiers if tier.slug == Tier.ANONYMOUS)
        context["of_note"] = listed = of_note(anonymous)
        context["now"] = listed.now
    return render(request, "staff/subjects.html", context)


def _address(search: Search) -> str:
    asked = {"q": search.text, "tier": search.tier, "status": search.status}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"{reverse('subjects')}{'?' if query else ''}{query}"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST_PAGES):
        raise Http404("There is no such page.")
    return int(text[:6])
