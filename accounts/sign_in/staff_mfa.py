"""With REQUIRE_STAFF_MFA, staff without a second factor reach nothing but the pages that set one up."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect

from accounts.account.two_factor import staff_rule

# Where they wanted to go, in the session: the page with the recovery codes offers it when all is done.
WANTED = "staff_mfa_wanted"

# By the names of their addresses. Confirming the password or the email address is part of setting up.
OPEN = frozenset(
    {
        "mfa_index",
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_list_webauthn",
        "account_login",
        "account_logout",
        "account_reauthenticate",
        "account_email",
        "account_email_verification_sent",
        "account_confirm_email",
        "admin:logout",
    }
)


class StaffMFAMiddleware:
    """Stands behind the authentication. Pages read `request.owes_second_factor` to say why they are asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """A redirection for whom the rule stops; `None`, which lets everybody else on."""
        # The API's guard notes the route of what it lets in: that is asked by key, whoever is signed in.
        if not settings.REQUIRE_STAFF_MFA or hasattr(request, "route") or not request.user.is_authenticated:
            return None
        if not staff_rule.is_owed_by(request.user):
            if request.user.is_staff and request.session.get(WANTED) == request.get_full_path():
                del request.session[WANTED]
            return None
        if request.resolver_match is not None and request.resolver_match.view_name in OPEN:
            request.owes_second_factor = True  # type: ignore[attr-defined]
            return None
        setup = reverse("mfa_index")
        if getattr(request, "htmx", False):
            return HttpResponseClientRedirect(setup)
        if request.method == "GET":
            request.session[WANTED] = request.get_full_path()
        return redirect(setup)
