"""Proving the books: every payment's transfers are exactly those that its facts call for."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from django.db.models import F, Sum

from conventions.chunks import in_chunks
from payments.bookkeeping import (
    LEVEL,
    OF_FAILED,
    balance_postings_due,
    belongs_to_payment,
    disputed_minor,
    movement_key,
    postings_due,
    refunded_minor,
    undone_at,
)
from payments.fulfilment import all_fulfilments
from payments.models import BalanceTransaction, LedgerAccount, Payment, Transfer

CHUNK = 500


def check_books() -> Iterator[str]:
    """A sentence for every row that breaks an invariant, of payments and then of each product. Memory stays flat."""
    yield from _payments_are_booked()
    yield from _balance_transactions_are_booked()
    yield from _transfers_without_payment_are_called_for()
    yield from _accounts_exist()
    yield from _floored_balances_are_sums()
    for fulfilment in all_fulfilments():
        yield from fulfilment.check_books()


def _payments_are_booked() -> Iterator[str]:
    for chunk in in_chunks(Payment.objects.prefetch_related("refunds", "disputes", "transfers"), CHUNK):
        for payment in chunk:
            yield from _payment_is_booked(payment)


def _payment_is_booked(payment: Payment) -> Iterator[str]:
    refunds, disputes = list(payment.refunds.all()), list(payment.disputes.all())
    if payment.refunded_minor != refunded_minor(refunds):
        yield f"{payment.pk} says {payment.refunded_minor} was refunded, its refunds say {refunded_minor(refunds)}"
    room = payment.amount_minor - refunded_minor(refunds)
    for refund in refunds:
        if refund.stripe_id and not refund.booked and (undone_at(refund) or refund.amount_minor <= room):
            yield f"{payment.pk} has the refund {refund.stripe_id}, which could be booked and is not"
    if payment.disputed_minor != disputed_minor(disputes):
        yield f"{payment.pk} says {payment.disputed_minor} is disputed, its disputes say {disputed_minor(disputes)}"
    due = {p.key: (p.debit, p.credit, p.amount_minor) for p in postings_due(payment, refunds, disputes)}
    levels = payment.returns_from_id is not None
    transfers = [transfer for transfer in payment.transfers.all() if not (levels and transfer.key.startswith(LEVEL))]
    posted = {t.key: (t.debit_id, t.credit_id, t.amount_minor) for t in transfers}
    for key in sorted(due.keys() - posted.keys()):
        yield f"{payment.pk} lacks the transfer {key}"
    for key in sorted(posted.keys() - due.keys()):
        yield f"{payment.pk} has the transfer {key}, which no fact calls for"
    for key in sorted(due.keys() & posted.keys()):
        if due[key] != posted[key]:
            yield f"{payment.pk}: the transfer {key} is {posted[key]}, its facts call for {due[key]}"


def _balance_transactions_are_booked() -> Iterator[str]:
    """Each balance transaction that was pulled is the sum of its transfers: its payment's, its fee, its conversion."""
    for chunk in in_chunks(BalanceTransaction.objects.all(), CHUNK):
        charges = {row.source for row in chunk if row.source}
        payments = dict(Payment.objects.filter(charge__in=charges).values_list("charge", "pk"))
        moved_by = {row.pk: movement_key(row, payments.get(row.source)) for row in chunk}
        due_by = {row.pk: {p.key: (p.debit, p.credit, p.amount_minor) for p in balance_postings_due(row)} for row in chunk}
        keys = {key for due in due_by.values() for key in due} | {key for key in moved_by.values() if key}
        posted = {t.key: (t.debit_id, t.credit_id, t.amount_minor) for t in Transfer.objects.filter(key__in=keys)}
        came_to_nothing = _came_to_nothing(charges)
        for row in chunk:
            for key, wanted in due_by[row.pk].items():
                if key not in posted:
                    yield f"{row.pk} lacks the transfer {key}"
                elif posted[key] != wanted:
                    yield f"{row.pk}: the transfer {key} is {posted[key]}, Stripe calls for {wanted}"
            if belongs_to_payment(row) and row.amount_minor:
                moved = abs(row.amount_minor if row.source_amount_minor is None else row.source_amount_minor)
                named = moved_by[row.pk] or ""
                ours = posted.get(named)
                if ours is None and (row.source, abs(row.amount_minor)) in came_to_nothing:
                    continue
                if ours is None:
                    yield f"{row.pk} moved {moved} for {row.source}, of which no transfer of ours tells"
                elif ours[2] != moved:
                    yield f"{row.pk} moved {moved} for {row.source}, our transfer {named} says {ours[2]}"


def _came_to_nothing(charges: Collection[str]) -> set[tuple[str | None, int]]:
    """Source and amount of the debits that failed after they were put on the balance, and of which no payment was paid."""
    failed = BalanceTransaction.objects.filter(source__in=charges, type__in=OF_FAILED)
    rows = set(failed.values_list("source", "amount_minor"))
    paid = Payment.objects.filter(charge__in=[source for source, _ in rows], paid_at__isnull=False)
    counted = set(paid.values_list("charge", flat=True))
    return {(source, -amount) for source, amount in rows if source not in counted}


def _transfers_without_payment_are_called_for() -> Iterator[str]:
    """A transfer that records an object of Stripe's and has no payment is called for by its balance transaction."""
    for chunk in in_chunks(Transfer.objects.filter(payment=None, source__isnull=False), CHUNK):
        known = BalanceTransaction.objects.in_bulk([transfer.source for transfer in chunk])
        for transfer in chunk:
            row = known.get(transfer.source)
            if row is None or transfer.key not in {posting.key for posting in balance_postings_due(row)}:
                yield f"the transfer {transfer.key} names {transfer.source}, which does not call for it"


def _accounts_exist() -> Iterator[str]:
    for side in ("debit", "credit"):
        used = Transfer.objects.order_by().values_list(f"{side}_id", flat=True).distinct()
        missing = set(used) - set(LedgerAccount.objects.values_list("pk", flat=True))
        for code in sorted(missing):
            yield f"transfers name the account {code}, which does not exist"


def _floored_balances_are_sums() -> Iterator[str]:
    for account in LedgerAccount.objects.filter(floored=True).order_by("pk").iterator(chunk_size=CHUNK):
        debits = Transfer.objects.filter(debit=account).aggregate(total=Sum(F("amount_minor"), default=0))["total"]
        credits = Transfer.objects.filter(credit=account).aggregate(total=Sum(F("amount_minor"), default=0))["total"]
        if account.balance_minor != credits - debits:
            yield f"{account.pk} says its balance is {account.balance_minor}, its transfers say {credits - debits}"
