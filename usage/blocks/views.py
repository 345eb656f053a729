"""Customers read why a key was blocked, and ask for a suspended one's reactivation."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.models import ApiKey
from usage.blocks import asking
from usage.blocks.block import Block, block_of, blocks_of, current_suspension_of, present
from usage.blocks.forms import AskForm
from usage.blocks.reconstruction import LONGEST_LOOK, Climb, reconstruct, refused_during
from usage.blocks.snippets import snippets
from usage.blocks.wrongs import wrongs_of
from usage.books.watermark import booked_until
from usage.escalation.policy import read_ladder
from usage.escalation.reactivation import NotPossible
from usage.models import EscalationEvent, ReactivationRequest
from usage.pages.chosen_key import SignedInRequest, chosen_key, keys_of

BLOCKS_A_PAGE = 25
REQUESTS_SHOWN = 5


View = Callable[..., HttpResponse]


def _page(*methods: str) -> Callable[[View], View]:
    """For the account's owner alone, and kept by no cache."""

    def decorate(view: View) -> View:
        @wraps(view)
        def answering(request: SignedInRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            try:
                return view(request, *args, **kwargs)
            except ApiKey.DoesNotExist:
                raise Http404 from None  # the account was deleted in another window

        return never_cache(require_http_methods(["GET", "HEAD", *methods])(login_required(answering)))

    return decorate


@_page()
def blocks(request: SignedInRequest) -> HttpResponse:
    """A key's blocks and suspensions, the newest first: `?key=START`, else as the usage page chooses."""
    keys = keys_of(request.user)
    key = chosen_key(keys, request.user, request.GET.get("key"))
    context: dict[str, Any] = {"keys": keys, "key": key}
    if key is not None:
        ladder, now = read_ladder(), present()
        found = blocks_of(request.user).filter(key=key).order_by("-at", "-pk")
        page = Paginator(found, BLOCKS_A_PAGE).get_page(request.GET.get("page"))
        context |= {"now": now, "page": page, "blocks": _in_a_row(page, key, ladder, now)}
    return render(request, "usage/blocks/blocks.html", context)


@_page()
def block(request: SignedInRequest, pk: int) -> HttpResponse:
    event = get_object_or_404(blocks_of(request.user).select_related("key__tier"), pk=pk)
    if event.key is None:
        raise Http404("The key is gone.")
    return _block_page(request, event, event.key)


@_page("POST")
def ask(request: SignedInRequest, key_pk: int) -> HttpResponse:
    """Asks for the key's reactivation. Its form is on the suspension's page; it is here only where the
    history has none."""
    key = get_object_or_404(ApiKey.objects.owned_by(request.user).select_related("tier", "owner"), pk=key_pk)
    form = AskForm(request.POST if request.method == "POST" else None)
    why_not = ""
    if form.is_valid():
        try:
            asking.ask(key, by=request.user, note=form.cleaned_data["note"])
        except NotPossible as why:
            why_not = str(why)
            key.refresh_from_db()
        else:
            return redirect("ask_for_reactivation", key.pk)
    event = current_suspension_of(key)
    if event is None:
        event = blocks_of(request.user).filter(key=key).order_by("-at", "-pk").first() if why_not else None
    if request.method != "POST" and event is not None:
        return redirect("block", event.pk)
    if event is not None:
        return _block_page(request, event, key, form, why_not)
    context = {"key": key, "now": present(), "form": form, "why_not": why_not, **_asked(key)}
    return render(request, "usage/blocks/ask.html", context, status=_status(request, form, why_not))


def _block_page(
    request: SignedInRequest,
    event: EscalationEvent,
    key: ApiKey,
    form: AskForm | None = None,
    why_not: str = "",
) -> HttpResponse:
    """The page; with the form that was sent, if it was refused."""
    ladder, now = read_ladder(), present()
    block = block_of(event, key, ladder, now)
    context: dict[str, Any] = {"blocked": block, "key": key, "now": now, "snippets": snippets()}
    booked = booked_until(event.subject) if event.at > now - LONGEST_LOOK else 0
    refused = refused_during(event, block.end, now, booked)
    if not block.is_by_staff:
        (found,) = reconstruct([Climb(event, block.previous)], ladder, now, booked)
        kind = "suspension" if block.is_suspension else "block"
        context |= {"found": found, "wrongs": wrongs_of(found, refused, kind)}
    context |= {"refused": refused, "form": form or AskForm(), "why_not": why_not}
    if block.is_suspension:
        context |= _asked(key, event)
    return render(request, "usage/blocks/block.html", context, status=_status(request, form, why_not))


def _asked(key: ApiKey, suspension: EscalationEvent | None = None) -> dict[str, Any]:
    """The newest requests about a suspension, or all of a key whose suspension is in no history."""
    requests = ReactivationRequest.objects.filter(key=key)
    if suspension is not None:
        requests = requests.filter(suspension=suspension)
    newest = list(requests.order_by("-sent_at", "-pk")[:REQUESTS_SHOWN])
    return {"requests": newest, "waiting": next((one for one in newest if one.is_waiting), None)}


def _in_a_row(events: Any, key: ApiKey, ladder: Any, now: Any) -> list[Block]:
    """One query for what came after each of a page of blocks, the newest first."""
    events = list(events)
    if not events:
        return []
    changes = list(
        EscalationEvent.objects.of_subject(events[0].subject)
        .exclude(cause=EscalationEvent.Cause.DECAY)
        .filter(at__gte=events[-1].at)
        .order_by("at", "pk")
    )
    after = {one.pk: following for one, following in zip(changes, [*changes[1:], None], strict=True)}
    return [Block(event, key, None, after.get(event.pk), ladder, now) for event in events]


def _status(request: HttpRequest, form: AskForm | None, why_not: str) -> int:
    if request.method != "POST":
        return 200
    return 409 if why_not else 422 if form is not None and form.errors else 200
