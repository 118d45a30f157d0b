"""The life of an invoice: draft -> open -> paid | void. What is due is paid by a PaymentIntent of the invoice's own."""

from sandbox import billing_shapes, confirmation, payment_intents
from sandbox.box import Box
from sandbox.money import MINIMUM
from sandbox.problems import Problem
from sandbox.state import Json

SHOWN_LINES = 10
FINALIZED_AFTER_S = 3_600
DESCRIPTIONS = {"subscription_create": "Subscription creation", "subscription_cycle": "Subscription update",
                "subscription_update": "Subscription update", "manual": "Payment for Invoice"}  # fmt: skip


def draft(
    box: Box, customer: Json, lines: list[Json], *, reason: str, currency: str, subscription: Json | None = None, **fields: object
) -> Json:
    """Not announced yet: the subscription that names it comes first."""
    key, now = box.ids.new("in_1"), box.clock.now()
    parent = None
    if subscription is not None:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        parent = {"type": "subscription_details", "quote_details": None, "subscription_details": details}
    invoice = billing_shapes.invoice(
        key, now, billing_reason=reason, currency=currency, customer=customer["id"], customer_address=customer["address"],
        customer_email=customer["email"], customer_name=customer["name"], customer_phone=customer["phone"],
        customer_shipping=customer["shipping"], parent=parent, lines=lines_list(key, []), **fields,
    )  # fmt: skip
    box.state.add(invoice, {"lines": []})
    add_lines(box, invoice, lines)
    return invoice


def lines_list(key: str, lines: list[Json]) -> Json:
    return {"object": "list", "data": lines[:SHOWN_LINES], "has_more": len(lines) > SHOWN_LINES,
            "url": f"/v1/invoices/{key}/lines"}  # fmt: skip


def add_lines(box: Box, invoice: Json, lines: list[Json]) -> Json:
    """The sums follow the lines; what the customer's balance does to them is decided when it is finalized."""
    every = box.state.secret(invoice)["lines"] + [line | {"invoice": invoice["id"]} for line in lines]
    total = sum(line["amount"] for line in every)
    starting = box.state.objects[invoice["customer"]]["balance"]
    due = max(0, total + starting)
    box.state.remember(invoice, lines=every)
    return box.state.change(
        invoice, lines=lines_list(invoice["id"], every), subtotal=total, subtotal_excluding_tax=total, total=total,
        total_excluding_tax=total, amount_due=due, amount_remaining=due, starting_balance=starting,
    )  # fmt: skip


def subscription_of(box: Box, invoice: Json) -> Json | None:
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return box.state.get(details.get("subscription", ""), "subscription")


def payment_of(box: Box, invoice: Json) -> Json | None:
    return next(iter(box.state.all("invoice_payment", invoice=invoice["id"])), None)


def intent_of(box: Box, invoice: Json) -> Json | None:
    payment = payment_of(box, invoice)
    return None if payment is None else box.state.objects[payment["payment"]["payment_intent"]]


def default_method(box: Box, invoice: Json) -> Json | None:
    """The invoice's own, else the subscription's, else the customer's."""
    subscription = subscription_of(box, invoice)
    settings = box.state.objects[invoice["customer"]].get("invoice_settings") or {}
    wishes = (invoice["default_payment_method"], subscription and subscription["default_payment_method"],
              settings.get("default_payment_method"))  # fmt: skip
    found = (box.state.get(key, "payment_method") for key in wishes if key)
    return next((method for method in found if method is not None and method["customer"] == invoice["customer"]), None)


