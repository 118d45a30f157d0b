"""Form-encoded parameters with brackets: `a[b][0][c]=1&x[]=2` -> {"a": {"b": [{"c": "1"}]}, "x": ["2"]}."""

import re
from typing import Any
from urllib.parse import parse_qsl

from sandbox.problems import Problem

NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
PART = re.compile(r"\[([^\[\]]*)\]")
MAX_FIELDS = 2_000


def decode_form(text: str) -> dict[str, Any]:
    """Scalars stay strings. Hashes whose keys are all digits become arrays."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as exc:
        raise Problem(f"Invalid request body: {exc}") from exc
    root: dict[str, Any] = {}
    nested = False
    for name, value in pairs:
        if "[" not in name and "]" not in name:
            root[name] = value
            continue
        nested = True
        put(root, name, value)
    return {name: with_arrays(value) for name, value in root.items()} if nested else root


def put(root: dict[str, Any], name: str, value: str) -> None:
    match = NAME.fullmatch(name)
    if not match:
        raise Problem(f"Invalid parameter name: {name}", param=name)
    node, parts = root, [match[1], *PART.findall(match[2])]
    for depth, part in enumerate(parts):
        if part == "":
            part = next_index(node, parts[depth + 1 : depth + 2])
        if depth == len(parts) - 1:
            node[part] = value
            return
        child = node.setdefault(part, {})
        if not isinstance(child, dict):
            raise Problem(f"Invalid parameter: {name} is used both as a value and as a hash", param=name)
        node = child


def next_index(node: dict[str, Any], following: list[str]) -> str:
    """`a[]=x` appends; `a[][k]=v` fills the last item until `k` repeats."""
    last = node.get(str(len(node) - 1))
    if following and isinstance(last, dict) and following[0] not in last:
        return str(len(node) - 1)
    return str(len(node))


def with_arrays(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() for key in node):
        return [with_arrays(node[key]) for key in sorted(node, key=int)]
    return {key: with_arrays(value) for key, value in node.items()}
