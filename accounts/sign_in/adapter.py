"""What allauth asks us: whose request it is, where to lead it, whose an address is, how a letter is sent."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from django.conf import settings
from django.contrib import messages
from django.contrib.sites.shortcuts import get_current_site
from django.db import IntegrityError, transaction
from django.forms import BaseForm
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.client_address import client_address
from accounts.mail.letters import owe_letter
from accounts.models import User

# In the session, for the page that says where the letter went.
ADDRESS_TO_VERIFY = "address_to_verify"

_FAILED = "account/messages/email_confirmation_failed.txt"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "No account has this address and this password.",
        "too_many_login_attempts": "Too many wrong passwords for this address. Wait an hour, or set a new "
        "password by a link that we send you.",
        "incorrect_password": "This is not your password.",
        "enter_current_password": "This is not your present password.",
    }

    # --- Who and where -----------------------------------------------------------------------------------

    def get_client_ip(self, request: HttpRequest) -> str:
        """As everything else reads it: a header counts from a trusted proxy alone."""
        return str(client_address(request.META))

    def get_http_user_agent(self, request: HttpRequest) -> str:
        """In one line: lines of a letter mean something, and this is whatever a client sent."""
        return " ".join(super().get_http_user_agent(request).split())

    def is_safe_url(self, url: str) -> bool:
        """Whether a redirection may lead there: only to a path of ours, whatever hosts we answer to."""
        return url.startswith("/") and url_has_allowed_host_and_scheme(url, allowed_hosts=None)

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Wrong passwords count for the address, not once more under each name that we answer to."""
        return f"account:{credentials['email'].lower()}"

    # --- Accounts and their addresses --------------------------------------------------------------------

    def save_user(self, request: HttpRequest, user: User, form: BaseForm, commit: bool = True) -> User:
        """Raises `IntegrityError`, with nothing done, if the address was taken in this moment."""
        super().save_user(request, user, form, commit=False)
        if commit:
            with transaction.atomic():
                user.save()
        return user

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Verify it, and make it the account's address; not if another account has got it meanwhile."""
        try:
            with transaction.atomic():
                return bool(super().confirm_email(request, email_address))
        except IntegrityError:
            self.add_message(request, messages.ERROR, _FAILED, {"email": email_address.email})
            return False

    def respond_email_verification_sent(self, request: HttpRequest, user: User | None) -> HttpResponseBase:
        """To the page that says so, and to which address. Without a user the sign-up form has noted it."""
        if user is not None:
            request.session[ADDRESS_TO_VERIFY] = user.email
        return super().respond_email_verification_sent(request, user)  # type: ignore[no-any-return]

    # --- Letters -----------------------------------------------------------------------------------------

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Owe it: the worker sends, and no request waits for a mail server."""
        mail = self.render_mail(
            template_prefix,
            email,
            {
                "current_site": get_current_site(self.request),
                **context,
                "email": email,
                "signup_url": _absolute(reverse("account_signup")),
            },
        )
        owe_letter(template_prefix.rpartition("/")[2], email, mail.subject, mail.body)

    def send_confirmation_mail(self, request: HttpRequest, emailconfirmation: Any, signup: bool) -> None:
        """The link; or, to an address of another account, that it has one: the link would do nothing."""
        if _belongs_to_another(emailconfirmation.email_address):
            self.send_account_already_exists_mail(emailconfirmation.email_address.email)
        else:
            super().send_confirmation_mail(request, emailconfirmation, signup)

    def send_account_already_exists_mail(self, email: str) -> None:
        context = {"password_reset_url": _absolute(reverse("account_reset_password"))}
        self.send_mail("account/email/account_already_exists", email, context)

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return _absolute(reverse("account_confirm_email", args=[emailconfirmation.key]))

    def get_reset_password_from_key_url(self, key: str) -> str:
        user, _, token = key.partition("-")
        return _absolute(reverse("account_reset_password_from_key", args=[user, token]))


def _absolute(path: str) -> str:
    """Links in letters lead to where we are told that we are, never to a host that a request named."""
    return f"{settings.BASE_URL}{path}"


def _belongs_to_another(address: EmailAddress) -> bool:
    return User.objects.filter(email=address.email).exclude(pk=address.user_id).exists()
