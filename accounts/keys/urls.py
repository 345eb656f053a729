"""Addresses below /keys/."""

from django.urls import path

from accounts.keys import views

urlpatterns = [
    path("", views.keys, name="keys"),
    path("new/", views.new_key, name="new_key"),
    path("revoked/", views.revoked_keys, name="revoked_keys"),
    path("<int:pk>/", views.key, name="key"),
    path("<int:pk>/rename/", views.rename, name="rename_key"),
    path("<int:pk>/expiry/", views.change_expiry, name="change_key_expiry"),
    path("<int:pk>/allow-list/", views.change_allow_list, name="change_key_allow_list"),
    path("<int:pk>/rotate/", views.rotate, name="rotate_key"),
    path("<int:pk>/stop/<int:secret_pk>/", views.stop_secret, name="stop_key_secret"),
    path("<int:pk>/revoke/", views.revoke, name="revoke_key"),
]
