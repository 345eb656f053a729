"""The OpenAPI document as a page shows it: nothing is said here that isn't said there."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from images import openapi
from images.docs.schemas import JSON, Field, Type, example_of, fields_of, short, type_of, written

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Example:
    """`anchor` is its id on the page."""

    anchor: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """A body by its content type; the fields are given where no named schema has them."""

    content_type: str
    type: Type
    description: str
    fields: list[Field]


@dataclass(frozen=True, slots=True)
class Answer:
    """`anchor` leads to what several routes share. It has the usual headers if `is_usual`, and `headers`."""

    status: str
    phrase: str
    description: str
    anchor: str
    is_usual: bool
    headers: list[str]
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
    description: str
    operations: list[Operation]


@dataclass(frozen=True, slots=True)
class Part:
    """Something with a name that others refer to: a schema, or an answer."""

    anchor: str
    name: str
    description: str
    type: Type
    fields: list[Field]
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class Reference:
    """The whole document; `usual` are the headers that most answers have."""

    description: str
    keys: list[Field]
    groups: list[Group]
    usual: list[str]
    headers: list[Field]
    answers: list[Part]
    schemas: list[Part]


@lru_cache(maxsize=1)
def in_force() -> Reference:
    """Of this server's document, which is the same as long as the process lives."""
    return reference_of(openapi.document())


def reference_of(document: JSON) -> Reference:
    return _Reader(document).reference()


class _Reader:
    def __init__(self, document: JSON) -> None:
        self.document = document
        self.components: JSON = document.get("components", {})
        self.usual = self._usual_headers()

    def reference(self) -> Reference:
        schemes, headers = self.components.get("securitySchemes", {}), self.components.get("headers", {})
        return Reference(
            description=self.document["info"].get("description", ""),
            keys=[_key(one) for one in schemes.values()],
            groups=list(self._groups()),
            usual=self.usual,
            headers=[_named(name, self._resolved(told)) for name, told in headers.items()],
            answers=[self._shared(*one) for one in self.components.get("responses", {}).items()],
            schemas=[_schema(*one) for one in self.components.get("schemas", {}).items()],
        )

    def _groups(self) -> Iterator[Group]:
        told = {tag["name"]: tag.get("description", "") for tag in self.document.get("tags", [])}
        by_tag: dict[str, list[Operation]] = {tag: [] for tag in told}
        for path, method, operation in self._operations():
            tag = (operation.get("tags") or ["other"])[0]
            by_tag.setdefault(tag, []).append(self._operation(path, method, operation))
        for tag, operations in by_tag.items():
            if operations:
                name = tag[:1].upper() + tag[1:]
                yield Group(f"tag-{tag.replace(' ', '-')}", name, told.get(tag, ""), operations)

    def _operations(self) -> Iterator[tuple[str, str, JSON]]:
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    parameters = [*item.get("parameters", []), *item[method].get("parameters", [])]
                    yield path, method, {**item[method], "parameters": parameters}

    def _operation(self, path: str, method: str, told: JSON) -> Operation:
        anchor = told.get("operationId") or f"{method}-{path.strip('/').replace('/', '-')}"
        security = told.get("security", self.document.get("security", []))
        body = self._resolved(told.get("requestBody", {}))
        shown = [("Request", body)]
        # What several routes share is shown once, with its examples.
        shown += [(f"Answer {status}", one) for status, one in told["responses"].items() if "$ref" not in one]
        return Operation(
            anchor=anchor,
            method=method.upper(),
            path=path,
            summary=told.get("summary", ""),
            description=told.get("description", ""),
            needs_key=bool(security) and {} not in security,
            parameters=[_parameter(self._resolved(one)) for one in told["parameters"]],
            bodies=_contents(body),
            answers=[self._answer(*one) for one in sorted(told["responses"].items())],
            examples=self._examples(anchor, shown),
        )

    def _answer(self, status: str, told: JSON) -> Answer:
        anchor = _answer_anchor(_last(told["$ref"])) if "$ref" in told else ""
        told = self._resolved(told)
        names = list(told.get("headers", {}))
        is_usual = bool(self.usual) and set(self.usual) <= set(names)
        return Answer(
            status=status,
            phrase=HTTPStatus(int(status)).phrase if status.isdecimal() else "",
            description=told.get("description", ""),
            anchor=anchor,
            is_usual=is_usual,
            headers=[name for name in names if not (is_usual and name in self.usual)],
            contents=_contents(told),
        )

    def _shared(self, name: str, told: JSON) -> Part:
        anchor = _answer_anchor(name)
        examples = self._examples(anchor, [("", told)])
        return Part(anchor, name, told.get("description", ""), Type(""), [], examples)

    def _examples(self, anchor: str, shown: list[tuple[str, JSON]]) -> list[Example]:
        """Of bodies; each comes with whose it is."""
        found = [
            (" ".join(filter(None, (whose, name, f"({content_type})"))), text)
            for whose, told in shown
            for content_type, content in told.get("content", {}).items()
            for name, text in self._examples_of(content)
        ]
        return [Example(f"{anchor}-{place}", label, text) for place, (label, text) in enumerate(found, 1)]

    def _examples_of(self, content: JSON) -> Iterator[tuple[str, str]]:
        if "example" in content:
            yield "", written(content["example"])
        for name, example in content.get("examples", {}).items():
            example = self._resolved(example)
            if "value" in example:
                yield example.get("summary", name), written(example["value"])

    def _usual_headers(self) -> list[str]:
        answers = [
            self._resolved(answer)
            for _, _, told in self._operations()
            for answer in told["responses"].values()
        ]
        counted = Counter(name for answer in answers for name in answer.get("headers", {}))
        return [name for name, count in counted.items() if 2 * count > len(answers)]

    def _resolved(self, told: JSON) -> JSON:
        """What a reference stands for; anything else is itself."""
        reference = told.get("$ref")
        if reference is None:
            return told
        found: Any = self.document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return self._resolved(found)


