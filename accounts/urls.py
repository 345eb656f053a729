"""The pages about who is asking: sign-in, account, keys, contact; the identity provider's addresses."""

from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("accounts/2fa/", include("accounts.account.two_factor.urls")),
    path("accounts/sessions/", RedirectView.as_view(pattern_name="account_sessions")),
    path("accounts/", include("accounts.sign_in.urls")),
    path("account/", include("accounts.account.urls")),
    path("keys/", include("accounts.keys.urls")),
    path("contact/", include("accounts.contact.urls")),
    path("", include("accounts.identity.urls")),
]
