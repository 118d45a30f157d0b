"""`expand[]`: objects in the place of their ids."""

from collections.abc import Callable
from typing import Any

from sandbox import invoice_calls, subscriptions
from sandbox.box import Box
from sandbox.problems import Problem
from sandbox.state import Json

Tree = dict[str, Any]

MAX_DEPTH = 4
EXPANDABLE = {
    "balance_transaction": {"source"},
    "charge": {"balance_transaction", "customer", "failure_balance_transaction", "payment_intent", "refunds", "review"},
    "checkout.session": {"customer", "invoice", "line_items", "payment_intent", "payment_link", "setup_intent",
                         "subscription"},
    "customer": {"default_source", "invoice_settings.default_payment_method", "subscriptions", "tax"},
    "dispute": {"balance_transactions.source", "charge", "payment_intent"},
    "invoice": {"confirmation_secret", "customer", "default_payment_method", "lines.data", "payments",
                "parent.subscription_details.subscription"},
    "invoice_payment": {"invoice", "payment.payment_intent"},
    "invoiceitem": {"customer", "invoice"},
    "item": {"price.product"},
    "payment_intent": {"customer", "invoice", "latest_charge", "payment_method", "review"},
    "payment_method": {"customer"},
    "payout": {"balance_transaction", "failure_balance_transaction"},
    "price": {"product", "currency_options"},
    "product": {"default_price"},
    "refund": {"balance_transaction", "charge", "customer", "failure_balance_transaction", "payment_intent",
               "payment_method"},
    "setup_attempt": {"customer", "payment_method", "setup_intent"},
    "setup_intent": {"customer", "latest_attempt", "payment_method"},
    "subscription": {"customer", "default_payment_method", "items.data", "latest_invoice", "pending_setup_intent"},
}  # fmt: skip
MADE_BY = {
    "charges": "charge", "checkout": "checkout.session", "customers": "customer", "disputes": "dispute",
    "invoiceitems": "invoiceitem", "invoices": "invoice", "setup_intents": "setup_intent", "subscriptions": "subscription",
    "payment_intents": "payment_intent", "payment_methods": "payment_method", "prices": "price", "products": "product",
    "refunds": "refund",
}  # fmt: skip


def tree_of(paths: list[str]) -> Tree:
    root: Tree = {}
    for path in paths:
        parts = path.split(".")
        if len(parts) - (parts[0] == "data") > MAX_DEPTH:
            raise Problem(f"You cannot expand more than {MAX_DEPTH} levels of a property.", param="expand")
        node = root
        for part in parts:
            node = node.setdefault(part, {})
    return root


def check_before(path: str, tree: Tree) -> None:
    """Refuse a wrong first step before a call does its work, rather than after."""
    kind = MADE_BY.get(path.split("/")[2], "")
    first_steps = {name.partition(".")[0] for name in EXPANDABLE.get(kind, ())}
    for name in tree:
        if name not in first_steps:
            raise cannot_expand(name)


def expanded(box: Box, thing: Json, tree: Tree) -> Json:
    """A copy along the expanded paths; everything else is shared with the original."""
    kind = thing.get("object", "")
    if kind == "list":
        inner = tree.get("data")
        if inner is None or len(tree) > 1:
            name = next(part for part in tree if part != "data")
            raise cannot_expand(name, hint=" You may want to try expanding 'data." + name + "' instead.")
        return {**thing, "data": [expanded(box, item, inner) for item in thing["data"]]}
    return expanded_hash(box, kind, "", thing, tree)


def expanded_hash(box: Box, kind: str, prefix: str, value: Json, tree: Tree) -> Json:
    copy = dict(value)
    allowed = EXPANDABLE.get(kind, set())
    for name, inner in tree.items():
        path, current = prefix + name, value.get(name)
        if (kind, path) in SUBLISTS:
            listing = SUBLISTS[kind, path](box, value)
            copy[name] = expanded(box, listing, inner) if inner and listing else listing
        elif isinstance(current, dict) and inner:
            if "object" in current:
                copy[name] = expanded(box, current, inner)
            else:
                copy[name] = expanded_hash(box, kind, path + ".", current, inner)
        elif isinstance(current, list) and inner:
            copy[name] = [expanded(box, item, inner) for item in current]
        elif path not in allowed:
            raise cannot_expand(path)
        elif isinstance(current, str):
            target = box.state.objects.get(current, current)
            copy[name] = expanded(box, target, inner) if inner and isinstance(target, dict) else target
    return copy


def cannot_expand(name: str, hint: str = "") -> Problem:
    return Problem(f"This property cannot be expanded ({name}).{hint}", param="expand")


def line_items(box: Box, session: Json) -> Json:
    return {
        "object": "list",
        "data": box.state.secret(session)["line_items"],
        "has_more": False,
        "url": f"/v1/checkout/sessions/{session['id']}/line_items",
    }


def refunds(box: Box, charge: Json) -> Json:
    found = box.state.all("refund", charge=charge["id"])[::-1]
    return {"object": "list", "data": found[:10], "has_more": len(found) > 10, "url": f"/v1/charges/{charge['id']}/refunds"}


# Shown only where they are asked for.
SUBLISTS: dict[tuple[str, str], Callable[[Box, Json], Json | None]] = {
    ("charge", "refunds"): refunds,
    ("checkout.session", "line_items"): line_items,
    ("customer", "subscriptions"): subscriptions.of_customer,
    ("invoice", "confirmation_secret"): invoice_calls.confirmation_secret,
    ("invoice", "payments"): invoice_calls.payments_of,
}
