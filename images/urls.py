"""The API's addresses, at the root of the site because of the short routes."""

from django.urls import re_path

from images.api import urls
from images.errors import no_such_route

urlpatterns = [
    *urls(),
    # What is left below the API's prefixes is a refusal, not a page.
    re_path(r"^api/(?P<path>.*)$", no_such_route),
    re_path(r"^(?:convert|conversions|job)/(?P<path>.*)$", no_such_route),
]
