"""Which transfers the facts of a payment call for. Pure: facts in, postings out, always in the same order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from payments.ledger import Posting, stripe_account
from payments.models import Dispute, Payment, Refund


def postings_due(payment: Payment, refunds: Iterable[Refund], disputes: Iterable[Dispute]) -> list[Posting]:
    """Every transfer that the payment's facts imply, whether posted already or not.

    Nothing stands before `paid:`, then refunds, disputes, reversals; so whatever arrived first, the books read alike.
    """
    if payment.paid_at is None:
        return []
    stripe, destination = stripe_account(payment.currency), payment.destination_id

    def movement(key: str, source: str | None, amount_minor: int, at: datetime, *, inwards: bool, memo: str) -> Posting:
        return Posting(
            key=key,
            debit=stripe if inwards else destination,
            credit=destination if inwards else stripe,
            amount_minor=amount_minor,
            currency=payment.currency,
            occurred_at=at,
            payment_id=payment.pk,
            source=source,
            memo=memo,
        )

    due = [
        movement(
            f"paid:{payment.pk}",
            payment.payment_intent or payment.checkout_session or payment.charge,
            payment.amount_minor,
            payment.paid_at,
            inwards=True,
            memo="paid",
        )
    ]
    back: list[Posting] = []
    for refund in sorted((r for r in refunds if r.stripe_id), key=lambda r: (r.created_at, r.stripe_id or "")):
        key, source = f"refund:{refund.stripe_id}", refund.stripe_id
        due.append(movement(key, source, refund.amount_minor, refund.created_at, inwards=False, memo="refund"))
        if undone_at := refund.failed_at or refund.canceled_at:
            key = f"refund-reversal:{refund.stripe_id}"
            back.append(movement(key, source, refund.amount_minor, undone_at, inwards=True, memo=f"refund {refund.status}"))
    for dispute in sorted(disputes, key=lambda d: (d.opened_at, d.stripe_id)):
        if dispute.funds_withdrawn_at is None:
            continue  # an inquiry, or a reinstatement whose withdrawal is still on its way
        key, source = f"dispute:{dispute.stripe_id}", dispute.stripe_id
        taken_at, returned_at = dispute.funds_withdrawn_at, dispute.funds_reinstated_at
        due.append(movement(f"{key}:withdrawn", source, dispute.amount_minor, taken_at, inwards=False, memo="disputed"))
        if returned_at:
            memo = "dispute funds returned"
            back.append(movement(f"{key}:reinstated", source, dispute.amount_minor, returned_at, inwards=True, memo=memo))
    return due + back


def refunded_minor(refunds: Iterable[Refund]) -> int:
    return sum(refund.amount_minor for refund in refunds if refund.counts)


def disputed_minor(disputes: Iterable[Dispute]) -> int:
    return sum(dispute.amount_minor for dispute in disputes if dispute.holds_funds)
