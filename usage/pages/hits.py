"""The page of rate-limit hits: all that is kept of a key's refused requests, by pages and by what refused."""

import redis
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from usage.hits import Before, HitsPage, page_of_hits
from usage.limits.health import is_store_down
from usage.limits.outcomes import HITS
from usage.limits.store import limit_store
from usage.pages.chosen_key import SignedInRequest, chosen_key, keys_of
from usage.spans import time_of
from usage.subjects import key_subject_id


@require_safe
@never_cache
@login_required
def hits(request: SignedInRequest) -> HttpResponse:
    """`?key=START`, `?kind=` what refused, `?before=` where the page before ended."""
    keys = keys_of(request.user)
    key = chosen_key(keys, request.user, request.GET.get("key"))
    if key is None:
        return redirect("usage")
    kind = request.GET.get("kind", "")
    kind = kind if kind in HITS else ""
    before = Before.read(request.GET.get("before", ""))
    now = store_time()
    found, live = _found(key_subject_id(key.pk), kind, before, now)
    context = {
        "keys": keys,
        "key": key,
        "page": found,
        "live": live,
        "kinds": list(HITS),
        "kind": kind,
        "is_newest": before is None,
        "now": timezone.now() if now is None else time_of(now),
    }
    return render(request, "usage/hits.html", context)


def store_time() -> int | None:
    """Now, in Unix seconds on the limit store's clock; `None` while it can't be asked."""
    if is_store_down():
        return None
    try:
        return limit_store().now()
    except redis.RedisError:
        return None


def _found(subject_id: str, kind: str, before: Before | None, now: int | None) -> tuple[HitsPage, bool]:
    """The page, and whether the limit store had its say."""
    try:
        return page_of_hits(subject_id, kind=kind, before=before, now=now), now is not None
    except redis.RedisError:
        return page_of_hits(subject_id, kind=kind, before=before), False
