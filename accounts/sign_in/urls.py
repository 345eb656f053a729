"""The doors: allauth's addresses. No browser and no proxy keeps any of these pages."""

from allauth.account import views
from allauth.mfa.base import views as two_factor
from allauth.mfa.webauthn import views as security_keys
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.cache import never_cache

from accounts.endpoint_limits.limiter import limited
from accounts.sign_in import resending
from accounts.sign_in.change_address import change_address

# One count for all that tries a secret: who has guessed enough passwords shall not go on with codes.
_counted = limited("login")
_letters_counted = limited("password_reset")

_DOORS = [
    path("signup/", views.signup, name="account_signup"),
    path("login/", _counted(views.login), name="account_login"),
    path("logout/", views.logout, name="account_logout"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("reauthenticate/", _counted(views.reauthenticate), name="account_reauthenticate"),
    path("2fa/authenticate/", _counted(two_factor.authenticate), name="mfa_authenticate"),
    path("2fa/reauthenticate/", _counted(two_factor.reauthenticate), name="mfa_reauthenticate"),
    path(
        "2fa/webauthn/reauthenticate/",
        _counted(security_keys.reauthenticate_webauthn),
        name="mfa_reauthenticate_webauthn",
    ),
    path("confirm-email/", views.email_verification_sent, name="account_email_verification_sent"),
    path("confirm-email/again/", resending.send_again, name="account_send_again"),
    re_path(r"^confirm-email/(?P<key>[-:\w]+)/$", views.confirm_email, name="account_confirm_email"),
    path("email/", change_address, name="account_email"),
    path("password/change/", views.password_change, name="account_change_password"),
    path("password/set/", views.password_set, name="account_set_password"),
    path("password/reset/", _letters_counted(views.password_reset), name="account_reset_password"),
    path("password/reset/done/", views.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/key/done/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("2fa/", include("allauth.mfa.urls")),
]


def _never_kept(found: URLPattern | URLResolver) -> URLPattern | URLResolver:
    """The same addresses, with answers that say `no-store`."""
    if isinstance(found, URLResolver):
        inner = [_never_kept(each) for each in found.url_patterns]
        return URLResolver(found.pattern, inner, found.default_kwargs)
    return URLPattern(found.pattern, never_cache(found.callback), found.default_args, found.name)


urlpatterns = [_never_kept(door) for door in _DOORS]
