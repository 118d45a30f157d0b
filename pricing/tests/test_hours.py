"""Hours: drawn soonest expiry first, never below zero, once per session, and every change written down."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.tests.factories import UserFactory
from conventions.errors import InvalidInput
from payments.proving import check_books
from pricing import hours
from pricing.errors import NotEnoughHours, SessionReferenceUsed, SessionReversed
from pricing.hour_amounts import hours_text, parse_hours
from pricing.models import HourConsumption, HourLot, HourMovement
from pricing.tests.factories import give_hours

pytestmark = pytest.mark.django_db


@pytest.fixture
def student() -> User:
    return UserFactory.create()


@pytest.fixture
def tutor() -> User:
    return UserFactory.create()


def left(student: User) -> int:
    return hours.balance_of(student, now=timezone.now()).remaining


def days(number: int) -> timedelta:
    return timedelta(days=number)


def test_the_lot_that_expires_soonest_is_drawn_first_and_one_without_expiry_last(student: User, tutor: User) -> None:
    forever = give_hours(student, 300, actor=tutor)
    late = give_hours(student, 200, actor=tutor, expires_at=timezone.now() + days(30))
    soon = give_hours(student, 100, actor=tutor, expires_at=timezone.now() + days(3))
    session = hours.consume(student=student, hundredths=350, session_reference="s1", actor=tutor)
    remaining = {lot.pk: lot.remaining_hundredths for lot in HourLot.objects.all()}
    assert remaining == {soon.pk: 0, late.pk: 0, forever.pk: 250}
    drawn = {m.lot_id: m.hundredths for m in session.movements.all()}
    assert drawn == {soon.pk: 100, late.pk: 200, forever.pk: 50}
    assert list(check_books()) == []


def test_a_session_counts_once_however_often_it_is_recorded(student: User, tutor: User) -> None:
    give_hours(student, 300, actor=tutor)
    first = hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    again = hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    assert (again.pk, left(student), HourConsumption.objects.count()) == (first.pk, 200, 1)


@pytest.mark.parametrize(("whose", "hundredths"), [("same", 101), ("other", 100)])
def test_a_session_reference_is_not_reused_for_something_else(student: User, tutor: User, whose: str, hundredths: int) -> None:
    give_hours(student, 300, actor=tutor)
    give_hours(tutor, 300, actor=tutor)
    hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    with pytest.raises(SessionReferenceUsed):
        hours.consume(
            student={"same": student, "other": tutor}[whose], hundredths=hundredths, session_reference="s1", actor=tutor
        )
    assert (left(student), left(tutor), HourConsumption.objects.count()) == (200, 300, 1)


def test_more_than_is_left_is_refused_and_changes_nothing(student: User, tutor: User) -> None:
    give_hours(student, 150, actor=tutor)
    with pytest.raises(NotEnoughHours, match=r"2\.00 hours are needed and 1\.50 are left"):
        hours.consume(student=student, hundredths=200, session_reference="s1", actor=tutor)
    assert (left(student), HourConsumption.objects.count(), HourMovement.objects.count()) == (150, 0, 1)


def test_hours_whose_time_has_come_cannot_be_used_even_before_the_sweep(student: User, tutor: User) -> None:
    give_hours(student, 100, actor=tutor, expires_at=timezone.now() - days(1))
    with pytest.raises(NotEnoughHours):
        hours.consume(student=student, hundredths=50, session_reference="s1", actor=tutor)
    balance = hours.balance_of(student, now=timezone.now())
    assert (balance.remaining, balance.expired, balance.purchased, balance.next_expiry) == (0, 100, 100, None)


def test_reversing_puts_hours_back_into_the_same_lots_once(student: User, tutor: User) -> None:
    soon = give_hours(student, 100, actor=tutor, expires_at=timezone.now() + days(3))
    late = give_hours(student, 200, actor=tutor, expires_at=timezone.now() + days(30))
    session = hours.consume(student=student, hundredths=150, session_reference="s1", actor=tutor)
    done = hours.reverse(consumption=session, actor=tutor, reason="the tutor was ill")
    hours.reverse(consumption=session, actor=tutor, reason="again")
    assert {lot.pk: lot.remaining_hundredths for lot in HourLot.objects.all()} == {soon.pk: 100, late.pk: 200}
    assert (done.reversal_reason, session.movements.count()) == ("the tutor was ill", 4)
    assert AuditEntry.objects.filter(action="reverse hours").count() == 1
    assert list(check_books()) == []


def test_hours_that_come_back_after_their_expiry_expire_again(student: User, tutor: User) -> None:
    lot = give_hours(student, 100, actor=tutor, expires_at=timezone.now() + days(3))
    session = hours.consume(student=student, hundredths=60, session_reference="s1", actor=tutor)
    after = timezone.now() + days(4)
    assert hours.expire_due(now=after) == 1
    hours.reverse(consumption=session, actor=tutor)
    assert hours.expire_due(now=after) == 1
    assert hours.expire_due(now=after) == 0
    lot.refresh_from_db()
    assert (lot.remaining_hundredths, lot.expired_hundredths, lot.consumed_hundredths) == (0, 100, 0)
    assert list(check_books()) == []


def test_expiry_is_written_once_and_only_when_due(student: User, tutor: User) -> None:
    give_hours(student, 100, actor=tutor, expires_at=timezone.now() + days(3))
    assert hours.expire_due(now=timezone.now()) == 0
    assert [hours.expire_due(now=timezone.now() + days(3)) for _ in range(2)] == [1, 0]
    balance = hours.balance_of(student, now=timezone.now() + days(3))
    assert (balance.expired, balance.remaining) == (100, 0)


def test_staff_take_unused_hours_away_with_a_reason_and_a_line_in_the_history(student: User, tutor: User) -> None:
    give_hours(student, 300, actor=tutor)
    assert hours.adjust(student=student, hundredths=-120, actor=tutor, reason="given by mistake") is None
    line = AuditEntry.objects.latest("id")
    assert (left(student), line.before, line.after, line.reason) == (
        180,
        {"hours": "3.00"},
        {"hours": "1.80"},
        "given by mistake",
    )
    with pytest.raises(NotEnoughHours):
        hours.adjust(student=student, hundredths=-181, actor=tutor, reason="too much")
    with pytest.raises(InvalidInput):
        hours.adjust(student=student, hundredths=10, actor=tutor, reason=" ")
    assert left(student) == 180
    assert list(check_books()) == []


@pytest.mark.parametrize(
    ("written", "hundredths"), [("1", 100), ("1.25", 125), (2, 200), ("0.01", 1), ("10000", 1_000_000), ("1e1", 1000)]
)
def test_hours_are_read_exactly(written: str | int, hundredths: int) -> None:
    assert parse_hours(written) == hundredths


@pytest.mark.parametrize("written", ["0", "-1", "0.001", "1.255", "10000.01", "NaN", "", "1_0", "1e99", "1e-99", True])
def test_odd_hours_are_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        parse_hours(written)


def test_hours_are_written_with_two_decimals() -> None:
    assert [hours_text(n) for n in (0, 5, 500, -125)] == ["0.00", "0.05", "5.00", "-1.25"]


def test_a_session_that_was_reversed_is_not_answered_as_if_it_had_drawn_hours(student: User, tutor: User) -> None:
    give_hours(student, 300, actor=tutor)
    session = hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    hours.reverse(consumption=session, actor=tutor, reason="by mistake")
    with pytest.raises(SessionReversed):
        hours.consume(student=student, hundredths=100, session_reference="s1", actor=tutor)
    assert (left(student), HourConsumption.objects.count()) == (300, 1)
    assert list(check_books()) == []
