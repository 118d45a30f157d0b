"""Judges calls to Stripe by the shape that Stripe publishes (`data/stripe-openapi-2026-08-26.json`).

Stricter than OpenAPI where the live API is: a field that the description does not know is an error, and so is a
nullable field left out although Stripe always sends it (`x-expected` in the description). Every error is one string,
"place: what is wrong"; a place in a request is spelled as Stripe's own `param` is (`line_items[0][price]`), one in an
answer with dots (`data[0].card.brand`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.contract.form import Form, FormError, read_form

DESCRIPTION = Path(__file__).parent / "data" / "stripe-openapi-2026-08-26.json"
ERROR_STATUSES = frozenset({400, 401, 402, 403, 404, 409, 424, 429, 500, 502, 503, 504})  # docs.stripe.com/api/errors
LONGEST_STRING = 5000  # where a parameter states no limit of its own
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500  # docs.stripe.com/api/metadata
LARGEST_PAGE = 100  # docs.stripe.com/api/pagination
INTEGER = re.compile(r"-?[0-9]+")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")

Schema = dict[str, Any]
Operation = dict[str, Any]


class Shape:
    """Stripe's published description, with the three questions that a test asks of it."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.schemas: dict[str, Schema] = description["components"]["schemas"]
        paths = description["paths"].items()
        by_fixed_segments_first = sorted(paths, key=lambda entry: entry[0].count("{"))
        self.routes = [(_path_pattern(path), methods) for path, methods in by_fixed_segments_first]

    @classmethod
    def load(cls, path: Path = DESCRIPTION) -> Shape:
        return cls(json.loads(path.read_text()))

    def request_errors(self, method: str, path: str, body: bytes | str = b"", query: str = "") -> list[str]:
        """What is wrong with a request; Stripe takes parameters from the body and from the query alike."""
        operation = self._operation(method, path)
        if operation is None:
            return [f"{method} {path}: no such method or path"]
        text = body.decode() if isinstance(body, bytes) else body
        try:
            form = read_form([*_pairs(query), *_pairs(text)])
        except FormError as error:
            return [str(error)]
        return list(_parameter_errors(form, _parameters(operation), ""))

    def response_errors(self, method: str, path: str, status: int, obj: object) -> list[str]:
        """What is wrong with the decoded JSON of an answer."""
        operation = self._operation(method, path)
        if status == 200 and operation is not None:
            return list(self._value_errors(obj, _answer(operation), ""))
        if status in ERROR_STATUSES:
            return list(self._value_errors(obj, self.schemas["error"], ""))
        if operation is None:
            return [f"{method} {path}: no such method or path, yet answered {status}"]
        return [f"(root): Stripe answers with no status {status}"]

    def object_errors(self, name: str, obj: object) -> list[str]:
        """What is wrong with one object of this name (`checkout.session`)."""
        if name not in self.schemas:
            return [f"(root): no object named {name!r} is published"]
        return list(self._value_errors(obj, _reference(name), ""))

    def _operation(self, method: str, path: str) -> Operation | None:
        matching = [methods for pattern, methods in self.routes if pattern.fullmatch(path)]
        return next((methods[method.lower()] for methods in matching if method.lower() in methods), None)

    # Answers: JSON values against the schema, strictly.

    def _value_errors(self, value: object, schema: Schema, place: str) -> Iterator[str]:
        name = _referred(schema)
        if name is not None:
            schema = self.schemas[name]
        if not schema:
            return  # the description allows anything here
        if value is None:
            if not schema.get("nullable", False):
                yield _error(place, "must not be null")
        elif "anyOf" in schema:
            yield from self._alternative_errors(value, schema["anyOf"], place)
        elif not _is_of_type(value, schema["type"]):
            yield _error(place, f"expected {schema['type']}, got {_type_name(value)}")
        elif isinstance(value, dict):
            yield from self._hash_errors(value, schema, place)
            if name == "event":
                yield from self._event_errors(value, place)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._value_errors(item, schema["items"], f"{place}[{index}]")
        elif "enum" in schema and value not in schema["enum"]:
            yield _error(place, _not_one_of(value, schema["enum"]))
        elif schema.get("format") == "decimal" and not NUMBER.fullmatch(str(value)):
            yield _error(place, f"{value!r} is not a decimal number")

    def _hash_errors(self, value: dict[str, object], schema: Schema, place: str) -> Iterator[str]:
        fields: dict[str, Schema] = schema.get("properties", {})
        others: Schema | None = schema.get("additionalProperties")
        for name in schema.get("required", []):
            if name not in value:
                yield _error(_field(place, name), "required, but left out")
        for name in schema.get("x-expected", []):
            if name not in value:
                yield _error(_field(place, name), "left out, though Stripe always sends it, null if empty")
        for name, item in value.items():
            known = fields.get(name, others)
            if known is None:
                yield _error(_field(place, name), "unknown field")
            else:
                yield from self._value_errors(item, known, _field(place, name))

    def _alternative_errors(self, value: object, alternatives: list[Schema], place: str) -> Iterator[str]:
        """By the alternative that the value names itself (an id is the string among them), else by the nearest."""
        if isinstance(value, dict):
            named = [one for one in alternatives if _referred(one) == _own_name(value)]
            hashes = [one for one in alternatives if one.get("type", "object") == "object"]
            alternatives = named or hashes or alternatives
        yield from _fewest([list(self._value_errors(value, one, place)) for one in alternatives])

    def _event_errors(self, event: dict[str, object], place: str) -> Iterator[str]:
        """What an event carries, by its own `object`; what it says has changed must be fields of that."""
        data = event.get("data")
        carried = data.get("object") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(carried, dict):
            return  # reported already, by the event's own schema
        inside = _field(place, "data.object")
        name = _own_name(carried)
        if name not in self.schemas:
            yield _error(inside, f"no object named {name!r} is published")
            return
        yield from self._value_errors(carried, _reference(name), inside)
        previous = data.get("previous_attributes")
        for changed in previous if isinstance(previous, dict) else ():
            if changed not in self.schemas[name]["properties"]:
                yield _error(_field(place, f"data.previous_attributes.{changed}"), "unknown field")


