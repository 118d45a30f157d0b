"""Invoices as facts: which payment an invoice is, which intent pays it, and what time it buys."""

from __future__ import annotations

from datetime import datetime

from payments.sightings import Sighting, StripeObject, id_of, moment

# Why an invoice was made (https://docs.stripe.com/api/invoices/object#invoice_object-billing_reason): these buy a new period.
FIRST, PERIODIC = "subscription_create", frozenset({"subscription_create", "subscription_cycle"})


def from_invoice(invoice: StripeObject, at: datetime | None = None) -> Sighting:
    """An Invoice of a subscription, whose metadata it carries as they were when it was finalized. Which intent pays it
    stands only in `payments`, which events leave out: `invoice_payment.paid` tells it.

    Without an intent an invoice shows no money: what was paid outside of Stripe and marked as paid there is in `amount_paid`
    too (https://docs.stripe.com/changelog/basil/2025-03-31/add-support-for-multiple-partial-payments-on-invoices), and
    events do not say how much of it. So an event says what the invoice is for; that it is paid is said by its intent.

    The subscription's metadata name the payment of its first invoice; a renewal's is made when it is paid.
    """
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    metadata = details.get("metadata") or {}
    reason = invoice.get("billing_reason")
    paid_at = (invoice.get("status_transitions") or {}).get("paid_at")
    paid = invoice.get("status") == "paid" and invoice["amount_paid"] > 0
    ends = [line["period"]["end"] for line in invoice["lines"]["data"] if not _is_proration(line)]
    payments = (invoice.get("payments") or {}).get("data") or []
    intents = [id_of(p["payment"].get("payment_intent")) for p in payments if p.get("status") == "paid" or not paid]
    intent = next((i for i in intents if i), None)
    return Sighting(
        payment=metadata.get("payment") if reason == FIRST else None,
        invoice=invoice["id"],
        intent=intent,
        period_end=moment(max(ends)) if ends and reason in PERIODIC else None,
        metadata=metadata,
        amount_minor=invoice["amount_paid"] if paid else None,
        currency=invoice["currency"] if paid else None,
        paid_at=moment(paid_at) if paid and paid_at and intent else None,
        customer=id_of(invoice.get("customer")),
        customer_email=invoice.get("customer_email") or "",
        customer_name=invoice.get("customer_name") or "",
        is_current=at is None,
    )


def _is_proration(line: StripeObject) -> bool:
    parent = line.get("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    return bool(details.get("proration"))


def from_invoice_payment(paid: StripeObject, at: datetime | None = None) -> Sighting:
    """An InvoicePayment: which intent paid which invoice."""
    return Sighting(
        invoice=id_of(paid["invoice"]),
        intent=id_of(paid["payment"].get("payment_intent")),
        amount_minor=paid.get("amount_paid"),
        currency=paid["currency"],
    )


def invoice_paid(event: StripeObject) -> Sighting | None:
    """An invoice of nothing of ours says nothing here: its money shows itself by its intent."""
    seen = from_invoice(event["data"]["object"], moment(event["created"]))
    return seen if seen.amount_minor and (seen.metadata or {}).get("purpose") else None


def invoice_payment_paid(event: StripeObject) -> Sighting | None:
    seen = from_invoice_payment(event["data"]["object"])
    return seen if seen.intent else None
