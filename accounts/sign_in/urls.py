"""allauth's addresses: sign-up, sign-in, passwords, two-factor, sessions."""

from django.urls import include, path

urlpatterns = [path("", include("allauth.urls"))]
