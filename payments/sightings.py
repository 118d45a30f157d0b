"""What Stripe says about a payment, in our words: the form in which every event and fetched object is merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

StripeObject = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RefundSighting:
    stripe_id: str
    our_id: str | None
    amount_minor: int
    currency: str
    reason: str
    status: str
    created_at: datetime
    # The event's time where the event reports that the status changed, else the refund's own `created`.
    status_at: datetime
    failure_reason: str


@dataclass(frozen=True, kw_only=True)
class DisputeSighting:
    stripe_id: str
    amount_minor: int
    currency: str
    reason: str
    status: str
    evidence_due_at: datetime | None
    opened_at: datetime
    funds_withdrawn_at: datetime | None
    funds_reinstated_at: datetime | None
    closed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What one Stripe object says about one payment. Ids are Stripe's, `payment` is ours, times are UTC."""

    payment: str | None = None
    session: str | None = None
    intent: str | None = None
    charge: str | None = None
    invoice: str | None = None
    # The end of the time that an invoice buys; None where it buys none (a proration).
    period_end: datetime | None = None
    metadata: Mapping[str, str] | None = None
    amount_minor: int | None = None
    currency: str | None = None
    paid_at: datetime | None = None
    processing_at: datetime | None = None
    failed_at: datetime | None = None
    canceled_at: datetime | None = None
    expired_at: datetime | None = None
    # A fetched object says how things stand now: its failure is not older than a processing that we know of.
    is_current: bool = False
    failure_code: str = ""
    failure_message: str = ""
    customer: str | None = None
    customer_email: str = ""
    customer_name: str = ""
    receipt_url: str = ""
    refund: RefundSighting | None = None
    dispute: DisputeSighting | None = None
    # What Stripe says was refunded in all; where we know of less, the refunds must be fetched.
    refunded_total_minor: int | None = None

    @property
    def waits_for(self) -> str:
        """The id by which its payment would be found: the one that other events are most likely to bring."""
        return self.invoice or self.intent or self.charge or self.session or self.payment or ""


def moment(unix: int) -> datetime:
    return datetime.fromtimestamp(unix, tz=UTC)


def id_of(value: Any) -> str | None:
    """The id of an expandable field, expanded or not."""
    found = value["id"] if isinstance(value, Mapping) else value
    return str(found) if found else None
