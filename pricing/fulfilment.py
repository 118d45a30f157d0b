"""What a paid, refunded or disputed payment means for purchases and their hours: the protocol of `payments.fulfilment`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from conventions.insert_or_add import insert_or_add
from conventions.public_ids import new_public_id
from payments.fulfilment import Happening, PaymentChange, Subject, Total
from payments.models import Payment, Transfer
from payments.states import product_state
from pricing import expiring, invoices, proving
from pricing.hours import Kind, Moving, locked_lots, take_back
from pricing.models import HourLot, HourMovement, PurchaseTransaction
from pricing.persons import proved_users


def settle(changes: Sequence[PaymentChange]) -> None:
    """Bring purchases in line with their payments; grant hours once, and take unused ones back with the money."""
    payments = {change.payment.pk: change.payment for change in changes}
    purchases = list(PurchaseTransaction.objects.select_for_update(of=("self",)).filter(payment__in=payments).order_by("pk"))
    for purchase in purchases:
        purchase.payment = payments[purchase.payment_id]  # the locked row, not a second look
        purchase.state = product_state(purchase.payment)
        purchase.paid_at = purchase.payment.paid_at
        purchase.email = purchase.email or purchase.payment.customer_email
    _find_owners([purchase for purchase in purchases if purchase.paid_at and purchase.user_id is None and purchase.email])
    PurchaseTransaction.objects.bulk_update(purchases, ["state", "paid_at", "email", "user"], batch_size=200)
    granting = [purchase for purchase in purchases if purchase.paid_at and purchase.hours_hundredths]
    if granting:
        _grant(granting)
        _follow_refunds(granting)


def _find_owners(purchases: Sequence[PurchaseTransaction]) -> None:
    """What a guest bought under an address that somebody has proved before is theirs at once."""
    emails = {purchase.email for purchase in purchases}
    owners = {user.email: user for user in proved_users().filter(email__in=emails)} if emails else {}
    for purchase in purchases:
        purchase.user = owners.get(purchase.email)


def _grant(purchases: Sequence[PurchaseTransaction]) -> None:
    """A lot for each purchase that has none yet."""
    now = timezone.now()
    rows: list[dict[str, Any]] = [
        {
            "id": new_public_id("lot"),
            "student_id": purchase.user_id,
            "email": purchase.email,
            "purchase_id": purchase.pk,
            "granted_hundredths": purchase.hours_hundredths,
            "consumed_hundredths": 0,
            "expired_hundredths": 0,
            "taken_back_hundredths": 0,
            "withdrawn_hundredths": 0,
            "remaining_hundredths": purchase.hours_hundredths,
            "owed_hundredths": 0,
            "settled_hundredths": None,
            "expires_at": expires_at(purchase),
            "notice_at": None,
            "created_at": now,
        }
        for purchase in purchases
    ]
    made = insert_or_add(HourLot, rows, key=["purchase_id"], returning=["id", "purchase_id"])
    new = {purchase: lot for lot, purchase in made}
    HourMovement.objects.bulk_create(
        HourMovement(
            key=f"grant:{purchase.pk}",
            lot_id=new[purchase.pk],
            kind=Kind.GRANTED,
            hundredths=purchase.hours_hundredths,
            occurred_at=now,
        )
        for purchase in purchases
        if purchase.pk in new
    )


def _follow_refunds(purchases: Sequence[PurchaseTransaction]) -> None:
    by_pk = {purchase.pk: purchase for purchase in purchases}
    moving = Moving(at=timezone.now())
    moved = []
    for lot in locked_lots(HourLot.objects.filter(purchase__in=by_pk)):
        purchase = by_pk[str(lot.purchase_id)]
        # The time of payment may be corrected by a later event, and the expiry with it; a contact may be learned.
        expires, email = expires_at(purchase), lot.email or purchase.email
        if (lot.expires_at, lot.email) != (expires, email):
            lot.expires_at, lot.email = expires, email
            moved.append(lot)
        take_back(moving=moving, lot=lot, target=hours_due_back(purchase), cause=purchase.pk)
    HourLot.objects.bulk_update(moved, ["expires_at", "email"], batch_size=200)
    moving.write()


def expires_at(purchase: PurchaseTransaction) -> datetime | None:
    """The end of the month that a subscription's payment buys, or so many days after the payment."""
    if purchase.subscription_id is not None:
        return purchase.payment.period_end
    if purchase.validity_days is None or purchase.paid_at is None:
        return None
    return purchase.paid_at + timedelta(days=purchase.validity_days)


def hours_due_back(purchase: PurchaseTransaction) -> int:
    """Hundredths that went back with the money: in proportion, rounded in the student's favour."""
    returned = min(purchase.payment.refunded_minor + purchase.payment.disputed_minor, purchase.amount_minor)
    return purchase.hours_hundredths * returned // purchase.amount_minor


def adopt(payment: Payment, subject: str) -> bool:
    """A paid invoice of a subscription that is ours: its purchase is made now."""
    return invoices.adopt(payment, subject)


def totals_of(name: str) -> Sequence[Total]:
    """Nothing: what plans earn stands in accounts that are named themselves."""
    return ()


def acted(transfers: Sequence[Transfer]) -> Mapping[str, str]:
    """Nothing more than payments knows."""
    return {}


def find_subjects(words: str) -> Sequence[Subject]:
    """Nothing: money that came past us buys no plan by itself; staff give hours with a reason instead."""
    return ()


def happened(subject_id: str) -> Sequence[Happening]:
    lots = HourLot.objects.filter(purchase=subject_id, notice_at__isnull=False).values_list("notice_at", flat=True)
    return [Happening(at=at, what="told that hours will expire") for at in lots if at]


def rows_of(payments: Collection[str]) -> Iterable[QuerySet[Any]]:
    purchases = PurchaseTransaction.objects.filter(payment__in=payments)
    yield purchases
    yield HourLot.objects.filter(purchase__in=purchases)
    yield HourMovement.objects.filter(lot__purchase__in=purchases)


def check_books() -> Iterable[str]:
    return proving.check_books()


def sweep() -> dict[str, int]:
    return expiring.sweep()


def explain(subject_id: str) -> str:
    purchase = PurchaseTransaction.objects.get(pk=subject_id)
    return f"{purchase.name} for {purchase.money.display()}, bought by {purchase.user_id or 'a guest'}"
