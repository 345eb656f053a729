"""Sends the link that verifies an address once more."""

from allauth.account.internal.flows.email_verification import (
    send_verification_email_at_login,
    send_verification_email_to_address,
)
from allauth.account.models import EmailAddress
from allauth.account.stages import EmailVerificationStage, LoginStageController
from allauth.account.utils import has_verified_email
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST


@require_POST
def send_again(request: HttpRequest) -> HttpResponse:
    """To who is signed in and changes the address, or else to who just signed up, or in, and waits for it."""
    if request.user.is_authenticated:
        wanted = EmailAddress.objects.get_new(request.user)
        if wanted is not None:
            _tell(request, was_sent=send_verification_email_to_address(request, wanted))
        return redirect("account_email")
    # A sign-in that waits is in the session, for 15 minutes. A sign-up with a taken address waits in the same
    # way, for nothing, and gets the same answers.
    waiting = LoginStageController.enter(request, EmailVerificationStage.key)
    if waiting is None:
        messages.warning(request, "Sign in with your address and password, and we send you a new letter.")
        return redirect("account_login")
    if has_verified_email(waiting.login.user):
        messages.success(request, "Your address is verified: sign in.")
        return redirect("account_login")
    _tell(request, was_sent=send_verification_email_at_login(request, waiting.login))
    return redirect("account_email_verification_sent")


def _tell(request: HttpRequest, *, was_sent: bool) -> None:
    if was_sent:
        messages.success(request, "Another letter is on its way.")
    else:
        messages.warning(request, "The last letter is not a minute old. Give it time, then ask once more.")
