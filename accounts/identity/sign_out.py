"""Where a service sends people to sign out (OpenID Connect RP-Initiated Logout 1.0)."""

from typing import Any

from allauth.idp.oidc.forms import RPInitiatedLogoutForm
from allauth.idp.oidc.views import LogoutView
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache

from accounts.identity.keys import claims_of_hint
from accounts.identity.redirect_uris import is_registered
from accounts.identity.sending_back import send_back


class SignOutForm(RPInitiatedLogoutForm):  # type: ignore[misc]
    """Leads on to an address that the service registered for this, and to no other one of its host."""

    def clean_id_token_hint(self) -> dict[str, Any] | None:
        return claims_of_hint(self.cleaned_data["id_token_hint"])

    def clean(self) -> dict[str, Any]:
        # Not allauth's to judge: without any registered, it takes all addresses of the service's host.
        asked_for = self.cleaned_data.pop("post_logout_redirect_uri", "")
        cleaned: dict[str, Any] = super().clean()
        client = cleaned["client"]
        if asked_for and client:
            if is_registered(asked_for, client.get_post_logout_redirect_uris()):
                cleaned["post_logout_redirect_uri"] = asked_for
            else:
                self.add_error("post_logout_redirect_uri", ValidationError("This address is not registered."))
        return cleaned


@method_decorator(never_cache, name="dispatch")
class SignOutView(LogoutView):  # type: ignore[misc]
    """allauth's, with our form; it asks every time. What leads on is a page (see `send_back`)."""

    form_class = SignOutForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = super().get_context_data(**kwargs)
        context["client"] = context["form"].cleaned_data["client"]
        return context

    def form_invalid(self, form: SignOutForm) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        response.status_code = 400
        return response

    def _handle(self, form: SignOutForm, op_logout: bool) -> HttpResponse:
        response: HttpResponse = super()._handle(form, op_logout)
        if form.cleaned_data["post_logout_redirect_uri"]:
            return send_back(self.request, form.cleaned_data["client"], response["Location"])
        return response


sign_out = SignOutView.as_view()
