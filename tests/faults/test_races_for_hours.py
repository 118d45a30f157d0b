"""Many at once after the same hours, on real row locks: nobody gets what is not there, and nobody waits for ever."""

from __future__ import annotations

from functools import partial

import pytest
from django.db import connection  # noqa: F401  skipif's condition names it

from accounts.models import User
from accounts.tests.factories import UserFactory
from payments.inbox import Envelope
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.errors import NotEnoughHours
from pricing.models import HourConsumption, HourLot, HourMovement, Subscription
from pricing.tests.factories import give_hours, make_plan, pending_purchase
from pricing.tests.invoice_story import InvoiceStory, pending_subscription
from tests.faults.test_races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs real row locks: SQLite has one writer at a time"),
    pytest.mark.xdist_group("faults-races"),
]


def drawn(student: User, tutor: User, reference: str, hundredths: int = 100) -> bool:
    try:
        hours.consume(student=student, hundredths=hundredths, session_reference=reference, actor=tutor)
    except NotEnoughHours:
        return False
    return True


def test_of_64_after_the_last_hour_exactly_one_gets_it() -> None:
    student, tutor = UserFactory.create(), UserFactory.create()
    give_hours(student, 100, actor=tutor)
    got = at_once([partial(drawn, student, tutor, f"s{n}") for n in range(64)], threads=64)
    assert (sum(got), HourConsumption.objects.count(), HourLot.objects.get().remaining_hundredths) == (1, 1, 0)
    assert list(check_books()) == []


def test_one_session_recorded_by_64_at_once_counts_once() -> None:
    student, tutor = UserFactory.create(), UserFactory.create()
    give_hours(student, 500, actor=tutor)
    assert all(at_once([partial(drawn, student, tutor, "s1") for _ in range(64)], threads=16))
    assert (HourConsumption.objects.count(), HourLot.objects.get().remaining_hundredths) == (1, 400)


def test_lots_drawn_reversed_and_expired_at_once_stay_whole() -> None:
    student, tutor = UserFactory.create(), UserFactory.create()
    for _ in range(8):
        give_hours(student, 100, actor=tutor)
    sessions = [hours.consume(student=student, hundredths=30, session_reference=f"before{n}", actor=tutor) for n in range(10)]
    acts = [partial(drawn, student, tutor, f"s{n}", 70) for n in range(10)]
    acts += [partial(_reversed, session, tutor) for session in sessions for _ in range(2)]
    assert sum(at_once(acts, threads=16)) > 20
    assert HourMovement.objects.filter(hundredths__lt=0).values("consumption").distinct().count() == 10
    assert list(check_books()) == []


def _reversed(session: HourConsumption, tutor: User) -> bool:
    return hours.reverse(consumption=session, actor=tutor).reversed_at is not None


def applied(event: Envelope) -> bool:
    settle_events([event], source="webhook")
    return True


def test_a_purchases_events_at_once_grant_its_hours_once() -> None:
    story = Story(pending_purchase(make_plan(), user=UserFactory.create()))
    events = [*story.succeeded(), *story.succeeded(), *story.refunded("a", 2500, at=100, in_all=2500)]
    at_once([partial(applied, event) for event in events * 4], threads=16)
    lot = HourLot.objects.get()
    assert (lot.granted_hundredths, lot.remaining_hundredths, lot.taken_back_hundredths) == (500, 334, 166)
    assert list(check_books()) == []


@pytest.mark.parametrize("month", [0, 1])
def test_an_invoices_events_at_once_are_one_payment_and_lot(month: int) -> None:
    subscription = pending_subscription(make_plan(days=None), user=UserFactory.create())
    settle_events(InvoiceStory(subscription).paid() if month else [], source="webhook")
    story = InvoiceStory(Subscription.objects.get(), month=month)
    at_once([partial(applied, event) for event in story.paid() * 8], threads=16)
    assert HourLot.objects.count() == month + 1
    assert Subscription.objects.get().state == "active"
    assert list(check_books()) == []
