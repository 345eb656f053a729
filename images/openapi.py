"""The OpenAPI document: what the routes say of themselves, and what is said of all of them once."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_GET
from ninja.openapi import get_schema

from images.api import api
from usage.guard.middleware import ApiRequest


def document() -> dict[str, Any]:
    """OpenAPI 3.1, of the routes as they are now, for this server."""
    drawn: dict[str, Any] = get_schema(api, path_prefix="")
    drawn["servers"] = [{"url": settings.BASE_URL}]
    return drawn


@require_GET
def answer_document(request: ApiRequest) -> HttpResponse:
    return JsonResponse(document())
