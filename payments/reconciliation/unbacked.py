"""Transfers of ours that no balance transaction at Stripe stands behind: what our books say and Stripe's do not.

Asked last, of our own rows alone: by then every balance transaction of the window has been recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from conventions.chunks import in_chunks
from payments.bookkeeping import movement_key
from payments.models import BalanceTransaction, Payment, Transfer
from payments.money import Money
from payments.reconciliation.differences import Difference

CHUNK = 500
# Stripe captures asynchronously: a charge's balance transaction may follow some time after it succeeded.
BOOKED_WITHIN = timedelta(hours=1)
REMEDY = "none by itself: is it another account's or mode's key? See docs/operations.md, “reconcile”"


def unbacked_transfers(*, since: datetime, until: datetime) -> Iterator[Difference]:
    """A difference for every transfer of a payment in the window that no recorded balance transaction is."""
    moved = Transfer.objects.filter(
        payment__isnull=False, source__isnull=False, occurred_at__gte=since, occurred_at__lt=until - BOOKED_WITHIN
    )
    for chunk in in_chunks(moved.select_related("payment"), CHUNK):
        backed = _backed(chunk)
        for transfer in chunk:
            if transfer.key not in backed:
                amount = Money(transfer.amount_minor, transfer.currency).display()
                what = f"{transfer.key}: {amount} is posted, and no balance transaction at Stripe is it"
                yield Difference(subject=str(transfer.source), what=what, remedy=REMEDY, thing={"id": transfer.source})


def _backed(chunk: Sequence[Transfer]) -> set[str]:
    """The keys among the chunk's that a balance transaction with the right amount stands behind."""
    payments: dict[str, Payment] = {t.payment.pk: t.payment for t in chunk if t.payment}
    by_charge = {payment.charge: payment.pk for payment in payments.values() if payment.charge}
    sources = {transfer.source for transfer in chunk} | by_charge.keys()
    amounts = {transfer.key: (transfer.amount_minor, transfer.currency) for transfer in chunk}
    backed = set()
    for row in BalanceTransaction.objects.filter(source__in=sources):
        key = movement_key(row, by_charge.get(row.source))
        moved = row.amount_minor if row.source_amount_minor is None else row.source_amount_minor
        if key is not None and amounts.get(key) == (abs(moved), row.source_currency or row.currency):
            backed.add(key)
    return backed