def finalize(box: Box, invoice: Json) -> None:
    """A number, a due amount that no longer changes, and, where something is due, a PaymentIntent."""
    if invoice["status"] != "draft":
        raise Problem(f"This invoice is already finalized, you can't re-finalize a {invoice['status']} invoice.",
                      code="invoice_not_editable")  # fmt: skip
    customer, now = box.state.objects[invoice["customer"]], box.clock.now()
    if customer.get("deleted"):
        raise Problem("This invoice's customer was deleted.", code="resource_missing", param="customer")
    add_lines(box, invoice, [])
    if (subscription := subscription_of(box, invoice)) is not None:
        # As long as it is a draft they follow the subscription's; from here on they stay.
        details = invoice["parent"]["subscription_details"] | {"metadata": dict(subscription["metadata"])}
        box.state.change(invoice, parent=invoice["parent"] | {"subscription_details": details})
    after = invoice["total"] + customer["balance"]
    due = after if after >= MINIMUM.get(invoice["currency"], 1) else 0  # less is carried over to the next invoice
    sequence = customer["next_invoice_sequence"]
    changes: Json = {"next_invoice_sequence": sequence + 1, "balance": after - due, "currency": invoice["currency"]}
    previous = box.state.change(customer, **changes)
    box.state.change(
        invoice, status="open", number=f"{customer['invoice_prefix']}-{sequence:04d}", effective_at=now, amount_due=due,
        amount_remaining=due, ending_balance=after - due, automatically_finalizes_at=None,
        status_transitions=invoice["status_transitions"] | {"finalized_at": now},
    )  # fmt: skip
    box.emit("invoice.finalized", invoice)
    if "balance" in previous or "currency" in previous:
        box.emit("customer.updated", customer, previous)
    if due == 0:
        mark_paid(box, invoice)
        return
    open_intent(box, invoice)


def open_intent(box: Box, invoice: Json) -> None:
    kinds = ["card", "sepa_debit"] if invoice["currency"] == "eur" else ["card"]
    method = default_method(box, invoice)
    intent = payment_intents.make(
        box, amount=invoice["amount_due"], currency=invoice["currency"], customer=invoice["customer"],
        description=DESCRIPTIONS[invoice["billing_reason"]], payment_method_types=kinds, capture_method="automatic",
        payment_method_options=payment_intents.method_options(kinds, {}), receipt_email=invoice["customer_email"],
        setup_future_usage="off_session" if invoice["billing_reason"] == "subscription_create" else None,
        payment_method=method["id"] if method else None,
        status="requires_confirmation" if method else "requires_payment_method",
    )  # fmt: skip
    box.state.remember(intent, invoice=invoice["id"])
    payment = billing_shapes.invoice_payment(box.ids.new("inpay_1"), box.clock.now(), invoice=invoice, intent=intent)
    box.state.add(payment)
    box.emit("payment_intent.created", intent)


def collect(box: Box, invoice: Json, method: Json | None, *, automatic: bool, off_session: bool = False) -> None:
    """Try to take what is due. A decline is recorded, then raised."""
    intent = intent_of(box, invoice)
    assert intent is not None, "an open invoice with nothing due is paid already"
    box.state.remember(invoice, automatic=automatic)
    if method is None:
        attempt_failed(box, invoice)
        raise Problem(
            "This customer has no attached payment source or default payment method. Please consider adding a default "
            "payment method.",
            code="resource_missing",
        )
    payment_intents.check_usable(intent, method)
    confirmation.confirm(box, intent, method, off_session=off_session)


def follow_payment(box: Box, subject: str) -> None:
    """What became of the PaymentIntent of an invoice: confirmation.py calls this by name."""
    key, outcome = subject.split()
    intent = box.state.objects[key]
    invoice = box.state.objects[box.state.secret(intent)["invoice"]]
    if invoice["status"] != "open":
        return
    if outcome == "succeeded":
        mark_paid(box, invoice)
    elif outcome == "failed":
        attempt_failed(box, invoice)
    else:
        box.emit("invoice.payment_action_required", invoice)
        attempt_failed(box, invoice)


def count_attempt(box: Box, invoice: Json) -> int:
    """The first attempt counts whoever made it; later ones only where the retry schedule made them."""
    automatic = box.state.secret(invoice).pop("automatic", False)
    count: int = invoice["attempt_count"]
    return count + 1 if automatic or count == 0 else count


