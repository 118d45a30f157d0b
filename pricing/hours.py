"""Using hours and giving them back: soonest expiry first, under lock, never below zero, once per session.

Every change is a HourMovement; a lot's columns are kept beside them and `proving` compares the two. Lock order: the
student's consumption, then lots in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from accounts import audit
from accounts.models import User
from conventions.errors import InvalidInput
from conventions.public_ids import new_public_id
from pricing.errors import NotEnoughHours, OwedHoursChanged, SessionReferenceUsed, SessionReversed
from pricing.hour_amounts import hours_text
from pricing.models import HourConsumption, HourLot, HourMovement

Kind = HourMovement.Kind
COLUMN = {Kind.CONSUMED: "consumed", Kind.EXPIRED: "expired", Kind.TAKEN_BACK: "taken_back", Kind.WITHDRAWN: "withdrawn"}
COLUMNS = [f"{name}_hundredths" for name in (*COLUMN.values(), "remaining", "owed", "settled")]


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Hundredths of hours of one student, and the lots they are in, soonest expiry first."""

    purchased: int = 0
    consumed: int = 0
    expired: int = 0
    taken_back: int = 0
    withdrawn: int = 0
    remaining: int = 0
    next_expiry: datetime | None = None
    lots: Sequence[HourLot] = field(default_factory=list)


@dataclass
class Moving:
    """Lots that are locked, and the movements to be written with them."""

    at: datetime
    movements: list[HourMovement] = field(default_factory=list)
    lots: dict[str, HourLot] = field(default_factory=dict)

    def move(self, lot: HourLot, kind: str, hundredths: int, *, key: str, **about: Any) -> None:
        """Move hours from what remains to the kind's column; negative moves them back."""
        column = f"{COLUMN[Kind(kind)]}_hundredths"
        setattr(lot, column, getattr(lot, column) + hundredths)
        lot.remaining_hundredths -= hundredths
        self.lots[lot.pk] = lot
        self.movements.append(HourMovement(key=key, lot=lot, kind=kind, hundredths=hundredths, occurred_at=self.at, **about))

    def write(self) -> None:
        if self.lots:
            HourLot.objects.bulk_update([self.lots[pk] for pk in sorted(self.lots)], COLUMNS, batch_size=200)
        HourMovement.objects.bulk_create(self.movements, batch_size=200)


def usable(now: datetime) -> Q:
    return Q(remaining_hundredths__gt=0) & (Q(expires_at=None) | Q(expires_at__gt=now))


def locked_lots(lots: QuerySet[HourLot]) -> list[HourLot]:
    """Locked in the order of their ids, answered soonest expiry first."""
    held = list(lots.select_for_update(of=("self",)).order_by("pk"))
    return sorted(held, key=lambda lot: (lot.expires_at is None, lot.expires_at or lot.created_at, lot.pk))


def consume(*, student: User, hundredths: int, session_reference: str, actor: User) -> HourConsumption:
    """Draw hours for a session. The same reference for the same student and hours answers what was recorded before.

    Raises SessionReferenceUsed for another student or number of hours, SessionReversed, NotEnoughHours; they change nothing.
    """
    with transaction.atomic():
        wanted = HourConsumption(
            student=student, session_reference=session_reference, hours_hundredths=hundredths, recorded_by=actor
        )
        # Of two at once, one inserts; the other waits for it here and then finds its row.
        HourConsumption.objects.bulk_create([wanted], ignore_conflicts=True)
        known = HourConsumption.objects.get(session_reference=session_reference)
        if known.pk != wanted.pk:
            if (known.student_id, known.hours_hundredths) != (student.pk, hundredths):
                raise SessionReferenceUsed("This session reference was used for another student or number of hours.")
            if known.reversed_at is not None:
                raise SessionReversed("This session was recorded and reversed. Record it anew under another reference.")
            return known
        now = timezone.now()
        lots = locked_lots(HourLot.objects.filter(usable(now), student=student))
        have = sum(lot.remaining_hundredths for lot in lots)
        if have < hundredths:
            raise NotEnoughHours(f"{hours_text(hundredths)} hours are needed and {hours_text(have)} are left.")
        moving, left = Moving(at=now), hundredths
        for lot in lots:
            drawn = min(left, lot.remaining_hundredths)
            moving.move(lot, Kind.CONSUMED, drawn, key=f"consume:{known.pk}:{lot.pk}", consumption=known, actor=actor)
            left -= drawn
            if not left:
                break
        moving.write()
    return known


