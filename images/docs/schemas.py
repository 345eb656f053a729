"""JSON schemas in words, as the reference shows them: `whole number from 1 to 100`, `list of JobState`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

JSON = Mapping[str, Any]

_WORDS = {"integer": "whole number", "string": "text", "boolean": "true or false"}


@dataclass(frozen=True, slots=True)
class Type:
    """What a value is: words, and behind them the name of a schema that says more, with its anchor."""

    words: str
    name: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A property of an object, a form's field, a parameter or a header; `note` is told below its name."""

    name: str
    type: Type
    note: str
    description: str


def fields_of(schema: JSON) -> list[Field]:
    """Of an object; none of anything else."""
    required = schema.get("required", [])
    return [
        Field(name, type_of(one), "required" if name in required else "", _told_of(one))
        for name, one in schema.get("properties", {}).items()
    ]


def type_of(schema: JSON) -> Type:
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return Type("", name, f"schema-{name}")
    options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    if options:
        return _either(type_of(one) for one in options)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _either(type_of({**schema, "type": one}) for one in kind)
    if kind == "array":
        of = type_of(schema.get("items", {}))
        bounds = _bounds(schema, "minItems", "maxItems")
        return Type(" ".join(filter(None, ("list of", bounds, of.words))), of.name, of.anchor)
    return Type(_in_words(schema))


def example_of(schema: JSON) -> str:
    """The first of its examples in a sentence, if it has any."""
    examples = schema.get("examples")
    return f"Such as `{short(examples[0])}`." if examples else ""


def short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def _told_of(schema: JSON) -> str:
    default = schema.get("default")
    told = f"Default: `{short(default)}`." if default is not None else ""
    return " ".join(filter(None, (schema.get("description", ""), told, example_of(schema))))


def _either(types: Iterable[Type]) -> Type:
    """One of several; of those with a name the first is linked to."""
    types = list(types)
    named = next((one for one in types if one.name), Type(""))
    others = [one.words or one.name for one in types if one is not named]
    if not named.name:
        return Type(" or ".join(others))
    return Type("".join(f"{other} or " for other in others) + named.words, named.name, named.anchor)


def _in_words(schema: JSON) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(one) for one in schema["enum"])
    kind, form = str(schema.get("type", "anything")), schema.get("format")
    if form == "binary" or "contentMediaType" in schema:
        return "file"
    if form == "date-time":
        return "time"
    words = _WORDS.get(kind, kind)
    if bounds := _bounds(schema, "minimum", "maximum"):
        return f"{words} {bounds}"
    if "maxLength" in schema:
        return f"{words} of at most {schema['maxLength']:,} characters"
    return words


def _bounds(schema: JSON, least: str, most: str) -> str:
    low, high = schema.get(least), schema.get(most)
    if low is not None and high is not None:
        return f"from {low:,} to {high:,}"
    if low is not None:
        return f"from {low:,} on"
    return "" if high is None else f"up to {high:,}"
