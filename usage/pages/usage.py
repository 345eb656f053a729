"""The usage page: how a key stands, what it used, what was refused, where it is on the ladder."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from usage.charts import Span, chart_of, series_at
from usage.escalation.words import steps_in_words
from usage.headline import headline_of
from usage.pages.chosen_key import SignedInRequest, chosen_key, keys_of
from usage.standing import standing_of_key
from usage.subjects import key_subject_id


@require_safe
@never_cache
@login_required
def usage(request: SignedInRequest) -> HttpResponse:
    """`?key=START` chooses one of the account's keys, `?span=` how far back the chart goes."""
    return render(request, "usage/usage.html", _context(request))


@require_safe
@never_cache
def usage_live(request: SignedInRequest) -> HttpResponse:
    """The part of the usage page that changes, for the page to fetch.

    Whoever signed out meanwhile, in another tab say, gets the whole page anew and with it the sign-in, not
    a sign-in form in the middle of the old page.
    """
    if not request.user.is_authenticated:
        return HttpResponseClientRefresh()
    context = _context(request)
    if "standing" not in context:  # of no key, or one that rehearses
        return HttpResponseClientRefresh()
    return render(request, "usage/_live.html", context)


def span_of(request: SignedInRequest) -> Span:
    asked = request.GET.get("span", "")
    return Span(asked) if asked in set(Span) else Span.HOUR


def _context(request: SignedInRequest) -> dict[str, Any]:
    keys = keys_of(request.user)
    key = chosen_key(keys, request.user, request.GET.get("key"))
    if key is None or key.is_rehearsal:
        return {"keys": keys, "key": key}
    standing = standing_of_key(key)
    series = series_at(key_subject_id(key.pk), int(standing.now.timestamp()), live=standing.live)
    return {
        "keys": keys,
        "key": key,
        "standing": standing,
        "headline": headline_of(key, standing),
        "steps": steps_in_words(standing.footing.ladder),
        "chart": chart_of(series, span_of(request), key.limits),
        "spans": list(Span),
    }
