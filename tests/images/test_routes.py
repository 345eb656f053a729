"""The routes the guard knows, the URLs that answer, and the OpenAPI document are one and the same."""

import pytest
from django.test import Client
from django.urls import resolve
from ninja import Schema
from openapi_spec_validator import OpenAPIV31SpecValidator

from images import routes as images_routes
from images import schemas as images_schemas
from images.api import api as ninja
from images.errors import no_such_route
from usage import api_routes, routes
from usage import schemas as usage_schemas

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


@pytest.fixture
def document(api):
    answer = api.get("/api/v1/openapi.json")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.usefixtures("store")
class TestOpenApi:
    def test_lists_every_operation_but_itself(self, document):
        listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        expected = {
            (method, path.replace("job_x", "{job_id}").replace("downloads/x", "downloads/{token}"))
            for method, path in OPERATIONS
        }
        assert document["openapi"].startswith("3.1")
        assert listed == expected - {("GET", "/api/v1/openapi.json")}

    @pytest.mark.parametrize(
        ("path", "needed", "more"),
        [
            ("/api/v1/convert", {"file", "output_format"}, {"quality", "width", "height", "async"}),
            ("/convert", {"file", "targetFormat"}, {"quality", "width", "height", "async"}),
            ("/api/v1/compress", {"file"}, {"quality", "target_bytes", "async"}),
            ("/compress", {"file"}, {"quality", "target_bytes", "async"}),
            ("/api/v1/batch", {"files", "output_format"}, {"quality", "width", "height"}),
        ],
    )
    def test_describes_the_form_as_the_route_takes_it(self, document, path, needed, more):
        operation = document["paths"][path]["post"]
        form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
        assert form["properties"].keys() == needed | more | {"webhook_url"}
        assert set(form["required"]) == needed

    def test_names_each_operation_once(self, document):
        names = [
            operation["operationId"]
            for methods in document["paths"].values()
            for operation in methods.values()
        ]
        assert len(names) == len(set(names))

    def test_is_valid(self, document):
        OpenAPIV31SpecValidator(document).validate()

    def test_describes_every_schema_and_each_of_its_fields(self, document):
        for name, schema in document["components"]["schemas"].items():
            assert schema.get("description") or "enum" in schema, name
            for field, told in schema.get("properties", {}).items():
                assert told.get("description") or "$ref" in told, f"{name}.{field}"
        for path, methods in document["paths"].items():
            for operation in methods.values():
                assert operation["description"], path
                form = operation.get("requestBody", {}).get("content", {}).get("multipart/form-data", {})
                for field, told in form.get("schema", {}).get("properties", {}).items():
                    assert told.get("description"), f"{path} {field}"
                assert all(parameter["description"] for parameter in operation.get("parameters", []))

    def test_takes_no_schema_for_another_of_the_same_name(self):
        # ninja would show one of them in both places.
        models = [
            model
            for module in (images_schemas, usage_schemas)
            for model in vars(module).values()
            if isinstance(model, type) and issubclass(model, Schema) and model is not Schema
        ]
        assert len({model.__name__ for model in models}) == len(set(models))

    def test_says_which_refusals_a_route_gives(self, document):
        given = document["paths"]["/api/v1/convert"]["post"]["responses"].keys()
        assert {"200", "202", "400", "401", "413", "415", "422", "429", "503"} <= given


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
