"""What an address of the admin asks for, and no database can be asked."""

from collections.abc import Callable

from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.defaults import page_not_found


class UnfitQueryMiddleware:
    """Answers 404 for a NUL character in a filter, or a year of eleven digits.

    Django's admin hands on what stands in the address as it is, and fails with what the database says. Pages
    of our own look at it first.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """The 404 page, where nothing but reading was tried; None, which is Django's own answer, else."""
        if request.method not in ("GET", "HEAD") or not request.path_info.startswith("/admin/"):
            return None
        if not isinstance(exception, DataError | OverflowError):
            return None
        return page_not_found(request, exception)
