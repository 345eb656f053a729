"""The OpenAPI document. The routes say what they take and give (`images.api`); what holds for all of them is
added here: every refusal and header, keys, webhooks, and how files are sent."""

import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.views.decorators.http import require_safe
from ninja.openapi import get_schema

from images import documented_headers, documented_refusals
from images.api import api
from images.documented_refusals import ANYWHERE, without_null
from images.formats import INPUTS, OUTPUTS
from images.forms import FILES, FORMS
from images.models import WebhookDelivery
from images.uploads import MOST_FILES
from usage import routes
from usage.guard.middleware import ApiRequest

JSON = dict[str, Any]

MULTIPART = "multipart/form-data"

DESCRIPTION = """\
Convert and compress images under fair limits.

Send an image to `POST /api/v1/convert`: the answer is the finished result, or, where that takes longer than
{wait} seconds, a job to ask for. Many images go to `POST /api/v1/batch`.

A key goes into the header `Authorization: Bearer KEY`, `X-Api-Key: KEY` or `X-Fast-Api-Key: KEY`, and never
into the address. Without a key the limits of your network address apply.

Requests to `convert`, `compress` and `batch` count against the limits; a batch is one request. All others
don't count, and still carry the rate-limit headers. A refusal with `Retry-After` says when to come back:
earlier tries are refused as well, and too many of them lead to a block.

The short routes do the same as those below `/api/v1`, and tell errors in a dialect of their own. Both answer
problem details (RFC 9457) to clients that accept `application/problem+json`. What answers GET answers HEAD,
too. All times are UTC.

A rehearsal key (`koala_test…`) answers any refusal on demand, by the header `X-Koala-Rehearse: cooldown`
say, so that clients can be tested; its answers carry `X-Koala-Rehearsal: true`. Any other key ignores it.
"""

TAGS = {
    "images": "Make images: each request here counts against the limits.",
    "jobs": "Ask for jobs, cancel them, download their results.",
    "discovery": "What converts to what.",
    "limits": "What a key or an address may do, and what it did.",
    "keys": "For services that are shown a key.",
    "short routes": "The same without `/api/v1`, with errors in the short dialect.",
}

SECURITY_SCHEMES: JSON = {
    "Bearer": {"type": "http", "scheme": "bearer", "description": "An API key: `koala_…`."},
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "The same key in a header of its own.",
    },
    "FastApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Fast-Api-Key",
        "description": "Another name of that header.",
    },
}

