"""Addresses below /contact/."""

from django.urls import path

from accounts.contact import views

urlpatterns = [
    path("", views.contact, name="contact"),
    path("sent/", views.sent, name="contact_sent"),
]
