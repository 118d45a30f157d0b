"""Giving money that came past us to what it was meant for: assign() does all of it, or nothing."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.models import User
from conventions.errors import InvalidInput
from payments import ledger
from payments.bookkeeping import postings_due
from payments.errors import NotAssignable, OtherCurrency
from payments.fulfilment import Fulfilment, PaymentChange, Subject, fulfilment_of
from payments.models import Payment
from payments.unmatched import UNMATCHED


def assign(*, payment_id: str, purpose: str, subject_id: str, actor: User, reason: str) -> Payment:
    """Move an unmatched payment to a product's subject (a campaign), with everything that was and will be refunded.

    The product makes its row as for money that names its subject, the books pass every movement on from the unmatched
    account (`bookkeeping.postings_due`), and the product's totals follow. Doing it twice changes nothing.

    Raises NotAssignable (it belongs to something already, or nothing of it is left), OtherCurrency, and InvalidInput
    where the reason is missing or there is no such subject.
    """
    why = audit.reason_given(reason)
    with transaction.atomic():
        payment = Payment.objects.select_for_update().get(pk=payment_id)
        if payment.purpose == purpose and payment.assigned_to == subject_id:
            return payment
        _refuse_what_is_not_unmatched(payment)
        fulfilment, subject = _subject(purpose, subject_id)
        if subject.currency != payment.currency:
            raise OtherCurrency(
                f"“{subject.title}” collects {subject.currency.upper()}; a payment in {payment.currency.upper()} "
                "cannot be added to its total. Choose another, or refund the payment."
            )
        before = _told(payment)
        payment.purpose, payment.assigned_to, payment.assigned_at = purpose, subject_id, timezone.now()
        if not fulfilment.adopt(payment, subject_id):
            raise NotAssignable(f"“{subject.title}” does not take this payment.")
        _post(payment)
        # To the product the payment is new: paid, and perhaps refunded in part, at this moment.
        change = PaymentChange(
            payment=payment,
            became_paid=True,
            refunded_delta_minor=payment.refunded_minor,
            disputed_delta_minor=payment.disputed_minor,
        )
        fulfilment.settle([change])
        audit.record(actor=actor, action="payment.assigned", target=payment, before=before, after=_told(payment), reason=why)
    return payment


def _refuse_what_is_not_unmatched(payment: Payment) -> None:
    if payment.purpose != UNMATCHED:
        raise NotAssignable(f"This payment belongs to {payment.purpose} {payment.subject_id} already; nothing was changed.")
    if payment.net_minor <= 0:
        raise NotAssignable("Nothing of this payment is left: it was refunded, or is held by a dispute.")


def _subject(purpose: str, subject_id: str) -> tuple[Fulfilment, Subject]:
    fulfilment = fulfilment_of(purpose)
    found = fulfilment.find_subjects(subject_id) if fulfilment else []
    for subject in found:
        if fulfilment and subject.id == subject_id:
            return fulfilment, subject
    raise InvalidInput(f"There is no {purpose} subject {subject_id!r}.", field="subject", code="unknown_subject")


def _post(payment: Payment) -> None:
    """Everything posted so far, passed on. The payment is locked, so no settlement adds to it meanwhile."""
    refunds = list(payment.refunds.select_for_update().order_by("pk"))
    disputes = list(payment.disputes.select_for_update().order_by("pk"))
    ledger.post(postings_due(payment, refunds, disputes))


def _told(payment: Payment) -> dict[str, str]:
    return {"purpose": payment.purpose, "subject": payment.subject_id, "destination": str(payment.destination_id)}
