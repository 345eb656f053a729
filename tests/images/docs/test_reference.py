"""The API reference says all that the OpenAPI document says."""

import pytest

from images.docs.reference import METHODS, in_force, reference_of
from images.docs.schemas import Type, fields_of, type_of
from images.openapi import document

pytestmark = pytest.mark.django_db


@pytest.fixture
def operations():
    return {(one.method, one.path): one for group in in_force().groups for one in group.operations}


def test_every_operation_is_there_with_its_parameters_fields_and_answers(operations):
    told = document()
    expected = {
        (method.upper(), path): one
        for path, item in told["paths"].items()
        for method, one in item.items()
        if method in METHODS
    }
    assert set(operations) == set(expected)
    for where, one in expected.items():
        shown = operations[where]
        assert [answer.status for answer in shown.answers] == sorted(one["responses"])
        assert [field.name for field in shown.parameters] == [
            each["name"] for each in one.get("parameters", [])
        ]
        for body, content in zip(
            shown.bodies, one.get("requestBody", {}).get("content", {}).values(), strict=True
        ):
            if "properties" in content["schema"]:
                assert {field.name for field in body.fields} == set(content["schema"]["properties"])


def test_all_headers_schemas_and_shared_answers_are_there(client):
    told, text = document()["components"], client.get("/docs/api/").content.decode()
    for name in told.get("headers", {}):
        assert f'id="header-{name.lower()}"' in text
    for name in told["schemas"]:
        assert f'id="schema-{name}"' in text
    for name in told.get("responses", {}):
        assert f'id="answer-{name}"' in text


def test_the_documents_own_words_are_escaped():
    found = reference_of({"info": {"description": "<b>"}, "paths": {}, "components": {}})
    assert found.description == "<b>"


def test_what_most_answers_have_is_told_once():
    usual = {"X-A": {"schema": {"type": "integer"}}, "X-B": {"schema": {"type": "string"}}}
    responses = {
        "200": {"description": "Fine.", "headers": usual | {"Location": {}}},
        "400": {"description": "Wrong.", "headers": usual},
        "503": {"description": "Away.", "headers": {"X-A": {}}},
    }
    paths = {"/things/{id}": {"get": {"responses": responses}}}
    found = reference_of({"info": {}, "paths": paths})
    assert found.usual == ["X-A", "X-B"]
    ((group,), (fine, wrong, away)) = found.groups, found.groups[0].operations[0].answers
    assert (group.name, group.operations[0].anchor) == ("Other", "get-things-{id}")
    assert (fine.is_usual, fine.headers) == (True, ["Location"])
    assert (wrong.is_usual, wrong.headers) == (True, [])
    assert (away.is_usual, away.headers) == (False, ["X-A"])


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "integer", "minimum": 1, "maximum": 30_000}, "whole number from 1 to 30,000"),
        ({"type": "integer", "minimum": 0}, "whole number from 0 on"),
        ({"anyOf": [{"type": "integer", "maximum": 9}, {"type": "null"}]}, "whole number up to 9 or null"),
        ({"type": ["string", "null"]}, "text or null"),
        ({"type": "string", "maxLength": 2000}, "text of at most 2,000 characters"),
        ({"type": "string", "format": "binary"}, "file"),
        (
            {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": 50},
            "list of up to 50 file",
        ),
        ({"enum": ["a", "b"], "type": "string"}, '"a" or "b"'),
        ({"const": "done"}, '"done"'),
        ({}, "anything"),
    ],
)
def test_a_schema_is_told_in_words(schema, words):
    assert type_of(schema) == Type(words)


def test_a_schema_with_a_name_is_linked_to():
    named = {"$ref": "#/components/schemas/Picture"}
    assert type_of(named) == Type("", "Picture", "schema-Picture")
    assert type_of({"type": "array", "items": named}) == Type("list of", "Picture", "schema-Picture")
    assert type_of({"anyOf": [named, {"type": "null"}]}) == Type("null or ", "Picture", "schema-Picture")


def test_a_fields_default_and_example_are_told():
    (field,) = fields_of(
        {"properties": {"async": {"type": "boolean", "default": False, "description": "At once."}}}
    )
    assert (field.note, field.description) == ("", "At once. Default: `false`.")
    (field,) = fields_of(
        {"properties": {"id": {"type": "string", "examples": ["job_1"]}}, "required": ["id"]}
    )
    assert (field.note, field.description) == ("required", "Such as `job_1`.")
