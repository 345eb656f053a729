"""What the pages show, as CSV files: times in UTC, one row for each point or hit."""

import time
from collections.abc import Iterator

import redis
from django.contrib.auth.decorators import login_required
from django.http import Http404
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.csv_export import csv_response
from accounts.models import ApiKey
from usage.books.series import Point
from usage.charts import points_of, series_at
from usage.hits import Hit, all_hits
from usage.pages.chosen_key import SignedInRequest, chosen_key, keys_of
from usage.pages.hits import store_time
from usage.pages.usage import span_of
from usage.subjects import key_subject_id

POINTS = (
    *("start", "admitted", "failed", "refused by minute", "refused by day", "refused by concurrency"),
    *("refused by a block", "refused by anything else"),
)
HITS = ("minute", "key", "route", "refused by", "requests", "address", "user agent")


@require_safe
@never_cache
@login_required
def requests(request: SignedInRequest) -> HttpResponseBase:
    """The chart's points: `?key=START&span=hour|day|month`. All of them, the oldest first."""
    key, span = _key(request), span_of(request)
    now = store_time()
    series = series_at(key_subject_id(key.pk), int(time.time()) if now is None else now, live=now is not None)
    points = points_of(series, span)
    return csv_response(f"requests-{key.start}-{span}.csv", POINTS, map(_cells, points))


@require_safe
@never_cache
@login_required
def hits(request: SignedInRequest) -> HttpResponseBase:
    """Every hit that is kept of the key, the newest first."""
    key = _key(request)
    rows = (_cells_of_hit(key, hit) for hit in _hits(key_subject_id(key.pk)))
    return csv_response(f"hits-{key.start}.csv", HITS, rows)


def _key(request: SignedInRequest) -> ApiKey:
    key = chosen_key(keys_of(request.user), request.user, request.GET.get("key"))
    if key is None:
        raise Http404("The account has no key.")
    return key


def _cells(point: Point) -> list[str]:
    start, *counts = point
    return [start.isoformat(), *map(str, counts)]


def _hits(subject_id: str) -> Iterator[Hit]:
    """Without what isn't booked yet, if the limit store can't be asked."""
    try:
        return all_hits(subject_id, store_time())
    except redis.RedisError:
        return all_hits(subject_id, None)


def _cells_of_hit(key: ApiKey, hit: Hit) -> list[str]:
    return [hit.at.isoformat(), key.start, hit.route, hit.kind, str(hit.count), hit.address, hit.user_agent]