def reverse(*, consumption: HourConsumption, actor: User, reason: str = "") -> HourConsumption:
    """Put a session's hours back into the lots they came from; a second time changes nothing.

    Hours of a lot that was refunded meanwhile settle what could not be taken back then; those of one that has expired
    expire again with the next sweep.
    """
    with transaction.atomic():
        known = HourConsumption.objects.select_for_update().get(pk=consumption.pk)
        if known.reversed_at is not None:
            return known
        draws = {m.lot_id: m for m in known.movements.filter(hundredths__gt=0)}
        moving = Moving(at=timezone.now())
        for lot in locked_lots(HourLot.objects.filter(pk__in=draws)):
            back = draws[lot.pk].hundredths
            moving.move(
                lot, Kind.CONSUMED, -back, key=f"reverse:{known.pk}:{lot.pk}", consumption=known, actor=actor, reason=reason
            )
            if owed := min(back, lot.owed_hundredths):
                moving.move(lot, Kind.TAKEN_BACK, owed, key=f"take-back:{known.pk}:{lot.pk}", reason="settles a refund")
                lot.owed_hundredths -= owed
        moving.write()
        known.reversed_at, known.reversed_by, known.reversal_reason = moving.at, actor, reason
        known.save(update_fields=["reversed_at", "reversed_by", "reversal_reason"])
        audit.record(
            actor=actor,
            action="reverse hours",
            target=known,
            before={"reversed_at": None},
            after={"reversed_at": moving.at, "hours": hours_text(known.hours_hundredths)},
            reason=reason,
        )
    return known


def grant(
    *,
    student: User,
    hundredths: int,
    key: str,
    at: datetime,
    expires_at: datetime | None,
    actor: User | None = None,
    reason: str = "",
) -> HourLot:
    """A lot that no purchase paid for, and the movement that fills it, in the caller's transaction. `key` is the movement's:
    what causes it, which cannot cause it twice (IntegrityError)."""
    lot = HourLot(student=student, granted_hundredths=hundredths, remaining_hundredths=hundredths, expires_at=expires_at)
    lot.save(force_insert=True)
    HourMovement.objects.create(
        key=key, lot=lot, kind=Kind.GRANTED, hundredths=hundredths, occurred_at=at, actor=actor, reason=reason
    )
    return lot


def adjust(*, student: User, hundredths: int, actor: User, reason: str, expires_at: datetime | None = None) -> HourLot | None:
    """Staff give hours (a lot of their own) or take unused ones away (soonest expiry first); always with a reason.

    Raises InvalidInput without a reason, NotEnoughHours. Returns the new lot where hours were given.
    """
    reason = audit.reason_given(reason)
    if hundredths == 0:
        raise InvalidInput("Write how many hours to give or to take away.", field="hours", code="invalid_hours")
    with transaction.atomic():
        now, act = timezone.now(), new_public_id("adjust")
        before = hours_text(balance_of(student, now=now).remaining)
        lot = None
        if hundredths > 0:
            lot = grant(
                student=student, hundredths=hundredths, key=act, at=now, expires_at=expires_at, actor=actor, reason=reason
            )
        else:
            _take_away(student, -hundredths, act=act, actor=actor, reason=reason, now=now)
        audit.record(
            actor=actor,
            action="adjust hours",
            target=student,
            before={"hours": before},
            after={"hours": hours_text(balance_of(student, now=now).remaining)},
            reason=reason,
        )
    return lot


def _take_away(student: User, hundredths: int, *, act: str, actor: User, reason: str, now: datetime) -> None:
    moving, left = Moving(at=now), hundredths
    for lot in locked_lots(HourLot.objects.filter(usable(now), student=student)):
        taken = min(left, lot.remaining_hundredths)
        moving.move(lot, Kind.WITHDRAWN, taken, key=f"{act}:{lot.pk}", actor=actor, reason=reason)
        left -= taken
        if not left:
            moving.write()
            return
    raise NotEnoughHours(f"Only {hours_text(hundredths - left)} unused hours are left to take away.")


