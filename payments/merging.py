"""How what was seen joins what is known: by rules that no order or repetition can change.

Paid, canceled and expired keep the earliest time, processing and failed the latest, an id or a name once known stays.
A refund's or dispute's end keeps the latest, since a mere mention of its state brings no better time than its birth.
"""

from __future__ import annotations

from datetime import datetime

from payments import states
from payments.facts import DisputeSighting, RefundSighting, Sighting
from payments.models import Dispute, Payment, Refund
from payments.persons import ERASED_DOMAIN
from payments.states import earliest, latest


def agrees(sighting: Sighting, payment: Payment) -> bool:
    """Whether a sighting that claims our payment id may be about that payment: nothing known contradicts it."""
    if sighting.amount_minor is not None and (sighting.amount_minor, sighting.currency) != (
        payment.amount_minor,
        payment.currency,
    ):
        return False
    pairs = (
        (sighting.session, payment.checkout_session),
        (sighting.intent, payment.payment_intent),
        (sighting.invoice, payment.invoice),
    )
    return all(not seen or not known or seen == known for seen, known in pairs)


def merge_payment(payment: Payment, seen: Sighting) -> None:
    payment.checkout_session = payment.checkout_session or seen.session
    payment.payment_intent = payment.payment_intent or seen.intent
    payment.charge = payment.charge or seen.charge
    payment.invoice = payment.invoice or seen.invoice
    payment.period_end = payment.period_end or seen.period_end
    payment.stripe_customer = payment.stripe_customer or seen.customer
    if not payment.customer_email.endswith(ERASED_DOMAIN):
        payment.receipt_url = payment.receipt_url or seen.receipt_url
    # One source of contact for each way of paying, so that two that differ cannot race.
    if seen.session or payment.via == Payment.Via.INTENT:
        payment.customer_email = payment.customer_email or seen.customer_email.strip().lower()[:320]  # some letters grow by it
        payment.customer_name = payment.customer_name or seen.customer_name.strip()[:200]
    payment.paid_at = earliest(payment.paid_at, seen.paid_at)
    payment.canceled_at = earliest(payment.canceled_at, seen.canceled_at)
    payment.expired_at = earliest(payment.expired_at, seen.expired_at)
    payment.processing_at = latest(payment.processing_at, seen.processing_at)
    _merge_failure(payment, seen)
    payment.status = states.payment_status(payment)


def _merge_failure(payment: Payment, seen: Sighting) -> None:
    if seen.failed_at is None:
        return
    failed_at = latest(seen.failed_at, payment.processing_at) if seen.is_current else seen.failed_at
    known = (payment.failed_at, payment.failure_code, payment.failure_message)
    told = (failed_at, seen.failure_code, seen.failure_message)
    if payment.failed_at is None or told > known:
        payment.failed_at, payment.failure_code, payment.failure_message = told


def merge_refund(payment: Payment, known: list[Refund], seen: RefundSighting) -> tuple[Refund, bool]:
    """The refund, and whether it is new; a new one joins `known`."""
    _refuse_other_currency(payment, seen.stripe_id, seen.currency)
    refund = next((r for r in known if r.stripe_id == seen.stripe_id), None)
    refund = refund or next((r for r in known if r.stripe_id is None and r.pk == seen.our_id), None)
    is_new = refund is None
    if refund is None:
        refund = Refund(payment=payment, amount_minor=seen.amount_minor, currency=seen.currency)
        known.append(refund)
    if refund.stripe_id is None:
        refund.canceled_at = None  # where it was canceled here, Stripe made it all the same
    refund.stripe_id = seen.stripe_id
    refund.created_at = seen.created_at
    refund.reason = refund.reason or seen.reason
    refund.failure_reason = refund.failure_reason or seen.failure_reason
    if seen.status == "succeeded":
        refund.succeeded_at = latest(refund.succeeded_at, seen.status_at)
    elif seen.status == "failed":
        refund.failed_at = latest(refund.failed_at, seen.status_at)
    elif seen.status == "canceled":
        refund.canceled_at = latest(refund.canceled_at, seen.status_at)
    refund.status = states.refund_status(refund)
    return refund, is_new


def merge_dispute(payment: Payment, known: list[Dispute], seen: DisputeSighting) -> tuple[Dispute, bool]:
    """The dispute, and whether it is new; a new one joins `known`."""
    _refuse_other_currency(payment, seen.stripe_id, seen.currency)
    dispute = next((d for d in known if d.stripe_id == seen.stripe_id), None)
    is_new = dispute is None
    if dispute is None:
        dispute = Dispute(
            payment=payment,
            stripe_id=seen.stripe_id,
            amount_minor=seen.amount_minor,
            currency=seen.currency,
            reason=seen.reason,
            status=seen.status,
            opened_at=seen.opened_at,
        )
        known.append(dispute)
    if dispute.funds_withdrawn_at is None:
        dispute.amount_minor = seen.amount_minor  # may change until it is taken: an inquiry into all, a dispute of a part
    dispute.status = states.dispute_status(dispute.status, seen.status)
    dispute.evidence_due_at = latest(dispute.evidence_due_at, seen.evidence_due_at)
    dispute.funds_withdrawn_at = earliest(dispute.funds_withdrawn_at, seen.funds_withdrawn_at)
    dispute.funds_reinstated_at = earliest(dispute.funds_reinstated_at, seen.funds_reinstated_at)
    dispute.closed_at = _closed_at(dispute, seen)
    return dispute, is_new


def _closed_at(dispute: Dispute, seen: DisputeSighting) -> datetime | None:
    """The closing event's time; an object that is merely seen closed counts from its opening until that comes."""
    seen_at = seen.closed_at or (seen.opened_at if seen.status in states.DISPUTE_CLOSED else None)
    return latest(dispute.closed_at, seen_at)


def _refuse_other_currency(payment: Payment, stripe_id: str, currency: str) -> None:
    if currency != payment.currency:
        raise ValueError(f"{stripe_id} is in {currency}, but its payment {payment.pk} is in {payment.currency}")
