"""Refunds: asked for by the API or the dashboard; most succeed at once, some stay pending, some fail later."""

from sandbox import balance, payment_methods, shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.listing import listed
from sandbox.money import check_representable, display
from sandbox.problems import Problem, missing_param, unsupported
from sandbox.state import Json, merged_metadata

FAILURE_REASON = "expired_or_canceled_card"
CARD_DESTINATION = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}


def charge_to_refund(call: Call) -> Json:
    box, params = call.box, call.params
    if "charge" in params:
        return call.referred("charge", "charge", "charge")
    if "payment_intent" not in params:
        raise Problem("One of the following params should be provided for this request: payment_intent or charge.",
                      code="parameter_missing", param="payment_intent")  # fmt: skip
    intent = call.referred("payment_intent", "payment_intent", "payment_intent")
    charge = box.state.get(intent["latest_charge"] or "", "charge")
    if charge is None or charge["status"] != "succeeded":
        raise Problem(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.",
                      param="payment_intent")  # fmt: skip
    return charge


def create(call: Call) -> Json:
    for name in ("customer", "origin", "reverse_transfer", "refund_application_fee"):
        if call.params.get(name):
            raise unsupported(name)
    metadata = merged_metadata(None, call.params.get("metadata", {}))
    return refund(
        call.box,
        charge_to_refund(call),
        amount=call.params.get("amount"),
        reason=call.params.get("reason"),
        metadata=metadata,
    )


