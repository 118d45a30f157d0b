"""Hours of two students, whatever happens to them in whatever order: never below zero, never from nowhere, and every
balance is what was done to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from accounts.models import User
from accounts.person_data import address_proved
from accounts.tests.factories import UserFactory
from conventions.errors import DomainError
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.errors import NotEnoughHours
from pricing.models import HourConsumption, HourLot, PurchaseTransaction
from pricing.tests.factories import make_plan, pending_purchase
from tests.properties.paying import PROFILE, Paying, pending

SECOND = timedelta(seconds=1)


class Learning(Paying):
    """A model beside the rows: what each student was granted and what was done with it."""

    sessions = Bundle("sessions")

    def __init__(self) -> None:
        super().__init__()
        self.references = 0

    @initialize(target=pending)
    def found(self) -> Any:
        self.tutor: User = UserFactory.create()
        self.students: list[User] = [UserFactory.create(), UserFactory.create()]
        self.plans = [make_plan(hundredths=500, days=3_650), make_plan(hundredths=333, days=3_650)]
        return multiple(*(self.bought(number % 2, number % 2, guest=number == 3) for number in range(4)))

    def bought(self, student: int, plan: int, *, guest: bool) -> Story:
        user = self.students[student]
        return Story(pending_purchase(self.plans[plan], user=None if guest else user, email=user.email))

    # -- rules --------------------------------------------------------------------------------------
    @rule(target=pending, student=st.integers(0, 1), plan=st.integers(0, 1), guest=st.booleans())
    def buy(self, student: int, plan: int, guest: bool) -> Story:
        return self.bought(student, plan, guest=guest)

    @rule(target=sessions, student=st.integers(0, 1), hundredths=st.integers(1, 400))
    def consume(self, student: int, hundredths: int) -> Any:
        self.references += 1
        left = hours.balance_of(self.students[student], now=timezone.now()).remaining
        try:
            session = self.draw(student, hundredths, self.references)
        except NotEnoughHours:
            assert left < hundredths
            return multiple()
        assert left >= hundredths
        assert hours.balance_of(self.students[student], now=timezone.now()).remaining == left - hundredths
        return session

    def draw(self, student: int, hundredths: int, reference: int) -> HourConsumption:
        student_ = self.students[student]
        return hours.consume(student=student_, hundredths=hundredths, session_reference=f"s{reference}", actor=self.tutor)

    @rule(session=sessions)
    def record_again(self, session: HourConsumption) -> None:
        session.refresh_from_db()
        assert self._recorded(session) == ("session_reversed" if session.reversed_at else session.pk)

    def _recorded(self, session: HourConsumption) -> str:
        """The id of what is recorded under the session's reference, or the code with which it is refused."""
        try:
            return hours.consume(
                student=session.student,
                hundredths=session.hours_hundredths,
                session_reference=session.session_reference,
                actor=self.tutor,
            ).pk
        except DomainError as error:
            return error.code

    @rule(session=sessions)
    def reverse(self, session: HourConsumption) -> None:
        hours.reverse(consumption=session, actor=self.tutor, reason="property")

    @rule()
    def settle_owed(self) -> None:
        for lot in HourLot.objects.filter(owed_hundredths__gt=0).order_by("pk")[:1]:
            hours.settle_owed(lot=lot, hundredths=lot.owed_hundredths, actor=self.tutor, reason="property")

    @rule(student=st.integers(0, 1), hundredths=st.integers(-300, 300).filter(bool))
    def adjust(self, student: int, hundredths: int) -> None:
        before = hours.balance_of(self.students[student], now=timezone.now()).remaining
        try:
            hours.adjust(student=self.students[student], hundredths=hundredths, actor=self.tutor, reason="property")
        except NotEnoughHours:
            assert before + hundredths < 0
            hundredths = 0
        assert hours.balance_of(self.students[student], now=timezone.now()).remaining == before + hundredths

    @rule(student=st.integers(0, 1))
    def expire(self, student: int) -> None:
        """The time of what staff gave comes."""
        now = timezone.now()
        HourLot.objects.filter(student=self.students[student], purchase=None).update(expires_at=now - SECOND)
        hours.expire_due(now=now)
        assert hours.expire_due(now=now) == 0

    @rule(student=st.integers(0, 1))
    def prove(self, student: int) -> None:
        address_proved(self.students[student])

    # -- what must hold -----------------------------------------------------------------------------
    @invariant()
    def every_paid_purchase_and_no_other_granted_its_hours_once(self) -> None:
        granted = HourLot.objects.filter(purchase__isnull=False).values_list("purchase__payment", "granted_hundredths")
        assert sorted(granted) == sorted(
            PurchaseTransaction.objects.filter(payment__in=self.paid_for).values_list("payment", "hours_hundredths")
        )

    @invariant()
    def what_was_used_is_what_sessions_say(self) -> None:
        used = sum(HourConsumption.objects.filter(reversed_at=None).values_list("hours_hundredths", flat=True))
        assert used == sum(HourLot.objects.values_list("consumed_hundredths", flat=True))

    @invariant()
    def money_that_went_back_took_its_hours_or_says_what_is_owed(self) -> None:
        for purchase in PurchaseTransaction.objects.filter(lot__isnull=False).select_related("payment", "lot"):
            back = min(purchase.payment.refunded_minor + purchase.payment.disputed_minor, purchase.amount_minor)
            due = purchase.hours_hundredths * back // purchase.amount_minor
            asked = max(0, due - (purchase.lot.settled_hundredths or 0))
            assert purchase.lot.taken_back_hundredths + purchase.lot.owed_hundredths == asked

    @invariant()
    def nothing_is_below_zero_and_balances_add_up(self) -> None:
        now = timezone.now()
        for student in getattr(self, "students", []):
            told = hours.balance_of(student, now=now)
            parts = (told.consumed, told.expired, told.taken_back, told.withdrawn, told.remaining)
            assert min(parts) >= 0
            assert told.purchased == sum(parts)


@pytest.mark.django_db
def test_whatever_happens_no_hour_is_lost_or_made() -> None:
    run_state_machine_as_test(Learning, settings=settings(PROFILE, max_examples=20, stateful_step_count=30))
