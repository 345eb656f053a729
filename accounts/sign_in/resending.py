"""Sends the link that verifies an address once more, to whoever just signed up or in with it."""

from allauth.account.internal.flows.email_verification import send_verification_email_at_login
from allauth.account.stages import EmailVerificationStage, LoginStageController
from allauth.account.utils import has_verified_email
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST


@require_POST
def send_again(request: HttpRequest) -> HttpResponse:
    """The sign-in that waits for the address is kept in the session, for 15 minutes.

    A sign-up with a taken address waits in the same way, for nothing, and gets the same answers.
    """
    waiting = LoginStageController.enter(request, EmailVerificationStage.key)
    if waiting is None:
        messages.warning(request, "Sign in with your address and password, and we send the link once more.")
        return redirect("account_login")
    if has_verified_email(waiting.login.user):
        messages.success(request, "The address is verified: sign in.")
        return redirect("account_login")
    if send_verification_email_at_login(request, waiting.login):
        messages.success(request, "A new link is on its way.")
    else:
        messages.warning(
            request, "No new link was sent: the last is not old yet. Try again in a minute or two."
        )
    return redirect("account_email_verification_sent")