def refund(box: Box, charge: Json, *, amount: int | None, reason: str | None, metadata: Json) -> Json:
    """`amount` None is all that is left. Raises what Stripe would refuse."""
    left = charge["amount"] - charge["amount_refunded"]
    if charge["status"] != "succeeded" or not charge["captured"]:
        raise Problem(f"Charge {charge['id']} is not captured; it cannot be refunded.", param="charge")
    if charge["disputed"] and not refundable_in_dispute(box, charge):
        raise Problem(f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed")
    if left == 0:
        raise Problem(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    amount = left if amount is None else amount
    if amount < 1:
        raise Problem(f"This value must be greater than or equal to 1 (it currently is '{amount}').",
                      code="parameter_invalid_integer", param="amount")  # fmt: skip
    currency = charge["currency"]
    check_representable(amount, currency)
    if amount > left:
        raise Problem(f"Refund amount ({display(amount, currency)}) is greater than unrefunded amount on charge "
                      f"({display(left, currency)})", param="amount")  # fmt: skip
    instrument = payment_methods.instrument_of(box, box.state.objects[charge["payment_method"]])
    waits = instrument.refund == "pending" or instrument.kind != "card"
    looks = {"destination_details": {"card": CARD_DESTINATION, "type": "card"}} if instrument.kind == "card" else {}
    refund = box.state.add(
        shapes.refund(
            box.ids.new("re_3" if instrument.kind == "card" else "pyr_1"), box.clock.now(),
            amount=amount, charge=charge["id"], currency=currency, metadata=metadata,
            payment_intent=charge["payment_intent"], reason=reason, status="pending" if waits else "succeeded",
            **looks,
        )
    )  # fmt: skip
    if waits:
        box.state.change(refund, pending_reason="processing")
    post(box, refund, kind="refund" if instrument.kind == "card" else "payment_refund", amount=-amount)
    before = count_in(box, charge, amount)
    box.emit("refund.created", refund)
    box.emit("charge.refunded", charge, before)
    if waits:
        box.later("settle_refund", f"{refund['id']} succeeded", after_s=box.settings.settle_soon_s)
    elif instrument.refund == "fails_later":
        box.later("settle_refund", f"{refund['id']} failed", after_s=box.settings.settle_soon_s)
    return refund


def refundable_in_dispute(box: Box, charge: Json) -> bool:
    """An inquiry may still be refunded; a dispute that took the money may not."""
    disputes = box.state.all("dispute", charge=charge["id"])
    return all(dispute["is_charge_refundable"] for dispute in disputes)


def post(box: Box, refund: Json, *, kind: str, amount: int) -> None:
    category = "refund_failure" if kind == "refund_failure" else "refund"
    row = balance.post(
        box, kind=kind, category=category, amount=amount, currency=refund["currency"], source=refund["id"],
        description="REFUND FOR CHARGE" if amount < 0 else "REFUND FAILURE",
    )  # fmt: skip
    field = "balance_transaction" if amount < 0 else "failure_balance_transaction"
    box.state.change(refund, **{field: row["id"]})


def count_in(box: Box, charge: Json, amount: int) -> Json:
    refunded = charge["amount_refunded"] + amount
    return box.state.change(charge, amount_refunded=refunded, refunded=refunded == charge["amount"])


def release(box: Box, charge: Json) -> None:
    """A canceled authorization: Stripe shows it as refunded, though no money had moved."""
    before = box.state.change(charge, amount_refunded=charge["amount"], refunded=True)
    box.emit("charge.refunded", charge, before)


def tell_updated(box: Box, refund: Json, previous: Json) -> None:
    box.emit("refund.updated", refund, previous)
    box.emit("charge.refund.updated", refund, previous)


def resolve(box: Box, refund: Json, outcome: str) -> None:
    """What the bank answers later. Raises where the refund is past it."""
    open_to = {"succeeded": ("pending", "requires_action"), "requires_action": ("pending",),
               "failed": ("pending", "succeeded", "requires_action"), "canceled": ("pending", "requires_action")}  # fmt: skip
    if outcome not in open_to:
        raise Problem(f"outcome must be one of {', '.join(open_to)}", param="outcome")
    if refund["status"] not in open_to[outcome]:
        raise Problem(f"The refund is {refund['status']}; it cannot become {outcome}.", param="outcome")
    changes: Json = {"status": outcome}
    if refund.get("pending_reason"):
        changes["pending_reason"] = "processing"
    if outcome == "failed":
        changes["failure_reason"] = FAILURE_REASON
    previous = box.state.change(refund, **changes)
    if refund.pop("pending_reason", None):
        previous["pending_reason"] = "processing"
    if outcome in ("failed", "canceled"):
        charge = box.state.objects[refund["charge"]]
        post(box, refund, kind="refund_failure", amount=refund["amount"])
        before = count_in(box, charge, -refund["amount"])
        if outcome == "failed":
            box.emit("refund.failed", refund)
        tell_updated(box, refund, previous)
        box.emit("charge.updated", charge, before)
    else:
        tell_updated(box, refund, previous)


def settle_refund(box: Box, subject: str) -> None:
    """The act behind refunds that succeed or fail some time later; the dashboard may have been quicker."""
    key, outcome = subject.split()
    refund = box.state.objects[key]
    if refund["status"] in ("pending", "succeeded") and refund["status"] != outcome:
        resolve(box, refund, outcome)


def retrieve(call: Call) -> Json:
    return call.named("refund", "refund", "refund")


def update(call: Call) -> Json:
    refund = retrieve(call)
    if "metadata" in call.params:
        metadata = merged_metadata(refund["metadata"], call.params["metadata"])
        previous = call.box.state.change(refund, metadata=metadata)
        if previous:
            tell_updated(call.box, refund, previous)
    return refund


def cancel(call: Call) -> Json:
    refund = retrieve(call)
    if refund["status"] != "requires_action":
        raise Problem(f"You can only cancel a refund that requires action; this one is {refund['status']}.")
    resolve(call.box, refund, "canceled")
    return refund


def index(call: Call) -> Json:
    return listed(call, "refund", label="refund", url="/v1/refunds")


def wanted_amount(body: Json) -> int | None:
    """The `amount` of a dashboard act's JSON."""
    amount = body.get("amount")
    if amount is not None and (not isinstance(amount, int) or isinstance(amount, bool)):
        raise Problem("amount must be a whole number of minor units", param="amount")
    return amount


def asked_charge(box: Box, body: Json) -> Json:
    """The charge that a dashboard act names by `charge` or `payment_intent`."""
    key = body.get("charge")
    if key is None and "payment_intent" in body:
        intent = box.state.get(str(body["payment_intent"]), "payment_intent")
        key = intent and intent["latest_charge"]
    if key is None:
        raise missing_param("charge")
    charge = box.state.get(str(key), "charge")
    if charge is None:
        raise Problem(f"No such charge: '{key}'", status=404, code="resource_missing", param="charge")
    return charge
