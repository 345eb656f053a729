"""Connected services: what a person has given access to, and how to take it back."""

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from allauth.core.internal.httpkit import authenticated_user
from allauth.idp.oidc.models import Client
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.identity import grants
from accounts.identity.scopes import in_words
from accounts.models import User


@dataclass(frozen=True, slots=True)
class ConnectedService:
    """A service with tokens in force: what it may learn with them, and when it last got some."""

    client: Client
    learns: list[str]
    last_used: datetime


def services_of(user: User) -> list[ConnectedService]:
    """By name, each once."""
    tokens = grants.in_force(user).select_related("client").order_by("client__name", "client_id")
    services = []
    for client, found in groupby(tokens, key=lambda token: token.client):
        theirs = list(found)
        scopes = [scope for token in theirs for scope in token.get_scopes()]
        latest = max(token.created_at for token in theirs)
        services.append(ConnectedService(client, in_words(scopes), latest))
    return services


@never_cache
@login_required
@require_safe
def connected_services(request: HttpRequest) -> HttpResponse:
    services = services_of(authenticated_user(request))
    return render(request, "idp/connected_services.html", {"services": services, "now": timezone.now()})


@login_required
@require_POST
def disconnect(request: HttpRequest, client_id: str) -> HttpResponse:
    """Its tokens are void with the next request that brings one."""
    user = authenticated_user(request)
    client = get_object_or_404(Client, pk=client_id, pk__in=grants.in_force(user).values("client"))
    grants.end_all(user, client)
    messages.success(request, f"{client.name} no longer has access to your account.")
    return redirect("connected_services")
