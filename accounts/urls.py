"""The pages about who is asking: sign-in, account, keys, contact; the identity provider's addresses."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("accounts.sign_in.urls")),
    path("account/", include("accounts.account.urls")),
    path("keys/", include("accounts.keys.urls")),
    path("contact/", include("accounts.contact.urls")),
    path("", include("accounts.identity.urls")),
]
