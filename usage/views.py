"""The panel's pages for customers."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from accounts.models import ApiKey, KeySecret, User
from usage.escalation.words import steps_in_words
from usage.headline import headline_of
from usage.standing import standing_of_key


class SignedInRequest(HttpRequest):
    user: User


@require_safe
@never_cache
@login_required
def usage(request: SignedInRequest) -> HttpResponse:
    """How the account's keys stand: `?key=START` chooses one, else it is the newest that works."""
    return render(request, "usage/usage.html", _standing(request))


@require_safe
@never_cache
def usage_live(request: SignedInRequest) -> HttpResponse:
    """The part of the usage page that changes, for the page to fetch.

    Whoever signed out meanwhile, in another tab say, gets the whole page anew and with it the sign-in, not
    a sign-in form in the middle of the old page.
    """
    if not request.user.is_authenticated:
        return HttpResponseClientRefresh()
    return render(request, "usage/_live.html", _standing(request))


def _standing(request: SignedInRequest) -> dict[str, Any]:
    keys = list(ApiKey.objects.owned_by(request.user).select_related("tier"))
    key = _chosen(keys, request.user, request.GET.get("key"))
    if key is None:
        return {"keys": keys}
    standing = standing_of_key(key)
    return {
        "keys": keys,
        "key": key,
        "standing": standing,
        "headline": headline_of(key, standing),
        "steps": steps_in_words(standing.footing.ladder),
    }


def _chosen(keys: list[ApiKey], user: User, start: str | None) -> ApiKey | None:
    """The account's key with a secret that begins, or began, with `start`; raises `Http404` for any other."""
    if start is None:
        working = [key for key in keys if key.status == ApiKey.Status.ACTIVE and not key.has_expired]
        return next(iter(working or keys), None)
    for key in keys:
        if key.start == start:
            return key
    # Older mails and logs show the start of a secret that was rotated out since.
    old = dict(KeySecret.objects.filter(key__owner=user).values_list("start", "key"))
    for key in keys:
        if key.pk == old.get(start):
            return key
    raise Http404("The account has no such key.")
