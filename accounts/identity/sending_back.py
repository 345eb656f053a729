"""Sends people back to the service they came from."""

from allauth.idp.oidc.models import Client
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def send_back(request: HttpRequest, client: Client | None, uri: str) -> HttpResponse:
    """A page that leads on to `uri` at once, with a link for browsers that don't.

    Not a redirect: this may answer a form, the consent's or the sign-in's before it. Chromium holds all the
    redirects that follow a form to the `form-action` of the page with the form, also those that the service
    itself makes later on. A page ends that chain, and `form-action 'self'` can stay on every page.
    """
    return render(request, "idp/oidc/returning.html", {"client": client, "uri": uri})
