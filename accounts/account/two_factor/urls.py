"""Addresses below /accounts/2fa/ that are ours; they stand before allauth's, which have the rest."""

from django.urls import path

from accounts.account.two_factor import views

urlpatterns = [path("webauthn/keys/<int:pk>/remove/", views.remove_key, name="mfa_remove_webauthn")]
