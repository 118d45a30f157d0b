"""Disputes: a customer's bank takes a payment back, or asks about it; the seller argues; somebody wins."""

from sandbox import balance, shapes
from sandbox.box import Box
from sandbox.call import Call
from sandbox.clock import DAY
from sandbox.listing import listed
from sandbox.problems import Problem
from sandbox.state import Json, merged_metadata

FEE = 1_500  # minor units, as Stripe takes for a dispute in the United States
ANSWER_WITHIN_DAYS = 9
OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")
REASONS = frozenset(
    "bank_cannot_process check_returned credit_not_processed customer_initiated debit_not_authorized duplicate "
    "fraudulent general incorrect_account_details insufficient_funds noncompliant product_not_received "
    "product_unacceptable subscription_canceled unrecognized".split()
)
WINNING, LOSING = "winning_evidence", "losing_evidence"  # evidence that decides at once, as in Stripe's test mode


def open_dispute(box: Box, charge: Json, *, reason: str, amount: int | None = None) -> Json:
    """`reason` "inquiry" asks without taking the money."""
    inquiry = reason == "inquiry"
    if not inquiry and reason not in REASONS:
        raise Problem(f"reason must be inquiry, or one of {', '.join(sorted(REASONS))}", param="reason")
    if charge["status"] != "succeeded" or charge["disputed"]:
        raise Problem(f"Charge {charge['id']} cannot be disputed: it is {charge['status']}"
                      + (" and disputed already." if charge["disputed"] else "."))  # fmt: skip
    amount = charge["amount"] if amount is None else amount
    if not 1 <= amount <= charge["amount"]:
        raise Problem("amount must be 1 to the charge's amount", param="amount")
    now, details = box.clock.now(), charge["payment_method_details"]
    brand = details.get("card", {}).get("brand")
    dispute = shapes.thing(
        "dispute", box.ids.new("du_1"), now,
        amount=amount, charge=charge["id"], currency=charge["currency"], payment_intent=charge["payment_intent"],
        reason="general" if inquiry else reason, is_charge_refundable=inquiry, evidence=shapes.evidence(),
        evidence_details={"due_by": now + ANSWER_WITHIN_DAYS * DAY, "enhanced_eligibility": {}, "has_evidence": False,
                          "past_due": False, "submission_count": 0},
        status="warning_needs_response" if inquiry else "needs_response",
    )  # fmt: skip
    if brand:
        case = "inquiry" if inquiry else "chargeback"
        card = {"brand": brand, "case_type": case, "network": brand, "network_reason_code": "10.4"}
        dispute["payment_method_details"] = {"card": card, "type": "card"}
    box.state.add(dispute)
    before = box.state.change(charge, disputed=True)
    box.emit("charge.dispute.created", dispute)
    if not inquiry:
        move_funds(box, dispute, amount=-amount, fee=FEE)
        box.emit("charge.dispute.funds_withdrawn", dispute)
    box.emit("charge.updated", charge, before)
    return dispute


def open_from_card(box: Box, subject: str) -> None:
    """The act behind a card that disputes."""
    key, reason = subject.split()
    charge = box.state.objects[key]
    if not charge["disputed"]:
        open_dispute(box, charge, reason=reason)


def move_funds(box: Box, dispute: Json, *, amount: int, fee: int) -> None:
    row = balance.post(
        box, kind="adjustment", category="dispute" if amount < 0 else "dispute_reversal", amount=amount, fixed_fee=fee,
        currency=dispute["currency"], source=dispute["id"], fee_description="Dispute fee", at_once=True,
        description=("Chargeback withdrawal for " if amount < 0 else "Chargeback reversal for ") + dispute["charge"],
    )  # fmt: skip
    box.state.change(dispute, balance_transactions=[*dispute["balance_transactions"], row])


def resolve(box: Box, dispute: Json, *, outcome: str) -> None:
    """The bank's word. An inquiry is closed whoever is right."""
    if outcome not in ("won", "lost"):
        raise Problem("outcome must be won or lost", param="outcome")
    if dispute["status"] not in OPEN:
        raise Problem(f"The dispute is {dispute['status']} already.")
    inquiry = dispute["status"].startswith("warning")
    previous = box.state.change(dispute, status="warning_closed" if inquiry else outcome, is_charge_refundable=False)
    if outcome == "won" and not inquiry:
        move_funds(box, dispute, amount=dispute["amount"], fee=0)
        box.emit("charge.dispute.funds_reinstated", dispute)
    elif inquiry:
        charge = box.state.objects[dispute["charge"]]
        box.state.change(dispute, is_charge_refundable=charge["amount_refunded"] < charge["amount"])
    box.emit("charge.dispute.closed", dispute, previous)


def retrieve(call: Call) -> Json:
    return call.named("dispute", "dispute", "dispute")


def update(call: Call) -> Json:
    dispute, box, params = retrieve(call), call.box, call.params
    changes: Json = {}
    if "metadata" in params:
        changes["metadata"] = merged_metadata(dispute["metadata"], params["metadata"])
    given = params.get("evidence") or {}
    if given:
        if dispute["status"] not in OPEN:
            raise Problem("This dispute is already closed; no evidence can be added.")
        evidence = {name: value if value != "" else None for name, value in given.items() if name != "enhanced_evidence"}
        changes["evidence"] = dispute["evidence"] | evidence
        details = dispute["evidence_details"]
        submitted = params.get("submit", True)
        changes["evidence_details"] = details | {
            "has_evidence": True,
            "submission_count": details["submission_count"] + (1 if submitted else 0),
        }
        if submitted:
            inquiry = dispute["status"].startswith("warning")
            changes["status"] = "warning_under_review" if inquiry else "under_review"
    previous = box.state.change(dispute, **changes)
    if previous:
        box.emit("charge.dispute.updated", dispute, previous)
    decided = {WINNING: "won", LOSING: "lost"}.get(str(given.get("uncategorized_text")))
    if decided and dispute["status"] in ("under_review", "warning_under_review"):
        box.later("decide_dispute", f"{dispute['id']} {decided}")
    return dispute


def decide(box: Box, subject: str) -> None:
    """The act behind winning or losing evidence."""
    key, outcome = subject.split()
    dispute = box.state.objects[key]
    if dispute["status"] in OPEN:
        resolve(box, dispute, outcome=outcome)


def close(call: Call) -> Json:
    """The seller gives in: lost."""
    dispute = retrieve(call)
    resolve(call.box, dispute, outcome="lost")
    return dispute


def index(call: Call) -> Json:
    return listed(call, "dispute", label="dispute", url="/v1/disputes")
