"""The panel's pages. A customer's usage is where they land."""

from django.urls import include, path
from django.views.generic import RedirectView

from usage.pages import exports, hits, usage

urlpatterns = [
    path("", usage.usage, name="usage"),
    path("usage/", RedirectView.as_view(pattern_name="usage", query_string=True)),
    path("staff/", include("usage.staff.urls")),
    path("usage/", include("usage.blocks.urls")),
    path("usage/hits/", hits.hits, name="hits"),
    path("usage/hits.csv", exports.hits, name="hits_csv"),
    path("usage/requests.csv", exports.requests, name="requests_csv"),
    path("usage/live/", usage.usage_live, name="usage_live"),
]
