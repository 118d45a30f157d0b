"""Proving the hours: every lot is the sum of its movements, every purchase has the lot and state that its payment
calls for, every session drew exactly its hours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from payments.states import product_state
from pricing.hour_amounts import hours_text
from pricing.models import HourConsumption, HourLot, HourMovement, PurchaseTransaction

CHUNK = 500
Kind = HourMovement.Kind


def check_books() -> Iterator[str]:
    """A sentence for every row that breaks an invariant. Memory stays flat."""
    yield from _purchases_follow_payments()
    yield from _lots_are_sums()
    yield from _sessions_drew_their_hours()


def _purchases_follow_payments() -> Iterator[str]:
    purchases = PurchaseTransaction.objects.select_related("payment", "lot").order_by("pk").iterator(chunk_size=CHUNK)
    for purchase in purchases:
        payment = purchase.payment
        if purchase.state != product_state(payment):
            yield f"{purchase.pk} is {purchase.state}, its payment says {product_state(payment)}"
        if (purchase.amount_minor, purchase.currency) != (payment.amount_minor, payment.currency):
            yield f"{purchase.pk} costs {purchase.money.display()}, its payment is {payment.money.display()}"
        lot = getattr(purchase, "lot", None)
        granted = lot.granted_hundredths if lot else 0
        due = purchase.hours_hundredths if payment.paid_at else 0
        if granted != due:
            yield f"{purchase.pk} granted {hours_text(granted)} hours, its payment calls for {hours_text(due)}"


def _lots_are_sums() -> Iterator[str]:
    lots = HourLot.objects.order_by("pk").prefetch_related("movements").iterator(chunk_size=CHUNK)
    while chunk := list(islice(lots, CHUNK)):
        for lot in chunk:
            yield from _lot_is_sum(lot, list(lot.movements.all()))


def _lot_is_sum(lot: HourLot, movements: Sequence[HourMovement]) -> Iterator[str]:
    for kind in Kind:
        stored = getattr(lot, f"{kind.value}_hundredths")
        moved = sum(movement.hundredths for movement in movements if movement.kind == kind)
        if stored != moved:
            yield f"{lot.pk} says {hours_text(stored)} hours {kind.value}, its movements say {hours_text(moved)}"


def _sessions_drew_their_hours() -> Iterator[str]:
    sessions = HourConsumption.objects.order_by("pk").prefetch_related("movements").iterator(chunk_size=CHUNK)
    while chunk := list(islice(sessions, CHUNK)):
        for session in chunk:
            drawn = sum(m.hundredths for m in session.movements.all() if m.kind == Kind.CONSUMED)
            due = 0 if session.reversed_at else session.hours_hundredths
            if drawn != due:
                yield f"{session.pk} drew {hours_text(drawn)} hours, it should have drawn {hours_text(due)}"
