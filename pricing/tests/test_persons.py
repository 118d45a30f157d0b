"""A person's data held by pricing: all of it can be had, and erased it leaves hours, amounts and clean books."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from accounts.leaving import erase_person, export_person
from accounts.models import User
from accounts.tests.factories import UserFactory
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.models import HourConsumption, HourLot, PurchaseTransaction, RenewalFailure, Subscription
from pricing.tests.factories import give_hours, make_plan, pending_purchase

pytestmark = pytest.mark.django_db


@pytest.fixture
def student() -> User:
    return UserFactory.create(email="ada@example.org", name="Ada Example")


@pytest.fixture
def story(student: User) -> Story:
    """A paid plan of five hours, two of them used."""
    told = Story(pending_purchase(make_plan(name="Five hours", days=30_000), user=student))
    settle_events(told.succeeded(), source="webhook")
    PurchaseTransaction.objects.update(metadata={"device": "device_1"})
    hours.consume(student=student, hundredths=200, session_reference="lesson-1", actor=student)
    return told


def test_a_person_gets_all_that_is_held_of_them_and_nothing_of_others(student: User, story: Story) -> None:
    other = UserFactory.create()
    give_hours(other, 900, actor=other)
    held = export_person(user=student)["records"]["pricing"]
    assert json.loads(json.dumps(held)) == held
    [purchase], [lot], [session] = held["purchases"], held["hour_lots"], held["sessions"]
    assert (purchase["name"], purchase["amount"], purchase["currency"], purchase["hours"]) == (
        "Five hours",
        "75.00",
        "EUR",
        "5.00",
    )
    assert (purchase["email"], purchase["metadata"], purchase["state"]) == ("ada@example.org", {"device": "device_1"}, "paid")
    assert (lot["granted"], lot["remaining"]) == ("5.00", "3.00")
    assert (session["session_reference"], session["hours"], session["reversed_at"]) == ("lesson-1", "2.00", None)


def test_a_person_gets_subscriptions_and_renewals_that_failed(student: User) -> None:
    fields: dict[str, Any] = {"currency": "eur", "state": "past_due", "current_period_end": datetime(2026, 2, 1, tzinfo=UTC)}
    four, eight = make_plan(name="Four", days=None, hundredths=400), make_plan(name="Eight", days=None, hundredths=800)
    changing = {"paid_plan": four, "changes_at": fields["current_period_end"]}
    own = Subscription.objects.create(user=student, plan=eight, amount_minor=10400, hours_hundredths=750, **changing, **fields)
    others = Subscription.objects.create(user=UserFactory.create(), plan=four, **fields)
    failed = {"attempt": 1, "amount_minor": 10400, "currency": "eur", "sent_at": datetime(2026, 2, 2, tzinfo=UTC)}
    RenewalFailure.objects.create(subscription=own, invoice="in_1", **failed)
    RenewalFailure.objects.create(subscription=others, invoice="in_2", **failed)
    held = export_person(user=student)["records"]["pricing"]
    assert json.loads(json.dumps(held)) == held
    [subscription], [failure] = held["subscriptions"], held["failed_renewals"]
    assert subscription == {
        "id": own.pk,
        "plan": "Eight",
        "paid_plan": "Four",
        "hours": "7.50",
        "amount": "104.00",
        "currency": "EUR",
        "state": "past_due",
        "current_period_end": "2026-02-01T00:00:00+00:00",
        "cancel_at_period_end": False,
        "created_at": own.created_at.isoformat(),
        "ended_at": None,
    }
    assert (failure["subscription"], failure["invoice"], failure["amount"], failure["attempt"]) == (own.pk, "in_1", "104.00", 1)
    assert (failure["told_at"], failure["next_attempt_at"]) == ("2026-02-02T00:00:00+00:00", None)


def test_erased_a_person_is_gone_and_the_books_are_clean(student: User, story: Story) -> None:
    HourLot.objects.update(email="ada@example.org")
    erase_person(user=student)
    purchase, lot, session = PurchaseTransaction.objects.get(), HourLot.objects.get(), HourConsumption.objects.get()
    assert (purchase.email, purchase.metadata) == (f"{student.pk}@erased.invalid", {})
    assert (lot.email, lot.remaining_hundredths, purchase.amount_minor) == (f"{student.pk}@erased.invalid", 300, 7500)
    assert (session.student_id, session.hours_hundredths) == (student.pk, 200)
    assert list(check_books()) == []


def test_what_stripe_tells_of_an_erased_person_brings_nothing_back(student: User, story: Story) -> None:
    erase_person(user=student)
    settle_events([*story.succeeded(), *story.refunded("a", 7500, at=100, in_all=7500)], source="webhook")
    purchase, lot = PurchaseTransaction.objects.select_related("payment").get(), HourLot.objects.get()
    assert (purchase.state, lot.remaining_hundredths, lot.owed_hundredths) == ("refunded", 0, 200)
    written = {purchase.email, purchase.payment.customer_email, purchase.payment.customer_name, lot.email}
    assert [text for text in written if "ada" in text.lower()] == []
    assert list(check_books()) == []


def test_another_person_of_the_same_address_gets_nothing_of_the_erased_one(student: User, story: Story) -> None:
    erase_person(user=student)
    newcomer = UserFactory.create(email="ada@example.org")
    assert export_person(user=newcomer)["records"]["pricing"] == {
        "purchases": [],
        "hour_lots": [],
        "sessions": [],
        "subscriptions": [],
        "failed_renewals": [],
    }
