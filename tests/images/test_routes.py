"""The routes the guard knows and the URLs that answer are one and the same."""

import pytest
from django.test import Client
from django.urls import resolve

from images import routes as images_routes
from images.api import api as ninja
from images.errors import no_such_route
from usage import api_routes, routes

ROUTES = (*images_routes.ROUTES, *api_routes.ROUTES)

OPERATIONS = [
    ("GET", "/api/v1/openapi.json"),
    *(
        (method, (prefix + path).replace("{job_id}", "job_x").replace("{token}", "x"))
        for prefix, router in ninja._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    ),
]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_registered_route_is_answered(route):
    path = route.path + "x" if route.path.endswith("/") else route.path
    assert resolve(path).func is not no_such_route
    assert (route.method, path) in {(method, path) for method, path in OPERATIONS} or route.path.endswith("/")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_is_known_to_the_guard(method, path):
    assert routes.find(method, path) in ROUTES


def test_only_what_makes_a_job_is_charged():
    assert {route.path for route in ROUTES if route.charged} == {
        "/api/v1/convert",
        "/api/v1/compress",
        "/api/v1/batch",
        "/convert",
        "/compress",
    }


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("path", ["/api/v1/conversions", "/conversions"])
def test_discovery_needs_no_key_and_lists_every_pair(path):
    body = Client().get(path).json()
    assert {source["format"] for source in body["inputs"]} == {
        "png", "jpg", "webp", "gif", "avif", "heic", "tiff", "bmp",
    }  # fmt: skip
    assert all(source["outputs"] == body["outputs"] for source in body["inputs"])
    assert body["outputs"] == ["webp", "jpg", "png", "avif", "gif", "tiff", "bmp"]


@pytest.mark.usefixtures("store")
def test_answers_of_the_api_carry_the_guards_headers():
    assert "X-RateLimit-Limit" in Client().get("/api/v1/conversions").headers
    assert "X-RateLimit-Limit" in Client().get("/api/v1/nothing").headers


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "path", [route.path for route in ROUTES if route.method == "GET" and route.path[-1] != "/"]
)
def test_head_is_answered_as_get_without_the_body(path):
    client = Client()
    head, get = client.head(path), client.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"") == (200, b"")
    assert {"X-RateLimit-Limit", "RateLimit"} <= head.headers.keys()
    assert head["Content-Length"] if "Content-Length" in get else True


@pytest.mark.usefixtures("store")
def test_no_answer_is_for_a_cache():
    client = Client()
    for path in ("/api/v1/conversions", "/entitlements/me", "/api/v1/openapi.json", "/api/v1/nothing"):
        assert client.get(path)["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("store", "db")
def test_a_wrong_method_is_told_so_on_every_path_and_is_asked_for_no_csrf_token():
    strict = Client(enforce_csrf_checks=True)
    answers = {path: strict.put(path) for _, path in OPERATIONS}
    assert {answer.status_code for answer in answers.values()} == {405}
    assert all("detail" in answer.json() for answer in answers.values())
