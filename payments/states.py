"""What status follows from which facts. Pure functions and small tables, so that the order of arrival cannot matter."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from django.db.models import TextChoices


class PaymentFacts(Protocol):
    paid_at: datetime | None
    canceled_at: datetime | None
    expired_at: datetime | None
    failed_at: datetime | None
    processing_at: datetime | None


class RefundFacts(Protocol):
    succeeded_at: datetime | None
    failed_at: datetime | None
    canceled_at: datetime | None


PAYMENT_STATUSES = ("open", "processing", "failed", "paid", "canceled", "expired")
FINAL = frozenset({"paid", "canceled", "expired"})  # Stripe need not be asked any more whether it was paid
REFUND_STATUSES = ("pending", "succeeded", "failed", "canceled")
# Later in this list wins, whatever came first (https://docs.stripe.com/disputes/how-disputes-work).
DISPUTE_STATUSES = (
    "warning_needs_response",
    "warning_under_review",
    "needs_response",
    "under_review",
    "prevented",
    "warning_closed",
    "lost",
    "won",
)
DISPUTE_CLOSED = frozenset({"prevented", "warning_closed", "lost", "won"})


class ProductState(TextChoices):
    """What has become of something that one payment pays for; `product_state` says which."""

    PENDING = "pending"
    PAID = "paid"
    REFUNDED = "refunded"
    PARTIALLY_REFUNDED = "partially_refunded"
    DISPUTED = "disputed"
    ABANDONED = "abandoned"


def payment_status(facts: PaymentFacts) -> str:
    """A failed payment may still be paid (Stripe lets a person try another card); paid is never left."""
    if facts.paid_at:
        return "paid"
    if facts.canceled_at:
        return "canceled"
    if facts.expired_at:
        return "expired"
    if facts.failed_at and (not facts.processing_at or facts.failed_at >= facts.processing_at):
        return "failed"
    return "processing" if facts.processing_at else "open"


def refund_status(facts: RefundFacts) -> str:
    """A refund that succeeded may still fail (the bank sends the money back), so failed beats succeeded."""
    if facts.failed_at:
        return "failed"
    if facts.canceled_at:
        return "canceled"
    return "succeeded" if facts.succeeded_at else "pending"


def dispute_status(known: str, seen: str) -> str:
    """The further of the two."""
    return max(known, seen, key=_dispute_rank)


def _dispute_rank(status: str) -> int:
    return DISPUTE_STATUSES.index(status) if status in DISPUTE_STATUSES else -1


def earliest(known: datetime | None, seen: datetime | None) -> datetime | None:
    return min((t for t in (known, seen) if t is not None), default=None)


def latest(known: datetime | None, seen: datetime | None) -> datetime | None:
    return max((t for t in (known, seen) if t is not None), default=None)


def product_state(payment: Any) -> str:
    """What a sold product's state is, given its payment: fully refunded beats disputed beats refunded in part."""
    if payment.paid_at is None:
        return "abandoned" if payment.status in {"canceled", "expired"} else "pending"
    if payment.refunded_minor >= payment.amount_minor:
        return "refunded"
    if payment.disputed_minor > 0:
        return "disputed"
    return "partially_refunded" if payment.refunded_minor > 0 else "paid"
