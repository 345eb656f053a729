"""The OpenAPI document as a page shows it: nothing is said here that isn't said there."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from images import openapi

JSON = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Type:
    """What a value is, in words; `anchor` leads to the schema that says more, `name` is its name."""

    words: str
    name: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter, a form's field, a header or a property of an object."""

    name: str
    type: Type
    is_required: bool
    description: str
    place: str = ""  # of a parameter: path, query or header


@dataclass(frozen=True, slots=True)
class Content:
    """A body by its content type; the fields are given where no named schema has them."""

    content_type: str
    type: Type
    description: str
    fields: list[Field]
    examples: list[tuple[str, str]]  # a label, which may be empty, and the text


@dataclass(frozen=True, slots=True)
class Example:
    """`anchor` is its id on the page."""

    anchor: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    phrase: str
    description: str
    headers: list[Field]
    contents: list[Content]


@dataclass(frozen=True, slots=True)
class Operation:
    anchor: str
    method: str
    path: str
    summary: str
    description: str
    needs_key: bool
    parameters: list[Field]
    bodies: list[Content]
    answers: list[Answer]
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class Group:
    """Operations under one tag."""

    anchor: str
    name: str
    operations: list[Operation]


@dataclass(frozen=True, slots=True)
class Shape:
    """A named schema."""

    anchor: str
    name: str
    description: str
    type: Type
    fields: list[Field]
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class Reference:
    """The whole document; `headers` are those that answers name, each once."""

    description: str
    keys: list[Field]
    groups: list[Group]
    headers: list[Field]
    shapes: list[Shape]


@lru_cache(maxsize=1)
def in_force() -> Reference:
    """Of this server's document, which is the same as long as the process lives."""
    return reference_of(openapi.document())


def reference_of(document: JSON) -> Reference:
    return _Reader(document).reference()


class _Reader:
    def __init__(self, document: JSON) -> None:
        self.document = document
        self.headers: dict[str, Field] = {}

    def reference(self) -> Reference:
        components = self.document.get("components", {})
        groups = list(self._groups())
        return Reference(
            description=self.document["info"].get("description", ""),
            keys=[_key(one) for one in components.get("securitySchemes", {}).values()],
            groups=groups,
            headers=list(self.headers.values()),
            shapes=[self._shape(name, schema) for name, schema in components.get("schemas", {}).items()],
        )

    def _groups(self) -> Iterator[Group]:
        by_tag: dict[str, list[Operation]] = {}
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    tag = (item[method].get("tags") or ["other"])[0]
                    operation = self._operation(path, method, item[method], item.get("parameters", []))
                    by_tag.setdefault(tag, []).append(operation)
        for tag, operations in by_tag.items():
            yield Group(f"tag-{tag.replace(' ', '-')}", tag[:1].upper() + tag[1:], operations)

    def _operation(self, path: str, method: str, told: JSON, of_path: list[JSON]) -> Operation:
        anchor = told.get("operationId") or f"{method}-{path.strip('/').replace('/', '-')}"
        security = told.get("security", self.document.get("security", []))
        parameters = [self._resolved(one) for one in (*of_path, *told.get("parameters", []))]
        bodies = self._contents(self._resolved(told.get("requestBody", {})).get("content", {}))
        answers = [
            self._answer(status, self._resolved(one)) for status, one in sorted(told["responses"].items())
        ]
        shown = [("Request", body) for body in bodies]
        shown += [(f"Answer {answer.status}", content) for answer in answers for content in answer.contents]
        return Operation(
            anchor=anchor,
            method=method.upper(),
            path=path,
            summary=told.get("summary", ""),
            description=told.get("description", ""),
            needs_key=bool(security) and {} not in security,
            parameters=[self._parameter(one) for one in parameters],
            bodies=bodies,
            answers=answers,
            examples=[
                Example(f"{anchor}-{place}", ": ".join(filter(None, (whose, label))), text)
                for place, (whose, label, text) in enumerate(
                    (whose, label, text) for whose, content in shown for label, text in content.examples
                )
            ],
        )

    def _parameter(self, told: JSON) -> Field:
        schema = told.get("schema", {})
        description = told.get("description") or schema.get("description", "")
        return Field(told["name"], self._type(schema), told.get("required", False), description, told["in"])

    def _answer(self, status: str, told: JSON) -> Answer:
        headers = [self._header(name, one) for name, one in told.get("headers", {}).items()]
        for header in headers:
            self.headers.setdefault(header.name, header)
        return Answer(
            status=status,
            phrase=HTTPStatus(int(status)).phrase if status.isdecimal() else "",
            description=told.get("description", ""),
            headers=headers,
            contents=self._contents(told.get("content", {})),
        )

    def _header(self, name: str, told: JSON) -> Field:
        told = self._resolved(told)
        schema = told.get("schema", {})
        description = told.get("description") or schema.get("description", "")
        return Field(name, self._type(schema), told.get("required", False), description)

    def _contents(self, told: JSON) -> list[Content]:
        return [self._content(content_type, one) for content_type, one in told.items()]

    def _content(self, content_type: str, told: JSON) -> Content:
        schema = told.get("schema", {})
        named = "$ref" in schema
        return Content(
            content_type=content_type,
            type=self._type(schema),
            description="" if named else schema.get("description", ""),
            fields=[] if named else self._fields(schema),
            examples=self._examples(told),
        )

    def _examples(self, told: JSON) -> list[tuple[str, str]]:
        """A body's `example` or named `examples`, or a schema's list of them."""
        if "example" in told:
            return [("", _written(told["example"]))]
        examples = told.get("examples", [])
        if not isinstance(examples, Mapping):
            return [("", _written(one)) for one in examples]
        known = {name: self._resolved(one) for name, one in examples.items()}
        return [
            (one.get("summary", name), _written(one["value"]))
            for name, one in known.items()
            if "value" in one
        ]

    def _shape(self, name: str, schema: JSON) -> Shape:
        return Shape(
            anchor=_anchor(name),
            name=name,
            description=schema.get("description", ""),
            type=self._type(schema),
            fields=self._fields(schema),
            examples=[
                Example(f"{_anchor(name)}-{place}", f"{name}, for example", text)
                for place, (_, text) in enumerate(self._examples(schema))
            ],
        )

    def _fields(self, schema: JSON) -> list[Field]:
        if "allOf" in schema:
            return [field for one in schema["allOf"] for field in self._fields(self._resolved(one))]
        required = schema.get("required", [])
        return [
            Field(name, self._type(one), name in required, _told_of(one))
            for name, one in schema.get("properties", {}).items()
        ]

    def _type(self, schema: JSON) -> Type:
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            return Type("", name, _anchor(name))
        options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        if options:
            return _either([self._type(one) for one in options])
        kind = schema.get("type")
        if isinstance(kind, list):
            return _either([self._type({**schema, "type": one}) for one in kind])
        if kind == "array":
            of = self._type(schema.get("items", {}))
            bounds = _bounds(schema, "minItems", "maxItems")
            return Type(
                f"list of{f' {bounds}' if bounds else ''}" + (f" {of.words}" if of.words else ""),
                of.name,
                of.anchor,
            )
        return Type(_in_words(schema))

    def _resolved(self, told: JSON) -> JSON:
        """What a reference stands for; anything else is itself."""
        reference = told.get("$ref")
        if reference is None:
            return told
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return self._resolved(found)