def _contents(told: JSON) -> list[Content]:
    return [
        _content(content_type, one.get("schema", {})) for content_type, one in told.get("content", {}).items()
    ]


def _content(content_type: str, schema: JSON) -> Content:
    named = "$ref" in schema
    description = "" if named else schema.get("description", "")
    return Content(content_type, type_of(schema), description, [] if named else fields_of(schema))


def _parameter(told: JSON) -> Field:
    where = f"in the {told['in']}"
    return _named(told["name"], told, f"{where}, required" if told.get("required") else where)


def _named(name: str, told: JSON, note: str = "") -> Field:
    """A parameter or a header: what is told of it stands beside its schema."""
    schema = told.get("schema", {})
    description = told.get("description") or schema.get("description", "")
    if "example" in told:
        description = f"{description} Such as `{short(told['example'])}`."
    elif example := example_of(schema):
        description = f"{description} {example}"
    return Field(name, type_of(schema), note, description)


def _key(scheme: Mapping[str, str]) -> Field:
    if scheme["type"] == "http":
        return Field("Authorization", Type("Bearer KEY"), "", scheme.get("description", ""))
    return Field(scheme["name"], Type("KEY"), "", scheme.get("description", ""))


def _schema(name: str, schema: JSON) -> Part:
    anchor = type_of({"$ref": name}).anchor
    # Of an object: a text's or number's own are told with each field that is one.
    examples = schema.get("examples", []) if "properties" in schema else []
    return Part(
        anchor=anchor,
        name=name,
        description=schema.get("description", ""),
        type=type_of(schema),
        fields=fields_of(schema),
        examples=[
            Example(f"{anchor}-{place}", f"{name}, for example", written(one))
            for place, one in enumerate(examples, 1)
        ],
    )


def _answer_anchor(name: str) -> str:
    return f"answer-{name}"


def _last(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]