def expire_due(*, now: datetime, at_once: int = 500, student: User | None = None) -> int:
    """Write down the expiry of lots (of one student, or all) whose time has come; returns how many. Balances do not wait
    for it."""
    with transaction.atomic():
        due = HourLot.objects.filter(remaining_hundredths__gt=0, expires_at__lte=now).order_by("expires_at")
        due = due.filter(student=student) if student else due
        lots = locked_lots(HourLot.objects.filter(pk__in=list(due.values_list("pk", flat=True)[:at_once])))
        moving = Moving(at=now)
        for lot in lots:
            if lot.remaining_hundredths and lot.expires_at and lot.expires_at <= now:
                # Hours that come back after the expiry expire once more, hence the count.
                times = lot.movements.filter(kind=Kind.EXPIRED).count() + 1
                moving.move(lot, Kind.EXPIRED, lot.remaining_hundredths, key=f"expire:{lot.pk}:{times}")
        moving.write()
        return len(moving.lots)


def take_back(*, moving: Moving, lot: HourLot, target: int, cause: str) -> None:
    """Bring what refunds and disputes took from a locked lot to `target` hundredths, or as near as unused hours allow.

    What was used or has expired cannot be taken back; it stands in `owed_hundredths`, for staff to see. What they have
    settled is not due any more.
    """
    due = max(0, target - (lot.settled_hundredths or 0))
    change = due - lot.taken_back_hundredths
    moved = min(change, lot.remaining_hundredths)
    if moved:
        times = lot.movements.filter(kind=Kind.TAKEN_BACK).count() + 1
        moving.move(lot, Kind.TAKEN_BACK, moved, key=f"take-back:{cause}:{times}")
    lot.owed_hundredths = max(0, due - lot.taken_back_hundredths)
    moving.lots[lot.pk] = lot


def settle_owed(*, lot: HourLot, hundredths: int, actor: User, reason: str) -> HourLot:
    """Staff have done what was to be done about a lot's owed hours: they are asked for no more. No hours move.

    `hundredths` is what was owed when it was decided. Raises InvalidInput without a reason, OwedHoursChanged.
    """
    reason = audit.reason_given(reason)
    with transaction.atomic():
        known = HourLot.objects.select_for_update().get(pk=lot.pk)
        owed = known.owed_hundredths
        if owed != hundredths or owed == 0:
            raise OwedHoursChanged(f"Meanwhile {hours_text(owed)} hours are owed. Look at them, then decide again.")
        known.owed_hundredths, known.settled_hundredths = 0, (known.settled_hundredths or 0) + owed
        known.save(update_fields=["owed_hundredths", "settled_hundredths"])
        audit.record(
            actor=actor,
            action="settle owed hours",
            target=known,
            before={"owed": hours_text(owed)},
            after={"owed": hours_text(0)},
            reason=reason,
        )
    return known


def balance_of(student: User, *, now: datetime) -> Balance:
    """Sums over a student's lots; hours whose time has come count as expired whether or not `sweep` wrote it down."""
    lots = list(
        HourLot.objects.filter(student=student).select_related("purchase").order_by(F("expires_at").asc(nulls_last=True), "pk")
    )
    over = {lot.pk for lot in lots if lot.expires_at and lot.expires_at <= now}
    live = [lot for lot in lots if lot.remaining_hundredths and lot.pk not in over]
    return Balance(
        purchased=sum(lot.granted_hundredths for lot in lots),
        consumed=sum(lot.consumed_hundredths for lot in lots),
        expired=sum(lot.expired_hundredths + (lot.remaining_hundredths if lot.pk in over else 0) for lot in lots),
        taken_back=sum(lot.taken_back_hundredths for lot in lots),
        withdrawn=sum(lot.withdrawn_hundredths for lot in lots),
        remaining=sum(lot.remaining_hundredths for lot in live),
        next_expiry=min((lot.expires_at for lot in live if lot.expires_at), default=None),
        lots=lots,
    )
