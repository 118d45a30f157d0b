"""What a checkout session stands at, for whoever comes back from the checkout page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts.models import User
from accounts.staff import staff_may
from conventions.errors import InvalidInput, NotFound
from donations.models import Donation
from payments import stripe_gateway
from payments.asking import ask_and_settle
from payments.checkout import SESSION_ID
from payments.models import Payment
from payments.states import FINAL

HOLDER_SEES_FOR = timedelta(hours=24)


def session_status(session_id: str, *, user: User | None) -> dict[str, Any]:
    """The session's gift; settles it first when Stripe knows more than we do.

    For 24 hours whoever holds the (unguessable) id sees amount, status and ids, and of a guest's gift its e-mail
    address and receipt; those of a user's gift only that user and staff who may see gifts. Raises InvalidInput for what
    is no session id, NotFound for an id that this system did not create: the rest of the Stripe account is nobody's
    business.
    """
    if not SESSION_ID.fullmatch(session_id):
        raise InvalidInput("That is not a checkout session id.", field="session_id", code="malformed_session_id")
    donation = _donation_of(session_id)
    payment = donation.payment
    if not _may_see(donation, user):
        raise NotFound("There is no such session.")
    if _has_more_to_tell(payment):
        ask_and_settle(stripe_gateway.retrieve_session, session_id)
        # Read again even where nothing changed here: the webhook may have been first while we asked.
        donation = _donation_of(session_id)
        payment = donation.payment
    trusted = _owns(donation, user) or payment.user_id is None
    return {
        "session_id": session_id,
        "donation_id": donation.pk,
        "campaign_id": donation.campaign_id,
        "amount": str(payment.money),
        "currency": payment.currency.upper(),
        "payment_status": shown_status(payment),
        "receipt_url": (payment.receipt_url or None) if trusted else None,
        "customer_email": (payment.customer_email or None) if trusted else None,
        "payment_intent_id": payment.payment_intent,
    }


def shown_status(payment: Payment) -> str:
    if payment.paid_at:
        return "refunded" if payment.refunded_minor >= payment.amount_minor else "completed"
    return {"open": "pending", "canceled": "expired"}.get(payment.status, payment.status)


def _donation_of(session_id: str) -> Donation:
    donation = Donation.objects.select_related("payment", "donor").filter(payment__checkout_session=session_id).first()
    if donation is None:
        raise NotFound("There is no such session.")
    return donation


def _owns(donation: Donation, user: User | None) -> bool:
    if user is None:
        return False
    donor_user = donation.donor.user_id if donation.donor else None
    return staff_may(user, "donations.view_donation") or user.pk in {donation.payment.user_id, donor_user}


def _may_see(donation: Donation, user: User | None) -> bool:
    return timezone.now() - donation.payment.created_at < HOLDER_SEES_FOR or _owns(donation, user)


def _has_more_to_tell(payment: Payment) -> bool:
    """Not at its end yet, or paid by an event that did not bring the address typed at the checkout page."""
    return payment.status not in FINAL or (payment.status == "paid" and not payment.customer_email)
