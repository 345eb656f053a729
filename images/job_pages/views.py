"""The page about jobs, the part of it that refreshes itself, and what can be done to a job there."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRefresh

from accounts.models import User
from images import downloads
from images.docs import first_request
from images.job_pages.overview import LISTS, Part, overview_of, part_asked_for
from images.models import Job
from images.models.download import LIFE, USES
from images.models.job import KEPT_FOR, is_id
from images.queue import ends


class SignedInRequest(HttpRequest):
    user: User


@require_safe
@never_cache
@login_required
def jobs(request: SignedInRequest) -> HttpResponse:
    return render(request, "jobs/jobs.html", _context(request))


@require_safe
@never_cache
def jobs_live(request: SignedInRequest) -> HttpResponse:
    """The part of the page that changes, for the page to fetch. Whoever signed out gets the sign-in whole."""
    if not request.user.is_authenticated:
        return HttpResponseClientRefresh()
    return render(request, "jobs/_live.html", _context(request))


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def cancel(request: SignedInRequest, pk: str) -> HttpResponse:
    """A GET, of somebody who had to sign in in between, leads to the page."""
    job = _own(request, pk)
    if request.method == "POST":
        # It may move on between the look at it and its end: from waiting to running, and twice at most.
        while not (job.has_ended or ends.cancel(job)):
            job = _own(request, pk)
        if job.status == Job.Status.CANCELLED:
            messages.success(request, f"Cancelled: {job}. Its place is free for the next.")
        else:
            messages.warning(request, f"Too late to cancel {job}: it is {job.status} already.")
    return redirect(_address(part_asked_for(request.POST)))


@require_safe
@never_cache
@login_required
def download(request: SignedInRequest, pk: str) -> HttpResponse:
    """Leads to a fresh address, which takes one of the uses; with none left, back to the page."""
    job = _own(request, pk)
    address = downloads.address(job) if job.status == Job.Status.DONE else None
    if address is not None:
        return redirect(address.url)
    messages.error(
        request,
        f"The result of {job} can't be downloaded any more: it is kept for 2 hours and {USES} downloads. "
        "Send the image again.",
    )
    return redirect(_address(part_asked_for(request.GET)))


def _own(request: SignedInRequest, pk: str) -> Job:
    """Raises `Http404` for a job of anybody else's, as for one that isn't there."""
    job = Job.objects.filter(owner=request.user, pk=pk).first() if is_id(pk) else None
    if job is None:
        raise Http404("The account has no such job.")
    return job


def _address(part: Part) -> str:
    return reverse("jobs") + (f"?{part.query}" if part.query else "")


def _context(request: SignedInRequest) -> dict[str, Any]:
    part = part_asked_for(request.GET)
    return {
        "now": timezone.now(),
        "part": part,
        "lists": LISTS.items(),
        "list_name": LISTS[part.status],
        "overview": overview_of(request.user, part),
        "uses": USES,
        "hours_kept": int(LIFE.total_seconds()) // 3600,
        "hours_listed": int(KEPT_FOR.total_seconds()) // 3600,
        "first_request": first_request.command(settings.BASE_URL),
    }
