"""The OpenID Connect provider's addresses: `/.well-known/…` and `/identity/o/…`."""

from django.urls import include, path

urlpatterns = [path("", include("allauth.idp.urls"))]
