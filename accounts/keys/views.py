"""The pages about API keys. A key's secret is in one answer to one POST, and nowhere else.

Every address answers GET: where only a POST does something, it leads to the key's page. That is where people
come out who had to sign in again before their form could be taken.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.client_address import client_address
from accounts.keys import actions, allow_list
from accounts.keys.forms import AllowListForm, ExpiryForm, NameForm, NewKeyForm, OverlapForm
from accounts.keys.overview import Overview, keys_of, overviews
from accounts.keys.trail import trail_of
from accounts.models import ApiKey, User

KEYS_A_PAGE = 25
REVOKED_SHOWN = 5  # folded away below the others; the rest is a page of its own
STOPPED_SECRETS_SHOWN = 5

STALE = (
    "This key was changed since you opened the page, so nothing was saved. You see it as it is now. What you "
    "entered is still here: save again if you still want it."
)

# What a key may do no longer holds with the next request. What it was refused is remembered for so long.
AT_THE_LATEST = "In force everywhere within 5 seconds."


class SignedInRequest(HttpRequest):
    user: User


View = Callable[..., HttpResponse]


def _page(view: View) -> View:
    """For the account's owner alone, and kept by no cache: neither a shared one nor the browser's."""

    @wraps(view)
    def answering(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (User.DoesNotExist, ApiKey.DoesNotExist):
            # Deleted since the request began: the owner closed the account in another window.
            raise Http404 from None

    return never_cache(require_http_methods(["GET", "HEAD", "POST"])(login_required(answering)))


@_page
def keys(request: SignedInRequest) -> HttpResponse:
    now = timezone.now()
    own = keys_of(request.user, now)
    page = Paginator(own.exclude(status=ApiKey.Status.REVOKED), KEYS_A_PAGE).get_page(request.GET.get("page"))
    revoked = own.filter(status=ApiKey.Status.REVOKED)
    context = {
        "now": now,
        "page": page,
        "keys": overviews(page, now),
        "revoked": overviews(revoked[:REVOKED_SHOWN], now),
        "revoked_count": revoked.count(),
    }
    return render(request, "keys/keys.html", context)


@_page
def revoked_keys(request: SignedInRequest) -> HttpResponse:
    now = timezone.now()
    revoked = keys_of(request.user, now).filter(status=ApiKey.Status.REVOKED)
    page = Paginator(revoked, KEYS_A_PAGE).get_page(request.GET.get("page"))
    context = {"now": now, "page": page, "keys": overviews(page, now)}
    return render(request, "keys/revoked.html", context)


@_page
def new_key(request: SignedInRequest) -> HttpResponse:
    form = NewKeyForm(request.POST if request.method == "POST" else None)
    form_id = _uuid(request.POST.get("form_id"))
    if form.is_valid():
        try:
            key, text = actions.create(
                request.user,
                by=request.user,
                name=form.cleaned_data["name"],
                expires_at=form.cleaned_data["expires_at"],
                allowed_networks=form.cleaned_data["networks"],
                is_rehearsal=form.cleaned_data["is_rehearsal"],
                form_id=form_id,
            )
        except actions.MadeBefore as made:
            messages.warning(
                request,
                "This form was sent before, and this is the key it made. Its secret was shown then and can't "
                "be shown again: if nobody copied it, rotate the key.",
            )
            return redirect("key", made.key.pk)
        except actions.NotPossible as why:
            form.add_error(None, str(why))
        else:
            return _secret_page(request, key, text)
    context = {
        "form": form,
        "form_id": form_id,
        "full": actions.why_no_more(request.user),
        "address": client_address(request.META),
    }
    return render(request, "keys/new.html", context)


@_page
def key(request: SignedInRequest, pk: int) -> HttpResponse:
    return _key_page(request, pk)


@_page
def rename(request: SignedInRequest, pk: int) -> HttpResponse:
    key = _own(request, pk)
    form = NameForm(request.POST, prefix="name")

    def save(revision: int) -> str:
        renamed = actions.rename(key, by=request.user, revision=revision, name=form.cleaned_data["name"])
        return f"It is called “{renamed.name}” now."

    return _save(request, pk, form, save)


@_page
def change_expiry(request: SignedInRequest, pk: int) -> HttpResponse:
    key = _own(request, pk)
    form = ExpiryForm(request.POST, prefix="expiry", now_ends=key.expires_at)
    had_expired = key.has_expired

    def save(revision: int) -> str:
        ends = form.cleaned_data["expires_at"]
        actions.change_expiry(key, by=request.user, revision=revision, expires_at=ends)
        told = "It never expires." if ends is None else f"It expires on {ends:%Y-%m-%d at %H:%M} UTC."
        return f"{told} {AT_THE_LATEST}" if had_expired else told

    return _save(request, pk, form, save)


@_page
def change_allow_list(request: SignedInRequest, pk: int) -> HttpResponse:
    key = _own(request, pk)
    form = AllowListForm(request.POST, prefix="allow-list")

    def save(revision: int) -> str:
        networks = form.cleaned_data["networks"]
        actions.change_allow_list(key, by=request.user, revision=revision, allowed_networks=networks)
        if not networks:
            return f"It may be used from anywhere. {AT_THE_LATEST}"
        plural = "s" if len(networks) > 1 else ""
        return f"It may be used from {len(networks)} network{plural}, and no other. {AT_THE_LATEST}"

    return _save(request, pk, form, save)


@_page
def rotate(request: SignedInRequest, pk: int) -> HttpResponse:
    key = _own(request, pk)
    form = OverlapForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        overlap = form.cleaned_data["overlap"]
        old = f"{key.start}…{key.end}"
        try:
            rotated, text = actions.rotate(key, by=request.user, revision=_revision(request), overlap=overlap)
        except actions.Stale:
            form.add_error(
                None,
                "This key was changed since you opened the page, so it was not rotated. If it was you who "
                "rotated it, the new secret was shown then, and can't be shown again.",
            )
        except actions.NotPossible as why:
            messages.error(request, str(why))
            return redirect("key", pk)
        else:
            retires_at = timezone.now() + overlap if overlap else None
            return _secret_page(request, rotated, text, old=old, retires_at=retires_at)
    overview = _overview(request, pk)
    if overview.is_revoked:
        return redirect("key", pk)
    context = {"overview": overview, "key": overview.key, "form": form, "now": timezone.now()}
    return render(request, "keys/rotate.html", context)


@_page
def stop_secret(request: SignedInRequest, pk: int, secret_pk: int) -> HttpResponse:
    key = _own(request, pk)
    secret = get_object_or_404(key.secrets, pk=secret_pk)
    if request.method == "POST":
        try:
            actions.end_overlap(key, by=request.user, revision=_revision(request), secret_id=secret.pk)
        except actions.Stale:
            messages.error(request, "This key was changed meanwhile, so nothing was stopped. Look again.")
        except actions.NotPossible as why:
            messages.error(request, str(why))
        else:
            messages.success(request, f"{secret} has stopped.")
    return redirect("key", pk)


@_page
def revoke(request: SignedInRequest, pk: int) -> HttpResponse:
    key = _own(request, pk)
    if request.method == "POST":
        try:
            actions.revoke(key, by=request.user, revision=_revision(request))
        except actions.Stale:
            messages.error(request, "This key was changed meanwhile, so it was not revoked. Look again.")
            return redirect("revoke_key", pk)
        messages.success(request, f"{key} is revoked.")
        return redirect("key", pk)
    now = timezone.now()
    overview = _overview(request, pk)
    if overview.is_revoked:
        return redirect("key", pk)
    context = {
        "overview": overview,
        "key": overview.key,
        "secrets": key.secrets.working(now),
        "now": now,
    }
    return render(request, "keys/revoke.html", context)


def _own(request: SignedInRequest, pk: int) -> ApiKey:
    """Raises `Http404` for a key of anybody else's, as for one that isn't there."""
    return get_object_or_404(ApiKey.objects.owned_by(request.user), pk=pk)


def _overview(request: SignedInRequest, pk: int) -> Overview:
    now = timezone.now()
    key = get_object_or_404(keys_of(request.user, now), pk=pk)
    return overviews([key], now)[0]


def _save(request: SignedInRequest, pk: int, form: Form, save: Callable[[int], str]) -> HttpResponse:
    """Do `save` with the revision that the form was made from; it gives what people are told of it."""
    if request.method != "POST":
        return redirect("key", pk)
    if form.is_valid():
        try:
            messages.success(request, save(_revision(request)))
            return redirect("key", pk)
        except actions.Stale:
            form.add_error(None, STALE)
        except actions.NotPossible as why:
            messages.error(request, str(why))
            return redirect("key", pk)
    return _key_page(request, pk, form)


def _key_page(request: SignedInRequest, pk: int, sent: Form | None = None) -> HttpResponse:
    """The key as it is now; with the form that was `sent`, if it was refused."""
    now = timezone.now()
    overview = _overview(request, pk)
    key = overview.key
    forms: list[Form] = [
        NameForm(prefix="name", initial={"name": key.name}),
        ExpiryForm(prefix="expiry", now_ends=key.expires_at),
        AllowListForm(prefix="allow-list", initial={"networks": "\n".join(key.allowed_networks)}),
    ]
    by_prefix = {form.prefix: form for form in [*forms, *([sent] if sent else [])]}
    stopped = key.secrets.filter(retires_at__lte=now).order_by("-retires_at", "-pk")
    address = client_address(request.META)
    context: dict[str, Any] = {
        "now": now,
        "overview": overview,
        "key": key,
        "working": key.secrets.working(now),
        "stopped": stopped[:STOPPED_SECRETS_SHOWN],
        "stopped_count": stopped.count(),
        "name_form": by_prefix["name"],
        "expiry_form": by_prefix["expiry"],
        "allow_list_form": by_prefix["allow-list"],
        "address": address,
        "address_is_in": allow_list.contains(key.allowed_networks, address),
        "trail": trail_of(key, request.user),
    }
    return render(request, "keys/key.html", context)


def _secret_page(request: SignedInRequest, key: ApiKey, text: str, **context: Any) -> HttpResponse:
    """The one page with a secret on it: the answer to the POST that made it, which no cache keeps."""
    address = client_address(request.META)
    context |= {
        "key": key,
        "text": text,
        "now": timezone.now(),
        "api": settings.BASE_URL,
        "address": address,
        "address_is_in": allow_list.contains(key.allowed_networks, address),
    }
    return render(request, "keys/secret.html", context)


def _revision(request: HttpRequest) -> int:
    """Of the key, when the form was made. A form without one is as good as stale."""
    try:
        return int(request.POST.get("revision", ""))
    except ValueError:
        return -1


def _uuid(text: str | None) -> UUID:
    """The form's own id; a new one for a new form, or for one whose id was damaged."""
    try:
        return UUID(text or "")
    except ValueError:
        return uuid4()
