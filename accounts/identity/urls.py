"""The OpenID Connect provider's addresses: `/.well-known/…` and `/identity/o/…`; connected services.

Not allauth's own list: it has flows that we don't offer (see docs/decisions/0015-identity-provider.md). Its
names are kept, because allauth's templates and views use them.
"""

from django.urls import include, path

from accounts.endpoint_limits.limiter import limited
from accounts.identity.authorize import authorize, consent
from accounts.identity.connected import connected_services, disconnect
from accounts.identity.discovery import configuration, jwks
from accounts.identity.sign_out import sign_out
from accounts.identity.tokens import revoke, token, userinfo

provider = [
    path(".well-known/openid-configuration", configuration, name="configuration"),
    path(".well-known/jwks.json", jwks, name="jwks"),
    path(
        "identity/o/authorize",
        limited("oidc_authorize", methods=("GET", "POST"))(authorize),
        name="authorization",
    ),
    path("identity/o/consent", consent, name="consent"),
    path("identity/o/logout", sign_out, name="logout"),
    path("identity/o/api/token", token, name="token"),
    path("identity/o/api/userinfo", userinfo, name="userinfo"),
    path("identity/o/api/revoke", revoke, name="revoke"),
]

urlpatterns = [
    path("", include(([path("", include((provider, "oidc")))], "idp"))),
    path("account/services/", connected_services, name="connected_services"),
    path("account/services/<str:client_id>/disconnect/", disconnect, name="disconnect_service"),
]
