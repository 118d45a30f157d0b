"""Rewrite parameters.json from Stripe's published OpenAPI description: `python -m sandbox.make_parameters SPEC.json`.

Only facts about requests are kept (names, types, limits), in the small notation that parameters.py reads:
"s" string, "s22" string of at most 22, "i" integer, "n" number, "b" boolean, ["e", ...] enum, ["a", node] array,
["m", node] free hash, ["|", node, ...] alternatives, {"name": node, "name!": required node} hash, "@7" shared node 7.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

TARGET = Path(__file__).with_name("parameters.json")
SHARED_FROM = 60  # a node repeated in the file is shared when its text is longer than this


def node(schema: dict[str, Any]) -> Any:
    if "anyOf" in schema:
        return ["|", *(node(alternative) for alternative in schema["anyOf"])]
    kind = schema.get("type")
    if kind == "object":
        if schema.get("properties"):
            required = set(schema.get("required", []))
            return {f"{name}!" if name in required else name: node(s) for name, s in schema["properties"].items()}
        extra = schema.get("additionalProperties")
        return ["m", node(extra)] if isinstance(extra, dict) and extra else ["m", "s"] if extra is not False else {}
    if kind == "array":
        return ["a", node(schema["items"])]
    if kind == "integer":
        return "i"
    if kind == "boolean":
        return "b"
    if kind == "number" or schema.get("format") == "decimal":
        return "n"
    if "enum" in schema and not schema.get("x-stripeBypassValidation"):
        return ["e", *schema["enum"]]
    return f"s{schema['maxLength']}" if "maxLength" in schema else "s"


def call_node(operation: dict[str, Any]) -> Any:
    if "requestBody" in operation:
        return node(operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"])
    query = [p for p in operation.get("parameters", []) if p["in"] == "query"]
    return {f"{p['name']}!" if p["required"] else p["name"]: node(p["schema"]) for p in query}


def share(calls: dict[str, Any]) -> dict[str, Any]:
    """Replace repeated big nodes by "@n", innermost first, so that a shared node only names earlier ones."""
    seen: Counter[str] = Counter()

    def count(item: Any) -> None:
        if isinstance(item, list | dict):
            seen[json.dumps(item)] += 1
            for child in item.values() if isinstance(item, dict) else item:
                count(child)

    shared: list[Any] = []
    numbers: dict[str, str] = {}

    def replace(item: Any) -> Any:
        if not isinstance(item, list | dict):
            return item
        text = json.dumps(item)
        if text in numbers:
            return numbers[text]
        done = {k: replace(v) for k, v in item.items()} if isinstance(item, dict) else [replace(v) for v in item]
        if seen[text] > 1 and len(text) > SHARED_FROM:
            shared.append(done)
            numbers[text] = f"@{len(shared) - 1}"
            return numbers[text]
        return done

    for item in calls.values():
        count(item)
    return {"calls": {name: replace(item) for name, item in calls.items()}, "shared": shared}


def main() -> None:
    spec = json.loads(Path(sys.argv[1]).read_text())
    calls = {
        f"{method.upper()} {path}": call_node(operation)
        for path, item in sorted(spec["paths"].items())
        for method, operation in item.items()
    }
    found = share(calls)
    lines = [f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in found["calls"].items()]
    shared = [json.dumps(v, separators=(",", ":")) for v in found["shared"]]
    version = json.dumps(spec["info"]["version"])
    calls_text, shared_text = ",\n".join(lines), ",\n".join(shared)
    TARGET.write_text(f'{{"version":{version},\n"calls":{{\n{calls_text}}},\n"shared":[\n{shared_text}]}}\n')


if __name__ == "__main__":
    main()