def _key(scheme: JSON) -> Field:
    if scheme["type"] == "http":
        return Field("Authorization", Type("Bearer KEY"), False, scheme.get("description", ""))
    return Field(scheme["name"], Type("KEY"), False, scheme.get("description", ""))


def _anchor(name: str) -> str:
    return f"schema-{name}"


def _either(types: Iterable[Type]) -> Type:
    """One of several; of those with a name the first is linked to."""
    types = list(types)
    named = next((one for one in types if one.name), Type(""))
    others = [one.words or one.name for one in types if one is not named]
    if not named.name:
        return Type(" or ".join(others))
    return Type("".join(f"{word} or " for word in others) + named.words, named.name, named.anchor)


def _in_words(schema: JSON) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(one) for one in schema["enum"])
    kind = str(schema.get("type", "anything"))
    if schema.get("format") == "binary" or "contentMediaType" in schema:
        return "file"
    if schema.get("format") == "date-time":
        return "time"
    words = {"integer": "whole number", "string": "text", "boolean": "true or false"}.get(kind, kind)
    if kind == "integer" or kind == "number":
        bounds = _bounds(schema, "minimum", "maximum")
        return f"{words} {bounds}" if bounds else words
    if kind == "string" and "maxLength" in schema:
        return f"{words} of at most {schema['maxLength']:,} characters"
    return words


def _bounds(schema: JSON, least: str, most: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is not None and high is not None:
        return f"from {low:,} to {high:,}"
    if low is not None:
        return f"from {low:,} on"
    return "" if high is None else f"up to {high:,}"


def _told_of(schema: JSON) -> str:
    """The description, with the default and an example where there are any."""
    told = [schema.get("description", "")]
    if schema.get("default") is not None:
        told.append(f"Default: `{_short(schema['default'])}`.")
    if schema.get("examples"):
        told.append(f"Such as `{_short(schema['examples'][0])}`.")
    return " ".join(filter(None, told))


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
