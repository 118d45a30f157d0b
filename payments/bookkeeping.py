"""Which transfers facts call for: those of a payment, and those of a balance transaction at Stripe.

Pure: facts in, postings out, always in the same order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from payments.ledger import Posting, stripe_account, unmatched_account
from payments.models import BalanceTransaction, Dispute, Payment, Refund

# Balance transactions by type (https://docs.stripe.com/reports/balance-transaction-types). The money of the first two
# kinds is posted with the payment they belong to; what is left of them to post is their fee and their conversion.
OF_CHARGES = frozenset({"charge", "payment"})
OF_REFUNDS = frozenset({"refund", "payment_refund", "refund_failure"})
# A debit that was on the balance before it was known to succeed, taken off again: neither was ever money of a payment.
OF_FAILED = frozenset({"payment_failure_refund"})
OF_PAYOUTS = frozenset({"payout", "payout_cancel", "payout_failure"})
OF_FEES = frozenset({"stripe_fee", "stripe_fx_fee", "tax_fee"})
DISPUTE_CATEGORIES = frozenset({"dispute", "dispute_reversal"})
ASSIGNED = "assigned"  # the first part of such a key; the rest is the key of what is passed on
# So begin the keys of what a product moves between a payment's destination and the account that its returns are taken from:
# posted, and proved, by the product.
LEVEL = "level:"


def postings_due(payment: Payment, refunds: Iterable[Refund], disputes: Iterable[Dispute]) -> list[Posting]:
    """Every transfer that the payment's facts imply, whether posted already or not.

    Nothing stands before `paid:`, then refunds, disputes, reversals; so whatever arrived first, the books read alike.
    """
    if payment.paid_at is None:
        return []
    if payment.assigned_at is None:
        returns_from = payment.returns_from_id or payment.destination_id
        return _movements(payment, payment.destination_id, returns_from, refunds, disputes)
    unmatched = unmatched_account(payment.currency)
    due = _movements(payment, unmatched, unmatched, refunds, disputes)
    return due + [_passed_on(payment, posting, payment.assigned_at) for posting in due]


def _passed_on(payment: Payment, posting: Posting, assigned_at: datetime) -> Posting:
    """The unmatched account's side of a movement, moved to where staff assigned the payment.

    Money that came before the assignment and a refund that comes long after it are booked alike: through the unmatched
    account, and from there on. So the order of the two changes nothing, and nothing that was posted is taken back.
    """
    unmatched = unmatched_account(payment.currency)
    inwards = posting.credit == unmatched
    account = _account_of(posting.key, payment.destination_id, payment.returns_from_id or payment.destination_id)
    return replace(
        posting,
        key=f"{ASSIGNED}:{posting.key}",
        debit=unmatched if inwards else account,
        credit=account if inwards else unmatched,
        source=None,  # our own act: Stripe knows nothing of it
        occurred_at=max(posting.occurred_at, assigned_at),
        memo=f"assigned: {posting.memo}",
    )


def _account_of(key: str, destination: str, returns_from: str) -> str:
    """Where a movement's money goes to or comes from: what was paid is one, all that goes back or returns the other."""
    return destination if key.startswith("paid:") else returns_from


