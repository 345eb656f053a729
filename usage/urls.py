"""The panel's pages. A customer's usage is where they land."""

from django.urls import include, path
from django.views.generic import RedirectView

from usage import views

urlpatterns = [
    path("", views.usage, name="usage"),
    path("usage/", RedirectView.as_view(pattern_name="usage", query_string=True)),
    path("staff/", include("usage.staff.urls")),
    path("usage/live/", views.usage_live, name="usage_live"),
]
