"""Addresses below /account/."""

from django.urls import path

from accounts.account import views

urlpatterns = [
    path("", views.account, name="account"),
    path("profile/", views.profile, name="account_profile"),
    path("notifications/", views.notifications, name="account_notifications"),
    path("sessions/", views.sign_ins, name="account_sessions"),
    path("sessions/<int:pk>/end/", views.end_sign_in, name="account_end_session"),
    path("sessions/end-others/", views.end_other_sign_ins, name="account_end_other_sessions"),
    path("delete/", views.delete, name="account_delete"),
    path("deleted/", views.deleted, name="account_deleted"),
]