_JOB_ID = {"type": "string", "pattern": "^job_[0-9A-Za-z]{22}$"}
# By their names: description, schema, example. An address without its query is none.
PARAMETERS: dict[str, tuple[str, JSON, str]] = {
    "job_id": ("The job's id.", _JOB_ID, "job_5pX2mVbQ8nRk3TzLw7YcJd"),
    "token": (
        "Says which result.",
        {"type": "string", "pattern": "^[0-9A-Za-z_-]+$"},
        "vY3n0pQe7w4mXc2RtK9bLh6sZ1uJd8fGa5oTqWiEy0M",
    ),
    "expires": (
        "Unix time until which the address is good.",
        {"type": "string", "pattern": "^[0-9]{1,12}$"},
        "1706749345",
    ),
    "signature": (
        "Binds the two together.",
        {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "5f0e9d4c8b7a6f5e4d3c2b1a0f9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b3a2f1e",
    ),
}

DONE = {
    200: "The result, or what was asked for.",
    202: "The job was accepted, and its end not waited for.",
}


def document() -> JSON:
    """OpenAPI 3.1, of the routes as they are, for this server. A new one at each call."""
    # By way of JSON: ninja keeps parts of it in several places, and its numbers of statuses are no strings.
    drawn: JSON = json.loads(json.dumps(get_schema(api, path_prefix="")))
    refusals: dict[str, JSON] = {}
    for route, operation in _operations(drawn):
        _complete(operation, route, refusals)
    for form in _forms(drawn):
        _as_form(form)
    schemas = drawn["components"]["schemas"] | documented_refusals.schemas() | {"Event": _event()}
    for model in FORMS:  # each stands where it is sent
        del schemas[model.__name__]
    for schema in schemas.values():
        _without_titles(schema)
    return {
        "openapi": drawn["openapi"],
        "info": {
            **drawn["info"],
            "description": DESCRIPTION.format(wait=settings.JOB_WAIT_SECONDS),
            "summary": "Image conversion under fair limits.",
        },
        "servers": [{"url": settings.BASE_URL}],
        # The empty one: without a key the limits of the client's address apply.
        "security": [*({name: []} for name in SECURITY_SCHEMES), {}],
        "tags": [{"name": name, "description": description} for name, description in TAGS.items()],
        "paths": drawn["paths"],
        "webhooks": {event.value: {"post": _webhook(event)} for event in WebhookDelivery.Event},
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": dict(sorted(refusals.items())),
            "headers": documented_headers.components(),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


@require_safe
def answer_document(request: ApiRequest) -> HttpResponse:
    body = _written(settings.BASE_URL, settings.UPLOAD_MAX_BYTES, settings.JOB_WAIT_SECONDS)
    return HttpResponse(body, content_type="application/json")


@lru_cache(maxsize=1)
def _written(*_settings: object) -> str:
    """The document as it is sent. It costs some 20 ms to make and nothing to ask for, so it is made once."""
    return json.dumps(document())


def _operations(drawn: JSON) -> Iterator[tuple[routes.ApiRoute, JSON]]:
    for path, methods in drawn["paths"].items():
        for method, operation in methods.items():
            yield routes.find(method, path), operation


def _complete(operation: JSON, route: routes.ApiRoute, refusals: dict[str, JSON]) -> None:
    """Say what every answer of the route is, with its headers, and what its parameters are.

    Most refusals are those of many routes: each goes into `refusals` once, by a name.
    """
    answers = operation["responses"]
    for status in map(str, ANYWHERE):
        answers.setdefault(status, {})
    for status, answer in answers.items():
        if int(status) >= 400:
            name, refusal = documented_refusals.answer(int(status), route)
            refusals[name] = refusal
            answers[status] = {"$ref": f"#/components/responses/{name}"}
        else:
            _complete_answer(answer, int(status), operation["operationId"])
    operation["responses"] = dict(sorted(answers.items()))
    for parameter in operation["parameters"]:
        description, schema, example = PARAMETERS[parameter["name"]]
        parameter |= {"description": description, "schema": schema, "example": example, "required": True}
    if not operation["parameters"]:
        del operation["parameters"]


def _complete_answer(answer: JSON, status: int, operation: str) -> None:
    more: Sequence[str] = ()
    if status == 302 or (status == 202 and operation != "batch"):
        more = ["Location"]
    elif operation in ("download", "look_at_download"):
        more = documented_headers.OF_FILES
    answer["headers"] = documented_headers.of_answer(*more)
    if answer["description"] in ("OK", "Accepted"):  # ninja's own words
        answer["description"] = DONE[status]
    if status == 202 and operation != "batch":
        of_job = {"parameters": {"job_id": "$response.body#/id"}}
        short = "short_" if operation.startswith("short_") else ""
        answer["links"] = {
            "Ask for the job": {"operationId": f"{short}job", **of_job},
            "Cancel the job": {"operationId": f"{short}cancel", **of_job},
        }


def _forms(drawn: JSON) -> Iterator[JSON]:
    for _, operation in _operations(drawn):
        content = operation.get("requestBody", {}).get("content", {})
        if MULTIPART in content:
            yield content[MULTIPART]


def _as_form(form: JSON) -> None:
    """Say how the fields of a form are sent: files as files, and nothing as null."""
    schema = form["schema"]
    del schema["title"]
    schema["properties"] = {name: without_null(told) for name, told in schema["properties"].items()}
    file = {"type": "string", "minLength": 1, "contentMediaType": "application/octet-stream"}
    types = ", ".join(source.content_type for source in INPUTS)
    fields = schema["properties"]
    if "files" in fields:
        fields["files"] = {
            "type": "array",
            "items": file,
            "minItems": 1,
            "maxItems": MOST_FILES,
            "description": FILES,
        }
        form["encoding"] = {"files": {"contentType": types}}
    else:
        fields["file"] = {
            **file,
            "description": "The image. What it is, its content says: name and content type aren't looked at.",
        }
        form["encoding"] = {"file": {"contentType": types}}
    if "target_bytes" in fields:
        schema["oneOf"] = [{"required": ["quality"]}, {"required": ["target_bytes"]}]
    for name in ("output_format", "targetFormat"):
        if name in fields:
            fields[name]["enum"] = [output.name for output in OUTPUTS]
    for told in fields.values():
        told.pop("title", None)
    schema["properties"] = {name: fields[name] for name in sorted(fields, key=_reading_order(schema))}


def _reading_order(schema: JSON) -> Any:
    """The file first, then what is needed, then the rest as it stands."""
    names, required = list(schema["properties"]), schema.get("required", [])
    return lambda name: (name not in ("file", "files"), name not in required, names.index(name))


def _without_titles(schema: JSON) -> None:
    """ninja's titles say a name twice."""
    schema.pop("title", None)
    for told in schema.get("properties", {}).values():
        told.pop("title", None)


def _event() -> JSON:
    return {
        "type": "object",
        "description": "What is sent to a `webhook_url` when a job ends.",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {
                "type": "string",
                "enum": list(WebhookDelivery.Event.values),
                "description": "What happened.",
            },
            "timestamp": {"type": "string", "format": "date-time", "description": "When it happened."},
            "data": {
                "$ref": "#/components/schemas/JobState",
                "description": "The job, as `GET /api/v1/jobs/{job_id}` gives it.",
            },
        },
    }


def _webhook(event: WebhookDelivery.Event) -> JSON:
    """What a receiver gets, by Standard Webhooks 1.0.0."""
    headers = {
        "webhook-id": (
            "The event's id, the same at every attempt.",
            {"type": "string"},
            "msg_2KWPBgLlAfxdpx2AI54pPJ",
        ),
        "webhook-timestamp": (
            "Unix time of this attempt; refuse what is older than some minutes.",
            {"type": "string", "pattern": "^[0-9]+$"},
            "1706745600",
        ),
        "webhook-signature": (
            "`v1,` and the signature in Base64, made with the account's secret from id, timestamp and "
            "body. Two of them, with a space between, while a secret is rotated.",
            {"type": "string"},
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    }
    ended = "is done" if event is WebhookDelivery.Event.COMPLETED else "has failed"
    return {
        "operationId": event.value.replace(".", "_"),
        "summary": f"A job {ended}",
        "description": "Sent to the `webhook_url` that the job was submitted with. Verify its signature with "
        "a library for Standard Webhooks before you believe it.",
        "tags": ["jobs"],
        "security": [],
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": description,
                "schema": schema,
                "example": example,
            }
            for name, (description, schema, example) in headers.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "$ref": "#/components/schemas/Event",
                        "properties": {"type": {"const": event.value}},
                    }
                }
            },
        },
        "responses": {
            "2XX": {"description": "Received."},
            "410": {"description": "Don't send to this address any more: it is switched off."},
            "default": {
                "description": "Sent again after 5 s, 5 min, 30 min, 2 h, 5 h and 10 h, or when "
                "`Retry-After` says."
            },
        },
    }
