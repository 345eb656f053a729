"""The sign-in form: allauth's."""

from allauth.account.forms import LoginForm

from accounts.sign_in.address_field import WholeAddresses


class SignInForm(WholeAddresses, LoginForm):  # type: ignore[misc]
    pass
