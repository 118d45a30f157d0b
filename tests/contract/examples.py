"""Objects of the published shape, made from the description itself: the judge must find nothing in them."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.contract.stripe_shape import Schema, Shape

DEEPEST = 6  # below this, only what must be there
OPTIONAL_SHARE = 0.3


def example(shape: Shape, name: str, random: Random) -> dict[str, Any]:
    """One object of this name, with a random choice of its optional fields, ids or objects, nulls or values."""
    made: dict[str, Any] = _value(shape, {"$ref": name}, random, 0)
    return made


def _value(shape: Shape, schema: Schema, random: Random, depth: int) -> Any:
    deep = depth >= DEEPEST
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        made = _value(shape, shape.schemas[name], random, depth)
        return made | {"data": {"object": example(shape, "refund", random)}} if name == "event" else made
    if schema.get("nullable") and (deep or random.random() < 0.5):
        return None
    if "anyOf" in schema:
        return _value(shape, schema["anyOf"][0] if deep else random.choice(schema["anyOf"]), random, depth + 1)
    if schema.get("type") == "object":
        always = {*schema.get("required", []), *schema.get("x-expected", [])}
        chosen = [
            name for name in schema.get("properties", {}) if name in always or (not deep and random.random() < OPTIONAL_SHARE)
        ]
        return {name: _value(shape, schema["properties"][name], random, depth + 1) for name in chosen}
    if schema.get("type") == "array":
        return [_value(shape, schema["items"], random, depth + 1) for _ in range(0 if deep else random.randrange(3))]
    return _scalar(schema, random)


def _scalar(schema: Schema, random: Random) -> Any:
    if "enum" in schema:
        return random.choice(schema["enum"])
    if schema.get("format") == "decimal":
        return "12.5"
    return {"string": "text", "integer": 7, "number": 0.5, "boolean": True, None: "anything"}[schema.get("type")]
