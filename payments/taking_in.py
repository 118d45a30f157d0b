"""Fetched objects whose money may be nobody's: settled as unmatched, unless an invoice says what they pay for.

The intent and the charge of an invoice name nothing of ours. Which invoice they pay is told by `invoice_payment.paid`;
where that event never came, Stripe is asked before the money is called unmatched.
"""

from __future__ import annotations

from collections.abc import Iterable

from payments import stripe_gateway
from payments.facts import StripeObject, from_object
from payments.models import Payment
from payments.settlement import Settled, settle_objects
from payments.sightings import Sighting


def may_pay_an_invoice(seen: Sighting) -> bool:
    """Invoices have a customer, and intents of Checkout Sessions are known by their session."""
    return bool(seen.paid_at and seen.intent and seen.customer and not seen.session and not seen.invoice)


def settle_taking_in(objects: Iterable[StripeObject]) -> Settled:
    """Settle fetched objects, and take in what belongs to nothing. Calls Stripe: never inside a transaction.

    Raises the errors of Stripe where it cannot be asked: nothing is decided without its answer.
    """
    objects = list(objects)
    invoices = _invoices_paid_by([from_object(fetched) for fetched in objects])
    return settle_objects([*invoices, *objects], take_in_unmatched=True)


def settle_invoice_paid_by(intent: str) -> bool:
    """Settle the invoice that an intent pays, where there is one; it brings the intent's id to its payment."""
    invoice = stripe_gateway.invoice_paid_by(intent)
    if invoice is not None:
        settle_objects([invoice], take_in_unmatched=True)
    return invoice is not None


def _invoices_paid_by(sightings: Iterable[Sighting]) -> list[StripeObject]:
    asked = {seen.intent for seen in sightings if may_pay_an_invoice(seen) and seen.intent}
    known = set(Payment.objects.filter(payment_intent__in=asked).values_list("payment_intent", flat=True))
    found = (stripe_gateway.invoice_paid_by(intent) for intent in sorted(asked - known))
    return [invoice for invoice in found if invoice is not None]