# Requests: form parameters, all of them text or hashes of text, against the schema.


def _parameter_errors(value: Form, schema: Schema, place: str) -> Iterator[str]:
    if "anyOf" in schema:
        yield from _parameter_alternative_errors(value, schema["anyOf"], place)
    elif schema["type"] == "object":
        yield from _parameter_hash_errors(value, schema, place)
    elif schema["type"] == "array":
        yield from _parameter_list_errors(value, schema, place)
    elif isinstance(value, dict):
        yield _error(place, f"expected {schema['type']}, got a hash")
    else:
        yield from _scalar_errors(value, schema, place)


def _parameter_alternative_errors(value: Form, alternatives: list[Schema], place: str) -> Iterator[str]:
    """By the nearest alternative; one that stands for "unset this" (an empty string) explains nothing but itself."""
    if value != "":
        alternatives = [one for one in alternatives if one.get("enum") != [""]]
    same_kind = [one for one in alternatives if (one["type"] in ("object", "array")) == isinstance(value, dict)]
    alternatives = same_kind or alternatives
    yield from _fewest([list(_parameter_errors(value, one, place)) for one in alternatives])


def _parameter_hash_errors(value: Form, schema: Schema, place: str) -> Iterator[str]:
    if isinstance(value, str):
        yield _error(place, "expected a hash")
        return
    fields: dict[str, Schema] = schema.get("properties", {})
    others: Schema | bool = schema.get("additionalProperties", False)
    for name in schema.get("required", []):
        if name not in value:
            yield _error(_parameter(place, name), "required, but left out")
    for name, item in value.items():
        known = fields.get(name, others)
        if isinstance(known, bool):
            yield _error(_parameter(place, name), "unknown parameter")
        else:
            yield from _parameter_errors(item, known, _parameter(place, name))
    if place == "metadata" or place.endswith("[metadata]"):
        yield from _metadata_errors(value, place)


def _parameter_list_errors(value: Form, schema: Schema, place: str) -> Iterator[str]:
    if value == "":
        return  # how the SDKs send an empty list
    if isinstance(value, str) or not all(index.isdecimal() for index in value):
        yield _error(place, "expected a list")
        return
    for index in sorted(value, key=int):
        yield from _parameter_errors(value[index], schema["items"], f"{place}[{index}]")


def _scalar_errors(value: str, schema: Schema, place: str) -> Iterator[str]:
    longest = schema.get("maxLength", LONGEST_STRING)
    if schema["type"] == "integer" and not INTEGER.fullmatch(value):
        yield _error(place, f"{value!r} is not an integer")
    elif schema["type"] == "boolean" and value not in ("true", "false"):
        yield _error(place, f"{value!r} is neither true nor false")
    elif (schema["type"] == "number" or schema.get("format") == "decimal") and not NUMBER.fullmatch(value):
        yield _error(place, f"{value!r} is not a number")
    elif "enum" in schema and value not in schema["enum"] and not schema.get("x-stripeBypassValidation", False):
        yield _error(place, _not_one_of(value, schema["enum"]))
    elif len(value) > longest:
        yield _error(place, f"longer than {longest} characters")
    elif place == "limit" and not 1 <= int(value) <= LARGEST_PAGE:
        yield _error(place, f"must be between 1 and {LARGEST_PAGE}")


def _metadata_errors(metadata: dict[str, Form], place: str) -> Iterator[str]:
    if len(metadata) > METADATA_KEYS:
        yield _error(place, f"more than {METADATA_KEYS} keys")
    for key, value in metadata.items():
        if len(key) > METADATA_KEY_LENGTH:
            yield _error(_parameter(place, key), f"key longer than {METADATA_KEY_LENGTH} characters")
        if isinstance(value, str) and METADATA_VALUE_LENGTH < len(value) <= LONGEST_STRING:
            yield _error(_parameter(place, key), f"longer than {METADATA_VALUE_LENGTH} characters")


def _parameters(operation: Operation) -> Schema:
    """One schema for all that an operation takes, wherever it is put."""
    query = [parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"]
    form: Schema = {"properties": {}}
    if "requestBody" in operation:
        form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    required = chain(form.get("required", []), (parameter["name"] for parameter in query if parameter["required"]))
    properties = form["properties"] | {parameter["name"]: parameter["schema"] for parameter in query}
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def _answer(operation: Operation) -> Schema:
    schema: Schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    return schema


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def _path_pattern(path: str) -> re.Pattern[str]:
    return re.compile("/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in path.split("/")))


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _referred(schema: Schema) -> str | None:
    return str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else None


def _own_name(value: dict[str, object]) -> str:
    return f"deleted_{value.get('object')}" if value.get("deleted") else str(value.get("object"))


def _fewest(findings: list[list[str]]) -> list[str]:
    return min(findings, key=len)


def _is_of_type(value: object, expected: str) -> bool:
    return _type_name(value) == expected or (expected == "number" and _type_name(value) == "integer")


def _type_name(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names[type(value)]


def _not_one_of(value: object, allowed: list[str]) -> str:
    shown = ", ".join(allowed[:8]) + (", ..." if len(allowed) > 8 else "")
    return f"{value!r} is not one of {shown}"


def _field(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _parameter(place: str, name: str) -> str:
    return f"{place}[{name}]" if place else name


def _error(place: str, what: str) -> str:
    return f"{place or '(root)'}: {what}"
