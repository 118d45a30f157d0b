"""Reads the nested form encoding that Stripe's SDKs write: `line_items[0][price]=x`, `expand[]=y`."""

from __future__ import annotations

import re
from collections.abc import Iterable

Form = str | dict[str, "Form"]  # a list is a hash whose keys are its indexes: only the schema can tell them apart

KEY = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")
SEGMENT = re.compile(r"[^\[\]]+|(?<=\[)(?=\])")


class FormError(ValueError):
    """A key that cannot be read, or one that contradicts another."""


def read_form(pairs: Iterable[tuple[str, str]]) -> dict[str, Form]:
    """Nest the pairs; every leaf stays the text that was sent."""
    root: dict[str, Form] = {}
    for key, value in pairs:
        if not KEY.fullmatch(key):
            raise FormError(f"{key}: malformed parameter name")
        segments: list[str] = SEGMENT.findall(key)
        _put(root, segments, value, key)
    return root


def _put(node: dict[str, Form], segments: list[str], value: str, key: str) -> None:
    segment, rest = segments[0] or _next_index(node, segments[1:]), segments[1:]
    if not rest:
        if segment in node:
            raise FormError(f"{key}: given twice")
        node[segment] = value
        return
    child = node.setdefault(segment, {})
    if isinstance(child, str):
        raise FormError(f"{key}: given both as a value and as a hash")
    _put(child, rest, value, key)


def _next_index(node: dict[str, Form], rest: list[str]) -> str:
    """`a[]=x` appends; `a[][k]=v` goes into the last item until that has a `k`."""
    last = node.get(str(len(node) - 1))
    if rest and isinstance(last, dict) and rest[0] not in last:
        return str(len(node) - 1)
    return str(len(node))
