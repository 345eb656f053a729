"""Every address of the site: the API's routes first, then the pages."""

from django.contrib import admin
from django.urls import include, path

from koalapanel.health import healthz

urlpatterns = [
    path("", include("images.urls")),
    path("", include("usage.urls")),
    path("", include("accounts.urls")),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
]
