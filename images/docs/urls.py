"""Addresses below /docs/."""

from django.urls import path

from images.docs import views

urlpatterns = [
    path("", views.start, name="docs"),
    path("limits/", views.limits_in_force, name="docs_limits"),
    path("headers/", views.rate_limit_headers, name="docs_headers"),
    path("refusals/", views.every_refusal, name="docs_refusals"),
    path("jobs/", views.about_jobs, name="docs_jobs"),
    path("webhooks/", views.about_webhooks, name="docs_webhooks"),
    path("examples/", views.examples, name="docs_examples"),
    path("examples/<str:filename>", views.example_file, name="docs_example_file"),
    path("rehearsal/", views.rehearsal_keys, name="docs_rehearsal"),
    path("api/", views.api, name="docs_api"),
]
