"""Addresses below /jobs/."""

from django.urls import path

from images.job_pages import views

urlpatterns = [
    path("", views.jobs, name="jobs"),
    path("live/", views.jobs_live, name="jobs_live"),
    path("<str:pk>/cancel/", views.cancel, name="cancel_job"),
    path("<str:pk>/download/", views.download, name="download_job"),
]
