"""Addresses below /usage/ that are about blocks."""

from django.urls import path

from usage.blocks import views

urlpatterns = [
    path("blocks/", views.blocks, name="blocks"),
    path("blocks/<int:pk>/", views.block, name="block"),
    path("reactivation/<int:key_pk>/", views.ask, name="ask_for_reactivation"),
]
