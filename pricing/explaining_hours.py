"""Opening an hour balance up: into lots, each into its movements, its purchase, and the payment and transfers behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import User
from payments.explaining import Heading, Part, explain
from pricing.hour_amounts import hours_text
from pricing.hours import balance_of
from pricing.models import HourLot, HourMovement

Kind = HourMovement.Kind


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A movement: hours with their sign as seen from what remains."""

    at: datetime
    hundredths: int
    what: str
    session: str = ""
    who: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class HoursCheck:
    """Two ways to the same hours."""

    what: str
    hundredths: int
    expected_hundredths: int

    @property
    def holds(self) -> bool:
        return self.hundredths == self.expected_hundredths


@dataclass(frozen=True, kw_only=True)
class Unshown:
    """Lots beyond the limit: summed, not shown."""

    count: int
    remaining_hundredths: int


HourPart = Part | Moved | HoursCheck | Unshown


def explain_hours(student: User, *, limit: int) -> Iterator[HourPart]:
    """Everything behind a student's hours, soonest expiry first; at most `limit` lots are opened up."""
    now = timezone.now()
    balance = balance_of(student, now=now)
    yield Heading(
        title=f"hours of {student.pk}: {hours_text(balance.remaining)} left",
        facts={
            "bought or given": hours_text(balance.purchased),
            "used": hours_text(balance.consumed),
            "expired": hours_text(balance.expired),
            "taken back with money": hours_text(balance.taken_back),
            "taken away by staff": hours_text(balance.withdrawn),
            "next expiry": f"{balance.next_expiry:%Y-%m-%d %H:%M}" if balance.next_expiry else "none",
        },
    )
    for lot in balance.lots[:limit]:
        yield from _lot(lot)
    if rest := balance.lots[limit:]:
        yield Unshown(count=len(rest), remaining_hundredths=sum(lot.remaining_hundredths for lot in rest))
    gone = balance.consumed + balance.expired + balance.taken_back + balance.withdrawn
    yield HoursCheck(
        what="are left: what was bought or given, less what was used, expired, taken back and taken away",
        hundredths=balance.remaining,
        expected_hundredths=balance.purchased - gone,
    )


def _lot(lot: HourLot) -> Iterator[HourPart]:
    expires = f"{lot.expires_at:%Y-%m-%d %H:%M}" if lot.expires_at else "never"
    facts = {"expires": expires, "purchase": str(lot.purchase_id or "none: given without a payment")}
    if lot.owed_hundredths:
        facts["owed"] = f"{hours_text(lot.owed_hundredths)} hours were refunded after they were used or had expired"
    yield Heading(
        title=f"lot {lot.pk}: {hours_text(lot.remaining_hundredths)} of {hours_text(lot.granted_hundredths)}", facts=facts
    )
    left = 0
    for movement in lot.movements.select_related("actor", "consumption").order_by("pk").iterator(chunk_size=200):
        signed = movement.hundredths if movement.kind == Kind.GRANTED else -movement.hundredths
        left += signed
        yield Moved(
            at=movement.occurred_at,
            hundredths=signed,
            what=movement.told,
            session=movement.consumption.session_reference if movement.consumption else "",
            who=str(movement.actor) if movement.actor else "",
            reason=movement.reason,
        )
    yield HoursCheck(
        what=f"remain in {lot.pk}: the sum of its movements", hundredths=left, expected_hundredths=lot.remaining_hundredths
    )
    if lot.purchase is not None:
        yield from explain(lot.purchase.payment_id, limit=0)
