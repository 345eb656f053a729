"""Addresses below /webhooks/."""

from django.urls import path

from images.webhooks import views

urlpatterns = [
    path("", views.webhooks, name="webhooks"),
    path("secret/", views.show_secret, name="show_webhook_secret"),
    path("secret/rotate/", views.rotate_secret, name="rotate_webhook_secret"),
    path("secret/stop-former/", views.stop_former_secret, name="stop_former_webhook_secret"),
    path("addresses/<int:pk>/disable/", views.disable_endpoint, name="disable_webhook_endpoint"),
    path("addresses/<int:pk>/enable/", views.enable_endpoint, name="enable_webhook_endpoint"),
    path("deliveries/<slug:pk>/again/", views.redeliver, name="redeliver_webhook"),
]
