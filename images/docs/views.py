"""The pages: read, render, nothing else. They are for everybody, signed in or not."""

import time
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from images.docs import (
    example_files,
    first_request,
    headers,
    jobs,
    limits,
    pages,
    reference,
    refusals,
    rehearsal,
    webhooks,
)
from images.rehearsal.asking import LONGEST_WAIT
from images.rehearsal.jobs import DONE_AFTER
from images.rehearsal.samples import HEIGHT, WIDTH
from usage.escalation.policy import read_ladder
from usage.limits.draft import DRAFT
from usage.spans import MINUTE_SECONDS


@require_safe
def start(request: HttpRequest) -> HttpResponse:
    now = datetime.now(UTC)
    first = first_request.command(settings.BASE_URL)
    return _page(request, pages.START, first=first, answer=jobs.done(now), sizes=jobs.sizes())


@require_safe
def limits_in_force(request: HttpRequest) -> HttpResponse:
    tiers = limits.tiers()
    return _page(
        request,
        pages.LIMITS,
        tiers=tiers,
        endpoint_rates=limits.endpoint_rates(),
        ladder=limits.ladder_in_words(read_ladder(), tiers),
        sizes=jobs.sizes(),
        ipv6_prefix=settings.IPV6_PREFIX,
    )


@require_safe
def rate_limit_headers(request: HttpRequest) -> HttpResponse:
    in_force, now = limits.example_limits(), int(time.time())
    explained = headers.explained(headers.example(in_force, now))
    refused = refusals.over_a_minute(in_force, read_ladder(), now)
    return _page(
        request,
        pages.HEADERS,
        headers=explained,
        sent=headers.as_sent(explained),
        refused=refused,
        draft=DRAFT,
    )


@require_safe
def every_refusal(request: HttpRequest) -> HttpResponse:
    explained = refusals.explained(limits.example_limits(), read_ladder(), int(time.time()))
    return _page(request, pages.REFUSALS, refusals=explained)


@require_safe
def about_jobs(request: HttpRequest) -> HttpResponse:
    now = datetime.now(UTC)
    return _page(
        request,
        pages.JOBS,
        tiers=limits.tiers(),
        formats=jobs.formats(),
        sizes=jobs.sizes(),
        running=jobs.running(now),
        done=jobs.done(now),
    )


@require_safe
def about_webhooks(request: HttpRequest) -> HttpResponse:
    return _page(
        request,
        pages.WEBHOOKS,
        event=webhooks.event(datetime.now(UTC)),
        receiver=example_files.text_of("receive.py"),
        javascript=webhooks.JAVASCRIPT,
        rules=webhooks.rules(),
        specification=webhooks.SPECIFICATION,
        libraries=webhooks.LIBRARIES,
    )


@require_safe
def examples(request: HttpRequest) -> HttpResponse:
    shown = [(one, example_files.how_to_run(one, settings.BASE_URL)) for one in example_files.EXAMPLES]
    return _page(request, pages.EXAMPLES, examples=shown)


@require_safe
def rehearsal_keys(request: HttpRequest) -> HttpResponse:
    ladder, now = read_ladder(), int(time.time())
    return _page(
        request,
        pages.REHEARSAL,
        command=rehearsal.command(settings.BASE_URL),
        answer=refusals.of_a_rehearsal(limits.example_limits(), ladder, now, wait=2),
        words=[*rehearsal.codes(), *rehearsal.limits()],
        tiers=rehearsal.tiers(ladder),
        longest=LONGEST_WAIT,
        minute=MINUTE_SECONDS,
        width=WIDTH,
        height=HEIGHT,
        done_after=DONE_AFTER,
        program=example_files.text_of("rehearse.py"),
    )


@require_safe
def example_file(request: HttpRequest, filename: str) -> HttpResponse:
    """The file as it is, to be fetched by curl."""
    example = example_files.named(filename)
    if example is None:
        raise Http404
    return HttpResponse(example.text, content_type="text/plain; charset=utf-8")


@require_safe
def api(request: HttpRequest) -> HttpResponse:
    return _page(request, pages.API, reference=reference.in_force())


def _page(request: HttpRequest, page: pages.Page, **context: Any) -> HttpResponse:
    context |= {"page": page, "pages": pages.PAGES, "base_url": settings.BASE_URL}
    return render(request, page.template, context)
