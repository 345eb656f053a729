"""Who may open a staff page: staff, and of them whoever has one of its permissions.

For anybody else there is no such page; whoever isn't signed in is asked to do that first.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.cache import never_cache

from accounts.models import User

View = Callable[..., HttpResponseBase]


class StaffRequest(HttpRequest):
    user: User


def staff_page(*permissions: str) -> Callable[[View], View]:
    """For a view of staff. With `permissions`, of those who have at least one of them: others read on a 403
    page which role it takes."""

    def decorate(view: View) -> View:
        @wraps(view)
        @never_cache
        @login_required
        def guarded(request: StaffRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not (request.user.is_active and request.user.is_staff):
                raise Http404("There is no such page.")
            if permissions and not any(map(request.user.has_perm, permissions)):
                raise PermissionDenied("Your role does not include this page.")
            return view(request, *args, **kwargs)

        return guarded

    return decorate
