"""Addresses below /staff/."""

from django.urls import path

from usage.staff import overview

urlpatterns = [
    path("", overview.overview, name="staff"),
]
