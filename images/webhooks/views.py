"""The pages about webhooks. The secret is in answers to POSTs of somebody who has just signed in.

Every address answers GET: where only a POST does something, it leads to the page. That is where people come
out who had to sign in again before their form could be taken.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.decorators import reauthentication_required
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import User
from accounts.sealing import BrokenSeal
from images.models import WebhookDelivery, WebhookSecret
from images.webhooks import actions, signing
from images.webhooks.keeping import KEPT_FOR
from images.webhooks.overview import MOST_ATTEMPTS, deliveries_of, endpoints_of, entries

DELIVERIES_A_PAGE = 25

UNREADABLE = (
    "This secret was kept under another SECRET_KEY of the server, so nobody can read it any more, and no "
    "event is sent. Rotate it."
)


class SignedInRequest(HttpRequest):
    user: User


View = Callable[..., HttpResponse]


def _page(view: View) -> View:
    """For the account's owner alone, and kept by no cache: neither a shared one nor the browser's."""
    return never_cache(require_http_methods(["GET", "HEAD", "POST"])(login_required(view)))


def _secret_page(view: View) -> View:
    """A page, whose POSTs are for somebody who gave a password or second factor in the last five minutes."""
    guarded: View = reauthentication_required(app="allauth.mfa")(view)

    @wraps(view)
    def answering(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return (guarded if request.method == "POST" else view)(request, *args, **kwargs)

    return _page(answering)


@_page
def webhooks(request: SignedInRequest) -> HttpResponse:
    now = timezone.now()
    page = Paginator(deliveries_of(request.user), DELIVERIES_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "now": now,
        "page": page,
        "deliveries": entries(page, now),
        "endpoints": endpoints_of(request.user),
        "secret": WebhookSecret.objects.filter(owner=request.user).first(),
        "api": settings.BASE_URL,
        "most_attempts": MOST_ATTEMPTS,
        "days_kept": KEPT_FOR.days,
    }
    return render(request, "webhooks/webhooks.html", context)


@_secret_page
def show_secret(request: SignedInRequest) -> HttpResponse:
    if request.method != "POST":
        return redirect("webhooks")
    return _show(request, signing.secret_of(request.user.pk), is_new=False)


@_secret_page
def rotate_secret(request: SignedInRequest) -> HttpResponse:
    if request.method == "POST":
        return _show(request, signing.rotate(request.user, by=request.user), is_new=True)
    now = timezone.now()
    secret = WebhookSecret.objects.filter(owner=request.user).first()
    if secret is None:
        return redirect("webhooks")
    return render(request, "webhooks/rotate.html", {"secret": secret, "now": now})


@_page
def stop_former_secret(request: SignedInRequest) -> HttpResponse:
    if request.method == "POST":
        if signing.end_overlap(request.user, by=request.user):
            messages.success(request, "The former secret signs no more.")
        else:
            messages.warning(request, "The former secret had stopped already.")
    return redirect("webhooks")


@_page
def disable_endpoint(request: SignedInRequest, pk: int) -> HttpResponse:
    endpoint = get_object_or_404(endpoints_of(request.user), pk=pk)
    if request.method == "POST":
        actions.disable(endpoint, by=request.user)
        messages.success(request, f"Disabled: nothing is sent to {endpoint} until you enable it.")
    return redirect("webhooks")


@_page
def enable_endpoint(request: SignedInRequest, pk: int) -> HttpResponse:
    endpoint = get_object_or_404(endpoints_of(request.user), pk=pk)
    if request.method == "POST":
        actions.enable(endpoint, by=request.user)
        messages.success(
            request, f"Enabled: {endpoint} gets what happens from now on. Send again what it has missed."
        )
    return redirect("webhooks")


@_page
def redeliver(request: SignedInRequest, pk: str) -> HttpResponse:
    delivery = get_object_or_404(WebhookDelivery.objects.of(request.user), pk=pk)
    if request.method == "POST":
        try:
            actions.redeliver(delivery)
        except actions.NotPossible as why:
            messages.error(request, f"Not sent again. {why}")
        else:
            messages.success(request, f"{delivery.event} is sent again now, under the same webhook-id.")
    number = request.POST.get("page", "")
    return redirect(reverse("webhooks") + (f"?page={number}" if number.isdecimal() else ""))


def _show(request: SignedInRequest, secret: WebhookSecret, *, is_new: bool) -> HttpResponse:
    now = timezone.now()
    try:
        text = signing.text_of(secret)
    except BrokenSeal:
        messages.error(request, UNREADABLE)
        return redirect("webhooks")
    context = {"secret": secret, "text": text, "is_new": is_new, "now": now}
    return render(request, "webhooks/secret.html", context)