def _movements(
    payment: Payment, destination: str, returns_from: str, refunds: Iterable[Refund], disputes: Iterable[Dispute]
) -> list[Posting]:
    """Every movement between Stripe and `destination`, or `returns_from` for what goes back."""
    assert payment.paid_at is not None
    stripe = stripe_account(payment.currency)

    def movement(key: str, source: str | None, amount_minor: int, at: datetime, *, inwards: bool, memo: str) -> Posting:
        account = _account_of(key, destination, returns_from)
        return Posting(
            key=key,
            debit=stripe if inwards else account,
            credit=account if inwards else stripe,
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
    for refund in sorted((r for r in refunds if r.booked), key=_birth):
        key, source = f"refund:{refund.stripe_id}", refund.stripe_id
        due.append(movement(key, source, refund.amount_minor, refund.created_at, inwards=False, memo="refund"))
        if at := undone_at(refund):
            key = f"refund-reversal:{refund.stripe_id}"
            back.append(movement(key, source, refund.amount_minor, at, inwards=True, memo="refund undone"))
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


def book_refunds(payment: Payment, refunds: Iterable[Refund]) -> list[Refund]:
    """Mark the refunds that can be booked now as booked; returns those that were not before.

    Stripe refuses a refund of more than is left. So where all that we know of are more than was paid, an earlier one has
    failed and the news of it has not come: the refund without room waits for that news, unbooked. What is booked stays.
    """
    newly: list[Refund] = []
    room = payment.amount_minor - refunded_minor(refunds)
    for refund in sorted((r for r in refunds if r.stripe_id and not r.booked), key=_birth):
        if not undone_at(refund):
            if refund.amount_minor > room:
                continue
            room -= refund.amount_minor
        refund.booked = True
        newly.append(refund)
    return newly


def undone_at(refund: Refund) -> datetime | None:
    return refund.failed_at or refund.canceled_at


def _birth(refund: Refund) -> tuple[datetime, str]:
    return refund.created_at, refund.stripe_id or ""


def refunded_minor(refunds: Iterable[Refund]) -> int:
    """What went back and stayed there: never more than was paid."""
    return sum(refund.amount_minor for refund in refunds if refund.booked and not undone_at(refund))


def disputed_minor(disputes: Iterable[Dispute]) -> int:
    return sum(dispute.amount_minor for dispute in disputes if dispute.holds_funds)


def belongs_to_payment(row: BalanceTransaction) -> bool:
    """Whether its money is that of a charge, refund or dispute, and so is posted with that payment."""
    return moves_its_source(row.type, row.category)


def moves_its_source(type_: str, category: str) -> bool:
    """Whether a balance transaction's amount is its source's own: of a fee, say, it is not, whatever its source."""
    return type_ in OF_CHARGES | OF_REFUNDS | OF_FAILED or category in DISPUTE_CATEGORIES


def movement_key(row: BalanceTransaction, payment_id: str | None) -> str | None:
    """The key of the payment's transfer that the row's amount is; None where it belongs to no payment that we know."""
    if row.type in OF_CHARGES:
        return f"paid:{payment_id}" if payment_id else None
    if row.type in OF_REFUNDS:
        return f"refund:{row.source}" if row.amount_minor < 0 else f"refund-reversal:{row.source}"
    if row.category in DISPUTE_CATEGORIES:
        return f"dispute:{row.source}:{'withdrawn' if row.amount_minor < 0 else 'reinstated'}"
    return None


def balance_postings_due(row: BalanceTransaction) -> list[Posting]:
    """The transfers that a balance transaction calls for besides those of its payment; none of them has a payment.

    The fee. A conversion, where Stripe settles in another currency than the payment's: `:out` is the leg in the
    payment's currency, `:in` the leg in which Stripe settles. A payout and its return. What is none of these (a top-up,
    a correction by Stripe) goes to the unmatched account, so that `stripe:<currency>` is always Stripe's own balance.
    """

    def movement(key: str, account: str, amount_minor: int, memo: str, *, currency: str = row.currency) -> Posting:
        """Into Stripe's balance from `account` where the amount is positive, else out of it."""
        ours = stripe_account(currency)
        inwards = amount_minor > 0
        return Posting(
            key=key,
            debit=ours if inwards else account,
            credit=account if inwards else ours,
            amount_minor=abs(amount_minor),
            currency=currency,
            occurred_at=row.created_at,
            source=row.pk,
            memo=memo,
        )

    fees = f"fees:{row.currency}"
    due = []
    if row.source_currency and row.source_amount_minor and row.amount_minor:
        memo = f"converted at {row.exchange_rate}"
        out, currency = -row.source_amount_minor, row.source_currency
        due.append(movement(f"fx:{row.pk}:out", f"fx:{currency}", out, memo, currency=currency))
        due.append(movement(f"fx:{row.pk}:in", f"fx:{row.currency}", row.amount_minor, memo))
    elif row.amount_minor and not belongs_to_payment(row):
        if row.type in OF_PAYOUTS:
            key = f"payout:{row.source}" if row.type == "payout" else f"payout-reversal:{row.source}"
            due.append(movement(key, f"bank:{row.currency}", row.amount_minor, row.type.replace("_", " ")))
        elif row.type in OF_FEES:
            due.append(movement(f"fee:{row.pk}", fees, row.amount_minor, row.type.replace("_", " ")))
        else:
            memo = row.type.replace("_", " ")
            due.append(movement(f"other:{row.pk}", unmatched_account(row.currency), row.amount_minor, memo))
    if row.fee_minor:
        key = f"fee:{row.pk}" if row.type not in OF_FEES else f"fee:{row.pk}:own"
        due.append(movement(key, fees, -row.fee_minor, f"fee of {row.source or row.pk}"))
    return due
