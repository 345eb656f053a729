"""What allauth's own view of removing a security key doesn't ask: whether it may be removed."""

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.views import RemoveWebAuthnView
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache


@method_decorator(never_cache, name="dispatch")
class RemoveKeyView(RemoveWebAuthnView):  # type: ignore[misc]
    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return self._refused() or super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        return self._refused() or super().post(request, *args, **kwargs)

    def _refused(self) -> HttpResponse | None:
        key: Authenticator = self.get_object()
        adapter = get_adapter()
        if adapter.can_delete_authenticator(key):
            return None
        messages.error(self.request, adapter.error_messages["cannot_delete_authenticator"])
        return redirect("mfa_index")


remove_key = RemoveKeyView.as_view()