def mark_paid(box: Box, invoice: Json, *, amount: int | None = None) -> None:
    now, payment = box.clock.now(), payment_of(box, invoice)
    due: int = invoice["amount_due"]
    previous = box.state.change(
        invoice, status="paid", amount_paid=due, amount_remaining=0, attempted=True, next_payment_attempt=None,
        attempt_count=count_attempt(box, invoice), status_transitions=invoice["status_transitions"] | {"paid_at": now},
    )  # fmt: skip
    if payment is not None:
        done = payment["status_transitions"] | {"paid_at": now}
        box.state.change(payment, status="paid", amount_paid=due, status_transitions=done)
        box.emit("invoice_payment.paid", payment)
    box.emit("invoice.updated", invoice, previous)
    box.emit("invoice.paid", invoice)
    box.emit("invoice.payment_succeeded", invoice)
    if subscription_of(box, invoice) is not None:
        box.do_now("invoice_was_paid", invoice["id"])


def attempt_failed(box: Box, invoice: Json) -> None:
    """When it is tried again is the subscription's affair: only its renewals are retried."""
    planned = invoice["next_payment_attempt"]
    previous = box.state.change(invoice, attempted=True, attempt_count=count_attempt(box, invoice))
    if subscription_of(box, invoice) is not None:
        box.do_now("schedule_retry", invoice["id"])
    if invoice["next_payment_attempt"] != planned:
        previous["next_payment_attempt"] = planned
    if previous:
        box.emit("invoice.updated", invoice, previous)
    box.emit("invoice.payment_failed", invoice)
    if subscription_of(box, invoice) is not None:
        box.do_now("invoice_was_not_paid", invoice["id"])


def void(box: Box, invoice: Json) -> None:
    if invoice["status"] not in ("open", "uncollectible"):
        raise Problem(f"You can only void an invoice that is open or uncollectible. This one is {invoice['status']}.",
                      code="invoice_not_editable")  # fmt: skip
    stop_payment(box, invoice, reason="void_invoice")
    transitions = invoice["status_transitions"] | {"voided_at": box.clock.now()}
    box.state.change(invoice, status="void", next_payment_attempt=None, status_transitions=transitions)
    give_back_balance(box, invoice)
    box.emit("invoice.voided", invoice)
    if subscription_of(box, invoice) is not None:
        box.do_now("invoice_was_voided", invoice["id"])


def give_back_balance(box: Box, invoice: Json) -> None:
    """What finalizing took from the customer's balance, or put there."""
    used = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
    if used:
        customer = box.state.objects[invoice["customer"]]
        if customer.get("deleted"):
            return
        box.emit("customer.updated", customer, box.state.change(customer, balance=customer["balance"] - used))


def stop_payment(box: Box, invoice: Json, *, reason: str) -> None:
    payment, intent = payment_of(box, invoice), intent_of(box, invoice)
    if payment is None or intent is None or intent["status"] not in confirmation.CONFIRMABLE:
        return
    transitions = payment["status_transitions"] | {"canceled_at": box.clock.now()}
    box.state.change(payment, status="canceled", status_transitions=transitions)
    payment_intents.cancel_intent(box, intent, reason=reason)


def finalize_in_time(box: Box, key: str) -> None:
    """The act behind a draft's hour: open it, and try to collect."""
    invoice = box.state.get(key, "invoice")
    if invoice is not None and invoice["status"] == "draft" and invoice["auto_advance"]:
        finalize(box, invoice)
        collect_automatically(box, invoice)


def retry_in_time(box: Box, key: str) -> None:
    """The act behind `next_payment_attempt`; an earlier time, or none, was set meanwhile where it does not match."""
    invoice = box.state.get(key, "invoice")
    due = invoice is not None and invoice["next_payment_attempt"] is not None
    if invoice is not None and due and invoice["status"] == "open" and invoice["next_payment_attempt"] <= box.clock.now():
        collect_automatically(box, invoice)


def collect_automatically(box: Box, invoice: Json) -> None:
    if invoice["status"] != "open":
        return
    try:
        collect(box, invoice, default_method(box, invoice), automatic=True)
    except Problem:
        return  # recorded as a failed attempt, with its events; nobody waits for an answer
