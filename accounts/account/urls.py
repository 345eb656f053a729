"""Addresses below /account/."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
