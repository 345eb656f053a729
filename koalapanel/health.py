"""Whether this process serves: for load balancers and for `manage.py up`."""

from django.http import HttpRequest, HttpResponse


def healthz(request: HttpRequest) -> HttpResponse:
    """200 "ok", without SQL and without the store: both may be down while pages still explain it."""
    return HttpResponse("ok", content_type="text/plain", headers={"Cache-Control": "no-store"})
