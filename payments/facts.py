"""Stripe's objects and events as facts: one small pure function each, no database, no network.

Everything that Stripe says about a payment becomes a `Sighting`. `settlement` merges sightings; because merging
keeps the earliest or latest of what was seen, the order and number of sightings do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from conventions.storable import storable
from payments.invoice_facts import from_invoice, from_invoice_payment, invoice_paid, invoice_payment_paid
from payments.sightings import DisputeSighting, RefundSighting, Sighting, StripeObject, id_of, moment
from payments.states import earliest

__all__ = ["EVENTS", "OBJECTS", "DisputeSighting", "RefundSighting", "Sighting", "StripeObject", "from_event", "moment"]


# -- objects ----------------------------------------------------------------------------------------
def from_session(session: StripeObject, at: datetime | None = None) -> Sighting:
    """A Checkout Session; `at` is the time of the event that brought it, None when it was fetched.

    Paid only when `payment_status` says so: `completed` of a delayed method comes unpaid
    (https://docs.stripe.com/checkout/fulfillment).
    """
    metadata = session.get("metadata") or {}
    details = session.get("customer_details") or {}
    seen = Sighting(
        payment=session.get("client_reference_id") or metadata.get("payment"),
        session=session["id"],
        intent=id_of(session.get("payment_intent")),
        metadata=metadata,
        amount_minor=session.get("amount_total"),
        currency=session.get("currency"),
        customer=id_of(session.get("customer")),
        customer_email=details.get("email") or session.get("customer_email") or "",
        customer_name=details.get("name") or "",
        is_current=at is None,
    )
    stands_at = at or moment(session["created"])
    if session.get("status") == "expired":
        return replace(seen, expired_at=earliest(at, moment(session["expires_at"])))
    if session.get("status") == "complete" and session.get("payment_status") == "paid" and seen.intent:
        # Without an intent it sold a subscription: the money shows itself by the intent of the invoice.
        seen = replace(seen, paid_at=stands_at)
    elif session.get("status") == "complete" and session.get("payment_status") == "unpaid" and at:
        seen = replace(seen, processing_at=at)
    intent = session.get("payment_intent")
    return _with_intent(seen, intent) if isinstance(intent, Mapping) else seen


def _with_intent(seen: Sighting, intent: StripeObject) -> Sighting:
    """A fetched session whose intent was expanded: the intent's times are nearer to the fact, and what it collected."""
    inner = from_intent(intent)
    return replace(
        seen,
        amount_minor=inner.amount_minor if inner.paid_at else seen.amount_minor,
        charge=inner.charge,
        paid_at=inner.paid_at,
        processing_at=inner.processing_at,
        failed_at=inner.failed_at,
        canceled_at=inner.canceled_at,
        failure_code=inner.failure_code,
        failure_message=inner.failure_message,
        receipt_url=inner.receipt_url,
    )


def from_intent(intent: StripeObject, at: datetime | None = None) -> Sighting:
    """A PaymentIntent; with `latest_charge` expanded, the charge's own time and receipt too."""
    charge = intent.get("latest_charge")
    expanded = charge if isinstance(charge, Mapping) else {}
    stands_at = at or moment(expanded.get("created") or intent["created"])
    error = intent.get("last_payment_error") or {}
    status = intent["status"]
    seen = Sighting(
        payment=(intent.get("metadata") or {}).get("payment"),
        intent=intent["id"],
        metadata=intent.get("metadata") or {},
        amount_minor=intent["amount"],
        currency=intent["currency"],
        customer=id_of(intent.get("customer")),
        customer_email=intent.get("receipt_email") or "",
        is_current=at is None,
    )
    if status == "succeeded":
        paid_at = earliest(stands_at, moment(expanded["created"])) if expanded else stands_at
        # Of an authorization that was captured in part, only that part was collected.
        collected = intent.get("amount_received") or intent["amount"]
        receipt_url = expanded.get("receipt_url") or ""
        return replace(seen, charge=id_of(charge), amount_minor=collected, paid_at=paid_at, receipt_url=receipt_url)
    if status == "processing":
        return replace(seen, processing_at=stands_at)
    if status == "canceled":
        return replace(seen, canceled_at=moment(intent["canceled_at"]) if intent.get("canceled_at") else stands_at)
    if status == "requires_payment_method" and error:
        return replace(
            seen,
            failed_at=stands_at,
            failure_code=error.get("decline_code") or error.get("code") or "",
            failure_message=error.get("message") or "",
        )
    return seen


def from_charge(charge: StripeObject, at: datetime | None = None) -> Sighting:
    """A Charge. Only one that succeeded names the payment's charge; a declined try is not it."""
    billing = charge.get("billing_details") or {}
    seen = Sighting(
        payment=(charge.get("metadata") or {}).get("payment"),
        intent=id_of(charge.get("payment_intent")),
        metadata=charge.get("metadata") or {},
        amount_minor=charge["amount"],
        currency=charge["currency"],
        customer=id_of(charge.get("customer")),
        customer_email=billing.get("email") or "",
        customer_name=billing.get("name") or "",
        is_current=at is None,
    )
    if not (charge.get("paid") and charge.get("status") == "succeeded" and charge.get("captured", True)):
        return seen
    return replace(
        seen,
        charge=charge["id"],
        amount_minor=charge.get("amount_captured") or charge["amount"],
        paid_at=moment(charge["created"]),
        receipt_url=charge.get("receipt_url") or "",
        refunded_total_minor=charge.get("amount_refunded") or 0,
    )


def from_refund(refund: StripeObject, at: datetime | None = None) -> Sighting:
    """A Refund; `at` only where the event reports that its status changed."""
    created_at = moment(refund["created"])
    return Sighting(
        intent=id_of(refund.get("payment_intent")),
        charge=id_of(refund.get("charge")),
        refund=RefundSighting(
            stripe_id=refund["id"],
            our_id=(refund.get("metadata") or {}).get("refund"),
            amount_minor=refund["amount"],
            currency=refund["currency"],
            reason=refund.get("reason") or "",
            status=refund.get("status") or "pending",
            created_at=created_at,
            status_at=at or created_at,
            failure_reason=refund.get("failure_reason") or "",
        ),
    )


def from_dispute(dispute: StripeObject, at: datetime | None = None) -> Sighting:
    """A Dispute. Its own balance transactions say when funds left and came back."""
    movements = dispute.get("balance_transactions") or []
    withdrawn = [moment(m["created"]) for m in movements if m["amount"] < 0]
    reinstated = [moment(m["created"]) for m in movements if m["amount"] > 0]
    due = (dispute.get("evidence_details") or {}).get("due_by")
    return Sighting(
        intent=id_of(dispute.get("payment_intent")),
        charge=id_of(dispute.get("charge")),
        dispute=DisputeSighting(
            stripe_id=dispute["id"],
            amount_minor=dispute["amount"],
            currency=dispute["currency"],
            reason=dispute.get("reason") or "",
            status=dispute["status"],
            evidence_due_at=moment(due) if due else None,
            opened_at=moment(dispute["created"]),
            funds_withdrawn_at=min(withdrawn, default=None),
            funds_reinstated_at=min(reinstated, default=None),
            closed_at=at,
        ),
    )


OBJECTS: dict[str, Callable[[StripeObject], Sighting]] = {
    "checkout.session": from_session,
    "payment_intent": from_intent,
    "charge": from_charge,
    "refund": from_refund,
    "dispute": from_dispute,
    "invoice": from_invoice,
    "invoice_payment": from_invoice_payment,
}


def from_object(fetched: StripeObject) -> Sighting:
    """A fetched object of any kind that `OBJECTS` names."""
    return _fitting(OBJECTS[fetched["object"]](fetched))


# Longest texts that the rows of payments hold.
LENGTHS = {"customer_email": 320, "customer_name": 200, "failure_code": 100, "failure_message": 5000}
REFUND_LENGTHS = {"reason": 40, "failure_reason": 200}
DISPUTE_LENGTHS = {"reason": 60, "status": 30}


def _fitting(seen: Sighting) -> Sighting:
    refund, dispute = seen.refund, seen.dispute
    if refund:
        refund = replace(refund, **{n: storable(getattr(refund, n), k) for n, k in REFUND_LENGTHS.items()})  # type: ignore[arg-type]
    if dispute:
        dispute = replace(dispute, **{n: storable(getattr(dispute, n), k) for n, k in DISPUTE_LENGTHS.items()})  # type: ignore[arg-type]
    texts = {n: storable(getattr(seen, n), k) for n, k in LENGTHS.items()}
    if refund is seen.refund and dispute is seen.dispute and all(getattr(seen, n) == text for n, text in texts.items()):
        return seen  # as nearly always: a copy costs more than the look
    return replace(seen, refund=refund, dispute=dispute, **texts)  # type: ignore[arg-type]


# -- events -----------------------------------------------------------------------------------------
def _session_failed(event: StripeObject) -> Sighting:
    at = moment(event["created"])
    return replace(from_session(event["data"]["object"], at), processing_at=None, failed_at=at)


def _intent_failed(event: StripeObject) -> Sighting:
    """The intent may by now stand elsewhere (the event carries it as it was), but this event reports a failure."""
    at = moment(event["created"])
    seen = from_intent({**event["data"]["object"], "status": "requires_payment_method"}, at)
    return replace(seen, failed_at=at)


def _refund(event: StripeObject) -> Sighting:
    previous = event["data"].get("previous_attributes") or {}
    reports_status = event["type"] in {"refund.created", "refund.failed"} or "status" in previous
    return from_refund(event["data"]["object"], moment(event["created"]) if reports_status else None)


def _dispute(event: StripeObject) -> Sighting:
    """funds_withdrawn and funds_reinstated say it by their type, should the object not list the movement."""
    at = moment(event["created"])
    seen = from_dispute(event["data"]["object"], at if event["type"] == "charge.dispute.closed" else None)
    assert seen.dispute is not None
    moved = {
        "charge.dispute.funds_withdrawn": "funds_withdrawn_at",
        "charge.dispute.funds_reinstated": "funds_reinstated_at",
    }.get(event["type"])
    if moved is None or getattr(seen.dispute, moved) is not None:
        return seen
    if moved == "funds_withdrawn_at":
        return replace(seen, dispute=replace(seen.dispute, funds_withdrawn_at=at))
    return replace(seen, dispute=replace(seen.dispute, funds_reinstated_at=at))


def _at_event(read: Callable[[StripeObject, datetime | None], Sighting]) -> Callable[[StripeObject], Sighting]:
    return lambda event: read(event["data"]["object"], moment(event["created"]))


# Every event type that changes our books, and nothing else: `stripe_setup` subscribes to exactly these.
EVENTS: dict[str, Callable[[StripeObject], Sighting | None]] = {
    "checkout.session.completed": _at_event(from_session),
    "checkout.session.async_payment_succeeded": _at_event(from_session),
    "checkout.session.async_payment_failed": _session_failed,
    "checkout.session.expired": _at_event(from_session),
    "payment_intent.succeeded": _at_event(from_intent),
    "payment_intent.processing": _at_event(from_intent),
    "payment_intent.payment_failed": _intent_failed,
    "payment_intent.canceled": _at_event(from_intent),
    "charge.succeeded": _at_event(from_charge),
    "charge.updated": _at_event(from_charge),
    "charge.refunded": _at_event(from_charge),
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
    "invoice.paid": invoice_paid,
    "invoice_payment.paid": invoice_payment_paid,
}


def from_event(event: StripeObject) -> Sighting | None:
    """The sighting that an event is, or None where it says nothing of our payments."""
    read = EVENTS.get(event["type"])
    seen = read(event) if read else None
    return _fitting(seen) if seen else None
