"""The page for another address: allauth's, without what it offers to accounts with several."""

from typing import Any

from allauth.account.views import EmailView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

# "Send" would write to an address that is verified, "primary" would put in one that is not.
_NOT_OURS = {"action_send", "action_primary"}


class ChangeAddressView(EmailView):  # type: ignore[misc]
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if _NOT_OURS & request.POST.keys():
            return redirect("account_email")
        return super().post(request, *args, **kwargs)  # type: ignore[no-any-return]


change_address = ChangeAddressView.as_view()
