"""The API's addresses, at the root of the site because of the short routes; docs, jobs, webhooks."""

from django.urls import include, path, re_path

from images.api import urls
from images.errors import in_dialect, no_such_route
from images.openapi import answer_document
from images.rehearsal.acting import rehearsed

urlpatterns = [
    *urls(),
    path("api/v1/openapi.json", rehearsed(in_dialect(answer_document))),
    path("docs/", include("images.docs.urls")),
    path("jobs/", include("images.job_pages.urls")),
    path("webhooks/", include("images.webhooks.urls")),
    # What is left below the API's prefixes is a refusal, not a page.
    # A path may have a newline in it, which neither `.` nor `$` would take for what it is.
    re_path(
        r"^(?:api|convert|compress|conversions|entitlements/me|job)(?:/(?s:.*))?\Z", rehearsed(no_such_route)
    ),
]
