"""Charges: made by a payment's confirmation, never by a caller; their money; their receipts."""

from typing import Any

from sandbox import balance, payment_methods, shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.instruments import Decline
from sandbox.listing import listed
from sandbox.state import Json, merged_metadata

STATEMENT = "SANDBOX"
APPROVED = {"advice_code": None, "network_advice_code": None, "network_decline_code": None,
            "network_status": "approved_by_network", "reason": None, "risk_level": "normal", "risk_score": 12,
            "seller_message": "Payment complete.", "type": "authorized"}  # fmt: skip


def refused(decline: Decline) -> Json:
    return APPROVED | {
        "network_status": "declined_by_network", "reason": decline.decline_code, "type": "issuer_declined",
        "seller_message": f"The bank returned the decline code `{decline.decline_code}`.",
    }  # fmt: skip


def payment_details(intent: Json, method: Json, *, challenged: bool) -> Json:
    kind = method["type"]
    if kind == "card":
        return {"type": kind, kind: shapes.charged_card(method[kind], amount=intent["amount"], challenged=challenged)}
    looks = {name: value for name, value in method[kind].items() if name != "generated_from"}
    return {"type": kind, kind: looks | {"mandate": None}}


def make(box: Box, intent: Json, method: Json, *, status: str, challenged: bool = False, **fields: Any) -> Json:
    """The charge copies the intent's metadata and description."""
    key = box.ids.new("ch_3" if method["type"] == "card" else "py_3")
    suffix = intent["statement_descriptor_suffix"]
    outcome = APPROVED if status == "succeeded" else None
    if status == "pending":
        outcome = APPROVED | {"seller_message": "Payment is pending.", "network_status": "approved_by_network"}
    charge = shapes.charge(
        key, box.clock.now(),
        amount=intent["amount"], billing_details=method["billing_details"],
        calculated_statement_descriptor=f"{STATEMENT}* {suffix}" if suffix else STATEMENT,
        currency=intent["currency"], customer=intent["customer"], description=intent["description"],
        metadata=dict(intent["metadata"]), payment_intent=intent["id"], payment_method=method["id"],
        payment_method_details=payment_details(intent, method, challenged=challenged),
        receipt_email=intent["receipt_email"], shipping=intent["shipping"], status=status,
        statement_descriptor=intent["statement_descriptor"], statement_descriptor_suffix=suffix,
        transfer_group=intent["transfer_group"], paid=status == "succeeded",
        receipt_url=None if status == "failed" else f"{box.settings.public_url}/receipts/{key}",
    )  # fmt: skip
    return box.state.add(charge | {"outcome": outcome} | fields)


def book(box: Box, charge: Json) -> Json:
    """The charge's balance transaction; the previous attributes of the charge."""
    method = box.state.objects[charge["payment_method"]]
    at_once = payment_methods.instrument_of(box, method).available_at_once
    row = balance.post(
        box,
        kind="charge" if method["type"] == "card" else "payment",
        category="charge",
        amount=charge["amount_captured"],
        currency=charge["currency"],
        source=charge["id"],
        description=charge["description"],
        charged=True,
        at_once=at_once,
    )
    return box.state.change(charge, balance_transaction=row["id"])


def book_later(box: Box, key: str) -> None:
    """The act behind asynchronous capture: the fee is known some time after the charge succeeded."""
    charge = box.state.objects[key]
    if charge["balance_transaction"] is None:
        box.emit("charge.updated", charge, book(box, charge))


def retrieve(call: Call) -> Json:
    return call.named("charge", "charge", "charge")


def update(call: Call) -> Json:
    charge, box, params = retrieve(call), call.box, call.params
    names = ("description", "receipt_email", "transfer_group", "fraud_details", "customer")
    fields: Json = {name: params[name] or None for name in names if name in params}
    if "fraud_details" in fields:
        fields["fraud_details"] = {k: v for k, v in (fields["fraud_details"] or {}).items() if v}
    if "shipping" in params:
        given = params["shipping"]
        fields["shipping"] = {"address": shapes.address(given.get("address")), "name": given.get("name")}
    if "metadata" in params:
        fields["metadata"] = merged_metadata(charge["metadata"], params["metadata"])
    previous = box.state.change(charge, **fields)
    if previous:
        box.emit("charge.updated", charge, previous)
    return charge


def index(call: Call) -> Json:
    return listed(call, "charge", label="charge", url="/v1/charges")
