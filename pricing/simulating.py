"""What time will do to a student's hours: the real operations, run ahead of the clock in a transaction that is rolled back.

Nothing is written and Stripe is not called. Foreseen are expiries and the renewals of subscriptions that run; not foreseen
is what people will do: buy, use hours, cancel, or have no money on the card.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from accounts.models import User
from conventions.public_ids import new_public_id
from payments.money import Money
from pricing import hours
from pricing.hour_amounts import hours_text
from pricing.models import HourLot, PlanPrice, Subscription

MOST_DAYS = 3660
RENEWS = (Subscription.State.ACTIVE, Subscription.State.TRIALING)


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that happens at a time, the hours it adds or ends, and what is left then. `money` is what is charged."""

    at: datetime
    what: str
    change_hundredths: int
    left_hundredths: int
    money: Money | None = None


@dataclass(kw_only=True)
class Running:
    """A subscription that renews: how often it has, and the day of the month that Stripe bills it by."""

    subscription: Subscription
    money: Money | None
    anchor: datetime
    next_at: datetime
    renewals: int = 0


def simulate(student: User, *, now: datetime, days: int) -> list[Step]:
    """The steps of the coming days, the first of which is how things stand."""
    with transaction.atomic():
        steps = list(_steps(student, now=now, until=now + timedelta(days=min(days, MOST_DAYS))))
        transaction.set_rollback(True)
    return steps


def not_foreseen(student: User) -> list[str]:
    """What the steps leave out although it is there: a sentence each."""
    stuck = Subscription.objects.running().filter(user=student).exclude(state__in=RENEWS)
    told = [
        f"“{one.plan.name}” is {one.get_state_display()}: whether it goes on is not foreseen."
        for one in stuck.select_related("plan")
    ]
    waiting = HourLot.objects.filter(student=None, email=student.email, remaining_hundredths__gt=0)
    if hundredths := sum(waiting.values_list("remaining_hundredths", flat=True)):
        told.append(f"{hours_text(hundredths)} hours bought as a guest wait until the address is proved.")
    return told


def _steps(student: User, *, now: datetime, until: datetime) -> Iterator[Step]:
    def left(at: datetime) -> int:
        return hours.balance_of(student, now=at).remaining

    hours.expire_due(now=now, student=student)
    yield Step(at=now, what="now", change_hundredths=0, left_hundredths=left(now))
    running = [_running(one) for one in _renewing(student, now)]
    while True:
        expiring = HourLot.objects.filter(student=student, remaining_hundredths__gt=0, expires_at__gt=now)
        times = [*expiring.values_list("expires_at", flat=True), *(one.next_at for one in running)]
        at = min((time for time in times if time is not None), default=until)
        if at >= until:
            return
        now, before = at, left(at - timedelta(microseconds=1))
        if hours.expire_due(now=now, student=student):
            after = left(now)
            yield Step(at=now, what="hours expire", change_hundredths=after - before, left_hundredths=after)
        for one in [one for one in running if one.next_at <= now]:
            yield _renew(one, student, now=now)
            running = [other for other in running if other is not one or not one.subscription.cancel_at_period_end]


def _renewing(student: User, now: datetime) -> Iterator[Subscription]:
    found = Subscription.objects.filter(user=student, state__in=RENEWS, current_period_end__gt=now)
    yield from found.select_related("plan").order_by("pk")


def _running(subscription: Subscription) -> Running:
    """Who subscribed pays what was agreed then, whatever the plan costs now."""
    end, money = subscription.current_period_end, subscription.agreed_price
    assert end is not None
    if money is None:  # Stripe has told nothing since prices are kept
        listed = PlanPrice.objects.filter(plan=subscription.plan, currency=subscription.currency).first()
        money = listed.money if listed else None
    return Running(subscription=subscription, money=money, anchor=end, next_at=end)


def _renew(one: Running, student: User, *, now: datetime) -> Step:
    """The end of a paid month: the next one's hours, or the end."""
    plan = one.subscription.plan
    if one.subscription.cancel_at_period_end:
        left = hours.balance_of(student, now=now).remaining
        return Step(at=now, what=f"“{plan.name}” ends", change_hundredths=0, left_hundredths=left)
    hundredths = one.subscription.agreed_hundredths
    one.renewals += 1
    one.next_at = months_after(one.anchor, one.renewals)
    hours.grant(student=student, hundredths=hundredths, key=new_public_id("simulated"), at=now, expires_at=one.next_at)
    return Step(
        at=now,
        what=f"“{plan.name}” renews",
        change_hundredths=hundredths,
        left_hundredths=hours.balance_of(student, now=now).remaining,
        money=one.money,
    )


def months_after(anchor: datetime, months: int) -> datetime:
    """The same day of a later month, or its last day where it is shorter, as Stripe bills
    (https://docs.stripe.com/billing/subscriptions/billing-cycle)."""
    year, month = divmod(anchor.year * 12 + anchor.month - 1 + months, 12)
    return anchor.replace(year=year, month=month + 1, day=min(anchor.day, calendar.monthrange(year, month + 1)[1]))
