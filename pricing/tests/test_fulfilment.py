"""What payments mean for purchases and hours, in whatever order Stripe tells of them."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.person_data import address_proved
from accounts.tests.factories import UserFactory
from conventions.errors import InvalidInput
from payments.inbox import Envelope
from payments.models import Payment, Transfer
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.errors import OwedHoursChanged
from pricing.models import HourConsumption, HourLot, HourMovement, PurchaseTransaction
from pricing.tests.factories import make_plan, pending_purchase

pytestmark = pytest.mark.django_db


def settle(*events: Envelope) -> None:
    for event in events:
        settle_events([event], source="webhook")


def lot_of(payment: Payment) -> tuple[int, int, int, int]:
    lot = HourLot.objects.get(purchase__payment=payment)
    return lot.granted_hundredths, lot.remaining_hundredths, lot.taken_back_hundredths, lot.owed_hundredths


def test_a_paid_plan_grants_its_hours_once_until_the_days_after_payment() -> None:
    student = UserFactory.create()
    payment = pending_purchase(make_plan(hundredths=500, days=30), user=student)
    story = Story(payment)
    settle(*story.succeeded(), *story.succeeded())
    purchase = PurchaseTransaction.objects.get()
    payment.refresh_from_db()
    lot = HourLot.objects.get()
    assert payment.paid_at is not None
    assert (purchase.state, purchase.paid_at, lot.student, lot.granted_hundredths) == ("paid", payment.paid_at, student, 500)
    assert lot.expires_at == payment.paid_at + timedelta(days=30)
    assert Transfer.objects.get().credit_id == "revenue:plans:eur"
    assert list(check_books()) == []


def test_a_partial_refund_takes_back_hours_in_proportion_and_its_failure_gives_them_back() -> None:
    payment = pending_purchase(make_plan(hundredths=500))
    story = Story(payment)
    settle(*story.succeeded(), *story.refunded("a", 2500, at=100, in_all=2500))
    assert lot_of(payment) == (500, 334, 166, 0)
    settle(*story.refund_failed("a", 2500, at=200))
    assert lot_of(payment) == (500, 500, 0, 0)
    assert list(check_books()) == []


def test_a_refund_takes_back_unused_hours_only_and_says_what_is_owed() -> None:
    student, tutor = UserFactory.create(), UserFactory.create()
    payment = pending_purchase(make_plan(hundredths=500, days=3_650), user=student)
    story = Story(payment)
    settle(*story.succeeded())
    session = hours.consume(student=student, hundredths=200, session_reference="s1", actor=tutor)
    settle(*story.refunded("a", 7500, at=100, in_all=7500))
    assert lot_of(payment) == (500, 0, 300, 200)
    assert PurchaseTransaction.objects.get().state == "refunded"
    hours.reverse(consumption=session, actor=tutor)
    assert lot_of(payment) == (500, 0, 500, 0)
    assert list(check_books()) == []


def test_every_order_of_a_purchases_events_ends_in_the_same_hours() -> None:
    plan = make_plan(hundredths=500)
    ends: set[tuple[int, int, int, int]] = set()
    for order in itertools.permutations(range(4)):
        payment = pending_purchase(plan, email=f"{len(ends)}{order[0]}@example.org")
        story = Story(payment)
        events = [*story.succeeded()[:3], story.refunded("a", 2500, at=100, in_all=2500)[0]]
        settle(*[events[index] for index in order], events[order[0]])
        ends.add(lot_of(payment))
    assert ends == {(500, 334, 166, 0)}
    assert list(check_books()) == []


def test_a_guests_hours_wait_until_the_address_is_proved() -> None:
    student = UserFactory.create(email="ada@example.org")
    payment = pending_purchase(make_plan(), email="ada@example.org")
    settle(*Story(payment).succeeded())
    now = timezone.now()
    assert (HourLot.objects.get().student, hours.balance_of(student, now=now).purchased) == (None, 0)
    address_proved(student)
    assert hours.balance_of(student, now=now).purchased == 500


# -- owed hours that staff settle ---------------------------------------------------------------------
@pytest.fixture
def owing() -> tuple[Payment, Story, HourConsumption, User]:
    """Five hours of which two were used, and all were refunded."""
    student, tutor = UserFactory.create(), UserFactory.create()
    payment = pending_purchase(make_plan(hundredths=500, days=3_650), user=student)
    story = Story(payment)
    settle(*story.succeeded())
    session = hours.consume(student=student, hundredths=200, session_reference="s1", actor=tutor)
    settle(*story.refunded("a", 7500, at=100, in_all=7500))
    return payment, story, session, tutor


def test_settled_hours_are_asked_for_no_more_whatever_stripe_tells_again(owing: Any) -> None:
    payment, story, _, tutor = owing
    lot = hours.settle_owed(lot=HourLot.objects.get(), hundredths=200, actor=tutor, reason="paid in cash")
    assert (lot_of(payment), lot.settled_hundredths) == ((500, 0, 300, 0), 200)
    settle(*story.refunded("a", 7500, at=100, in_all=7500), *story.succeeded())
    assert lot_of(payment) == (500, 0, 300, 0)
    entry = AuditEntry.objects.get(action="settle owed hours")
    assert (entry.before, entry.after, entry.reason) == ({"owed": "2.00"}, {"owed": "0.00"}, "paid in cash")
    assert HourMovement.objects.filter(lot=lot).count() == 3
    assert list(check_books()) == []


def test_hours_of_a_session_that_is_reversed_after_they_were_settled_stay_with_the_student(owing: Any) -> None:
    payment, story, session, tutor = owing
    hours.settle_owed(lot=HourLot.objects.get(), hundredths=200, actor=tutor, reason="paid in cash")
    hours.reverse(consumption=session, actor=tutor)
    settle(*story.refunded("a", 7500, at=100, in_all=7500))
    assert lot_of(payment) == (500, 200, 300, 0)
    assert list(check_books()) == []


@pytest.mark.parametrize(
    ("hundredths", "reason", "refusal"), [(200, " ", InvalidInput), (100, "paid", OwedHoursChanged), (0, "x", OwedHoursChanged)]
)
def test_what_staff_have_not_seen_is_not_settled(owing: Any, hundredths: int, reason: str, refusal: type[Exception]) -> None:
    payment, _, _, tutor = owing
    with pytest.raises(refusal):
        hours.settle_owed(lot=HourLot.objects.get(), hundredths=hundredths, actor=tutor, reason=reason)
    assert lot_of(payment) == (500, 0, 300, 200)
    assert not AuditEntry.objects.exists()
