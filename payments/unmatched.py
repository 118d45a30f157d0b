"""Money that came past us: a Payment Link, a session made in Stripe's dashboard. Nothing of it is dropped."""

from __future__ import annotations

import logging

from django.conf import settings

from payments import ledger
from payments.facts import Sighting
from payments.fulfilment import fulfilment_of
from payments.models import Payment

logger = logging.getLogger(__name__)

UNMATCHED = "unmatched"


def _payment_for(sighting: Sighting) -> Payment | None:
    """A payment, not yet saved, for money that a sighting shows, or that the intent of its invoice will show; None where
    there is none."""
    if not (sighting.paid_at or sighting.invoice) or not sighting.amount_minor or not sighting.currency:
        return None
    if not (sighting.intent or sighting.charge or sighting.invoice):
        return None  # what cannot be told from other money would be counted beside it
    return Payment(
        purpose=UNMATCHED,
        via=Payment.Via.CHECKOUT,  # so that only a session brings the contact, whichever event comes first
        amount_minor=sighting.amount_minor,
        currency=sighting.currency,
        livemode=settings.STRIPE_LIVE_MODE,
        checkout_session=sighting.session,
        payment_intent=sighting.intent,
        charge=sighting.charge,
        invoice=sighting.invoice,
        period_end=sighting.period_end,
    )


def adopt(sighting: Sighting) -> Payment | None:
    """The payment made for money whose metadata names a purpose and a subject that exist, or None."""
    metadata = sighting.metadata or {}
    purpose, subject = metadata.get("purpose", ""), metadata.get("subject", "")
    fulfilment = fulfilment_of(purpose)
    payment = _payment_for(sighting)
    if fulfilment is None or payment is None or not subject:
        return None
    payment.purpose = purpose
    ledger.open_accounts([ledger.stripe_account(payment.currency)])
    if not fulfilment.adopt(payment, subject):
        return None
    logger.info("adopted %s for %s %s", payment.pk, purpose, subject)
    return payment


def take_in(sighting: Sighting) -> Payment | None:
    """The payment made for money that belongs to nothing we know; staff will assign it.

    Not for an invoice whose intent is not told: that intent shows the same money, and would be taken in once more.
    """
    payment = _payment_for(sighting)
    if payment is None or sighting.paid_at is None or (sighting.invoice and not sighting.intent):
        return None
    destination = ledger.unmatched_account(payment.currency)
    ledger.open_accounts([ledger.stripe_account(payment.currency), destination])
    payment.destination_id = destination
    payment.save(force_insert=True)
    logger.warning("took in %s, which finds no payment, as %s", sighting.intent or sighting.session, payment.pk)
    return payment
