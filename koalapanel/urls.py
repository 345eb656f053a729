"""Every address of the site: the API's routes first, then the pages."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from accounts.endpoint_limits.limiter import limited
from koalapanel.health import healthz

# Its own form asks for a password alone; whoever isn't signed in is led to ours, which asks for all it takes.
admin.site.login = limited("login")(secure_admin_login(admin.site.login))  # type: ignore[method-assign]

urlpatterns = [
    path("", include("images.urls")),
    path("", include("usage.urls")),
    path("", include("accounts.urls")),
    # Where a changed password is told to its owner.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("healthz", healthz),
]
