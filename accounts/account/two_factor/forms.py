"""allauth's forms for second factors, stricter: codes work once, names have an end, garbage is refused."""

from typing import Any

from allauth.core import context, ratelimit
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, BaseAuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    EditWebAuthnForm,
    ReauthenticateWebAuthnForm,
)
from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.account.two_factor import spent_codes
from accounts.sealing import BrokenSeal

LONGEST_NAME = 100
LONGEST_CODE = 40
MOST_KEYS = 20
LONGEST_CREDENTIAL = 20_000  # characters of JSON; with a chain of certificates in it some 5,000

# What fido2 raises for an answer that no security key would give, beside the ValueError allauth expects.
_GARBAGE = (ValueError, TypeError, KeyError, AttributeError, LookupError)


def _bound_code(form: forms.Form) -> None:
    """Digits are typed, on a phone by its number pad; nothing much longer is worth computing with."""
    code = form.fields["code"]
    code.label, code.max_length = "Code", LONGEST_CODE  # type: ignore[attr-defined]
    code.validators.append(forms.CharField(max_length=LONGEST_CODE).validators[0])
    code.widget.attrs.update(inputmode="numeric", autocapitalize="off", spellcheck="false")


class _UsesCodesOnce(BaseAuthenticateForm):  # type: ignore[misc]
    """A code of the authenticator app, or a recovery code."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _bound_code(self)
        code = self.fields["code"]
        if Authenticator.objects.filter(user=self.user, type=Authenticator.Type.TOTP).exists():
            code.label = "Code of your authenticator app"
            code.help_text = "Or one of your recovery codes."
        else:
            code.label, code.help_text = "Recovery code", "Each of them works once."

    def clean_code(self) -> str:
        try:
            # The lock goes with the answer: of two requests with one code, the second finds it used.
            with transaction.atomic():
                return self._use(self.cleaned_data["code"])
        except BrokenSeal:
            raise get_adapter().validation_error("broken_seal") from None

    def _use(self, code: str) -> str:
        if not ratelimit.consume(context.request, action="second_factor", key=str(self.user.pk)):
            raise get_adapter().validation_error("too_many_codes")
        app = (
            Authenticator.objects.select_for_update()
            .filter(user=self.user, type=Authenticator.Type.TOTP)
            .first()
        )
        period = None if app is None else spent_codes.period_of(app, code)
        if app is not None and period is not None and spent_codes.is_spent(app, period):
            raise get_adapter().validation_error("incorrect_code")
        used: str = super().clean_code()
        if app is not None and period is not None and self.authenticator.pk == app.pk:
            spent_codes.spend(app, period)
        ratelimit.clear(context.request, action="second_factor", key=str(self.user.pk))
        return used


class SignInCodeForm(_UsesCodesOnce, AuthenticateForm):  # type: ignore[misc]
    pass


class ConfirmCodeForm(_UsesCodesOnce, ReauthenticateForm):  # type: ignore[misc]
    pass


class SetUpAppForm(ActivateTOTPForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _bound_code(self)


class _NamesAKey(forms.Form):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = forms.CharField(
            label="Name",
            max_length=LONGEST_NAME,
            required=self.fields["name"].required,
            help_text="To tell your keys apart, such as “blue key on the keyring”.",
        )


class AddKeyForm(_NamesAKey, AddWebAuthnForm):  # type: ignore[misc]
    def clean(self) -> dict[str, Any] | None:
        keys = Authenticator.objects.filter(user=self.user, type=Authenticator.Type.WEBAUTHN)
        if keys.count() >= MOST_KEYS:
            raise get_adapter().validation_error("too_many_keys")
        if len(self.data.get("credential", "")) > LONGEST_CREDENTIAL:
            raise get_adapter().validation_error("incorrect_key")
        try:
            return super().clean()
        except (ValidationError, *_GARBAGE):
            raise get_adapter().validation_error("incorrect_key") from None


class RenameKeyForm(_NamesAKey, EditWebAuthnForm):  # type: ignore[misc]
    pass


class _AsksAKey(AuthenticateWebAuthnForm):  # type: ignore[misc]
    def clean_credential(self) -> Authenticator:
        try:
            return super().clean_credential()
        except ValidationError as error:
            if error.code == "too_many_login_attempts":
                raise
            raise get_adapter().validation_error("incorrect_key") from None
        except _GARBAGE:
            raise get_adapter().validation_error("incorrect_key") from None


class SignInKeyForm(_AsksAKey):
    pass


class ConfirmKeyForm(_AsksAKey, ReauthenticateWebAuthnForm):  # type: ignore[misc]
    pass
