"""Check and convert the parameters of a call against what Stripe publishes (parameters.json, see make_parameters.py)."""

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from sandbox.problems import Problem, bad_param, missing_param, unknown_param

INTEGER = re.compile(r"-?[0-9]{1,18}")
NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,12})?")
MAX_STRING = 5_000
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500

# The calls that Stripe's own checkout page makes; they are not published, and the CLI's triggers use them.
PAGE_CALLS: dict[str, Any] = {
    "GET /v1/payment_pages/{session}": {},
    "POST /v1/payment_pages/{session}/confirm": {
        "payment_method!": "s", "expected_amount": "i", "expected_payment_method_type": "s", "key": "s", "eid": "s",
        "return_url": "s", "consent": ["m", "s"],
    },
}  # fmt: skip

# Published calls that the trimmed description leaves out.
EXPAND: Any = {"expand": ["a", "s"]}
PAGE: Any = EXPAND | {"limit": "i", "starting_after": "s", "ending_before": "s"}
LEFT_OUT: dict[str, Any] = {
    "POST /v1/invoices/{invoice}/void": EXPAND,
    "GET /v1/invoices/{invoice}/lines": PAGE,
    "GET /v1/invoice_payments/{invoice_payment}": EXPAND,
    "GET /v1/invoiceitems/{invoiceitem}": EXPAND,
    "DELETE /v1/invoiceitems/{invoiceitem}": {},
}

# A browser proves with the client secret that the intent was given to it.
BROWSER_CALLS = frozenset({"POST /v1/payment_intents/{intent}/confirm", "POST /v1/setup_intents/{intent}/confirm"})


@lru_cache(maxsize=1)
def published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(__file__).with_name("parameters.json").read_text())
    return found


def known_calls() -> frozenset[str]:
    return frozenset(published()["calls"]) | frozenset(PAGE_CALLS) | frozenset(LEFT_OUT)


def read_parameters(call: str, given: dict[str, Any]) -> dict[str, Any]:
    """The given strings as integers, booleans, strings, lists and hashes; a Problem where Stripe would refuse one."""
    schema = PAGE_CALLS.get(call) or LEFT_OUT.get(call) or published()["calls"].get(call, {})
    if call in BROWSER_CALLS and "client_secret" in given:
        schema = schema | {"client_secret": "s"}
    found = read(schema, given, "")
    assert isinstance(found, dict)
    return found


def read(node: Any, value: Any, where: str) -> Any:
    if isinstance(node, str):
        if node[0] == "@":
            return read(published()["shared"][int(node[1:])], value, where)
        return read_scalar(node, value, where)
    if isinstance(node, dict):
        return read_hash(node, value, where)
    kind = node[0]
    if kind == "e":
        return read_enum(node[1:], value, where)
    if kind == "a":
        if value == "":
            return []
        if not isinstance(value, list):
            raise bad_param(where, "Invalid array")
        return [read(node[1], item, f"{where}[{i}]") for i, item in enumerate(value)]
    if kind == "m":
        return read_free_hash(node[1], value, where)
    return read_alternatives(node[1:], value, where)


def read_hash(node: dict[str, Any], value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, list):
        value = {str(i): item for i, item in enumerate(value)}
    if value == "" and where:
        return {}
    if not isinstance(value, dict):
        raise bad_param(where, "Invalid object")
    found = {}
    for name, item in value.items():
        inside = f"{where}[{name}]" if where else name
        child = node.get(name)
        if child is None:
            child = node.get(f"{name}!")
            if child is None:
                raise unknown_param(inside)
        found[name] = read(child, item, inside)
    for name in node:
        if name[-1] == "!" and name[:-1] not in value:
            raise missing_param(f"{where}[{name[:-1]}]" if where else name[:-1])
    return found


def read_free_hash(node: Any, value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, list):
        value = {str(i): item for i, item in enumerate(value)}
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise bad_param(where, "Invalid object")
    if where == "metadata" or where.endswith("[metadata]"):
        check_metadata(value, where)
    return {name: read(node, item, f"{where}[{name}]") for name, item in value.items()}


def check_metadata(value: dict[str, Any], where: str) -> None:
    if len(value) > METADATA_KEYS:
        raise bad_param(where, f"Metadata may have at most {METADATA_KEYS} keys, but you gave {len(value)}.")
    for name, item in value.items():
        if len(name) > METADATA_KEY_LENGTH:
            raise bad_param(
                where,
                f"Metadata keys must be at most {METADATA_KEY_LENGTH} characters long, but yours is {len(name)}.",
            )
        if isinstance(item, str) and len(item) > METADATA_VALUE_LENGTH:
            raise bad_param(
                f"{where}[{name}]",
                f"Metadata values can have up to {METADATA_VALUE_LENGTH} characters, "
                f"but you passed in a value that is {len(item)} characters.",
            )


def read_alternatives(nodes: list[Any], value: Any, where: str) -> Any:
    """The first alternative that fits; failing that, the complaint of one of the value's own kind."""
    complaint: Problem | None = None
    for node in nodes:
        try:
            return read(node, value, where)
        except Problem as problem:
            same_kind = isinstance(node, dict) or node[0] in ("m", "a", "@") if not isinstance(value, str) else True
            if complaint is None or same_kind:
                complaint = problem
    assert complaint is not None
    raise complaint


def read_enum(values: list[str], value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise bad_param(where, "Invalid string: a hash or array was given")
    if value not in values:
        choice = ", ".join(values[:-1]) + f", or {values[-1]}" if len(values) > 1 else values[0]
        raise bad_param(where, f"Invalid {where}: must be one of {choice}")
    return value


def read_scalar(node: str, value: Any, where: str) -> str | int | bool:
    if not isinstance(value, str):
        raise bad_param(where, f"Invalid {'string' if node[0] == 's' else 'value'}: a hash or array was given")
    kind = node[0]
    if kind == "i":
        if not INTEGER.fullmatch(value):
            raise bad_param(where, f"Invalid integer: {value}", "parameter_invalid_integer")
        return int(value)
    if kind == "b":
        if value not in ("true", "false"):
            raise bad_param(where, f"Invalid boolean: {value}")
        return value == "true"
    if kind == "n":
        if value != "" and not NUMBER.fullmatch(value):
            raise bad_param(where, f"Invalid decimal: {value}")
        return value
    limit = int(node[1:] or MAX_STRING)
    if len(value) > limit:
        raise bad_param(where, f"Invalid string: {value[:8]}...{value[-4:]}; must be at most {limit} characters")
    return value
