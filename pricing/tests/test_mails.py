"""Mails about hours that will expire and renewals that failed: once each, not to who is gone, again when one was kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from accounts.leaving import erase_person
from accounts.models import User
from accounts.tests.factories import UserFactory
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import expiring, renewal_mails
from pricing.models import HourLot, PricingPlan, PurchaseTransaction, RenewalFailure, Subscription
from pricing.tests.factories import give_hours, make_plan, pending_purchase

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


@pytest.fixture
def student() -> User:
    return UserFactory.create(email="ada@example.org")


def lot_expiring(student: User, left: timedelta, *, valid: timedelta = timedelta(days=30)) -> HourLot:
    lot = give_hours(student, 250, actor=student, expires_at=timezone.now() + left)
    HourLot.objects.filter(pk=lot.pk).update(created_at=timezone.now() + left - valid)
    return lot


@pytest.fixture
def sick_mail(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """A mail server that refuses as long as the list holds an error."""
    errors: list[Exception] = []
    send = EmailMultiAlternatives.send

    def refuse(message: EmailMultiAlternatives, *args: Any, **kwargs: Any) -> int:
        if errors:
            raise errors.pop()
        return send(message, *args, **kwargs)

    monkeypatch.setattr(EmailMultiAlternatives, "send", refuse)
    return errors


# -- hours that will expire ---------------------------------------------------------------------------
def test_a_week_before_hours_expire_their_owner_is_told_once(student: User) -> None:
    lot = lot_expiring(student, WEEK - timedelta(minutes=1))
    assert [expiring.sweep()["expiry_notices"] for _ in range(2)] == [1, 0]
    [message] = mail.outbox
    lot.refresh_from_db()
    assert lot.expires_at is not None
    assert (message.to, message.subject) == (["ada@example.org"], f"2.50 hours expire on {lot.expires_at:%B %-d, %Y}")
    assert "2.50" in str(message.body)
    assert lot.notice_at is not None


@pytest.mark.parametrize(
    ("left", "valid"),
    [
        (WEEK + timedelta(hours=1), timedelta(days=30)),  # too early
        (timedelta(days=-1), timedelta(days=30)),  # over
        (timedelta(days=3), timedelta(days=13)),  # of such short hours the purchase told it
    ],
)
def test_of_other_hours_nobody_is_told(left: timedelta, valid: timedelta, student: User) -> None:
    lot_expiring(student, left, valid=valid)
    assert (expiring.sweep()["expiry_notices"], mail.outbox) == (0, [])


def test_two_weeks_count_from_the_payment_not_from_when_its_lot_was_written(student: User) -> None:
    """A package of 14 days, whose webhook took some seconds."""
    story = Story(pending_purchase(make_plan(days=14), user=student))
    settle_events(story.succeeded(), source="webhook")
    paid_at = timezone.now() - timedelta(days=8)
    PurchaseTransaction.objects.update(paid_at=paid_at)
    HourLot.objects.update(expires_at=paid_at + timedelta(days=14), created_at=paid_at + timedelta(seconds=5))
    mail.outbox.clear()
    assert (expiring.sweep()["expiry_notices"], len(mail.outbox)) == (1, 1)


def test_of_hours_that_are_used_up_nobody_is_told(student: User) -> None:
    lot = lot_expiring(student, timedelta(days=3))
    HourLot.objects.filter(pk=lot.pk).update(consumed_hundredths=250, remaining_hundredths=0)
    assert (expiring.sweep()["expiry_notices"], mail.outbox) == (0, [])


def test_a_guest_is_told_under_the_address_of_the_purchase(student: User) -> None:
    lot = lot_expiring(student, timedelta(days=3))
    HourLot.objects.filter(pk=lot.pk).update(student=None, email="guest@example.org")
    assert expiring.sweep()["expiry_notices"] == 1
    assert mail.outbox[0].to == ["guest@example.org"]


def test_who_was_erased_is_told_nothing(student: User) -> None:
    lot_expiring(student, timedelta(days=3))
    erase_person(user=student)
    mail.outbox.clear()
    assert (expiring.sweep()["expiry_notices"], mail.outbox) == (0, [])


def test_a_notice_that_could_not_be_sent_goes_with_the_next_sweep(student: User, sick_mail: list[Exception]) -> None:
    lot = lot_expiring(student, timedelta(days=3))
    sick_mail.append(ConnectionRefusedError("no mail server"))
    assert [expiring.sweep()["expiry_notices"] for _ in range(3)] == [0, 1, 0]
    assert len(mail.outbox) == 1
    lot.refresh_from_db()
    assert lot.notice_at is not None


# -- renewals that failed ---------------------------------------------------------------------------------
@pytest.fixture
def running(student: User) -> Subscription:
    plan = PricingPlan.objects.get(name="Monthly Four")
    return Subscription.objects.create(user=student, plan=plan, currency="eur", stripe_id="sub_1", state="past_due")


def failed_invoice(attempt: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": "in_1", "billing_reason": "subscription_cycle", "attempt_count": attempt, "amount_due": 5600, "currency": "eur",
        "next_payment_attempt": 1_800_000_000, "parent": {"subscription_details": {"subscription": "sub_1"}}, **changes,
    }  # fmt: skip


def run_tasks() -> None:
    """What the worker would do with the mails that were enqueued."""
    for failure in RenewalFailure.objects.filter(claimed_at=None).order_by("pk"):
        renewal_mails.tell.func(failure.pk)


def test_each_try_that_fails_is_told_once_however_often_stripe_tells_it(running: Subscription) -> None:
    for invoice in (failed_invoice(1), failed_invoice(1), failed_invoice(2)):
        renewal_mails.payment_failed(invoice)
        run_tasks()
    assert [message.subject for message in mail.outbox] == ["The payment for Monthly Four did not go through"] * 2
    assert "€56.00" in str(mail.outbox[0].body)
    assert RenewalFailure.objects.filter(sent_at__isnull=False).count() == 2


@pytest.mark.parametrize("changes", [{"billing_reason": "subscription_create"}, {"parent": None}])
def test_a_first_payment_and_what_is_not_ours_is_not_told(changes: dict[str, Any], running: Subscription) -> None:
    before = DBTaskResult.objects.count()
    renewal_mails.payment_failed(failed_invoice(**changes))
    assert (RenewalFailure.objects.count(), DBTaskResult.objects.count()) == (0, before)


def test_of_two_that_send_at_once_one_does(running: Subscription) -> None:
    renewal_mails.payment_failed(failed_invoice())
    failure = RenewalFailure.objects.get()
    RenewalFailure.objects.update(claimed_at=timezone.now())  # the other has claimed it
    assert renewal_mails.tell.func(failure.pk) is False
    assert mail.outbox == []


def test_a_mail_that_could_not_be_sent_goes_with_a_later_sweep(running: Subscription, sick_mail: list[Exception]) -> None:
    renewal_mails.payment_failed(failed_invoice())
    sick_mail.append(ConnectionRefusedError("no mail server"))
    run_tasks()
    failure = RenewalFailure.objects.get()
    assert (failure.sent_at, failure.last_error, mail.outbox) == (None, "ConnectionRefusedError: no mail server", [])
    assert expiring.sweep()["renewal_mails"] == 0  # too soon: the task may be on its way
    RenewalFailure.objects.update(created_at=timezone.now() - timedelta(minutes=6))
    assert [expiring.sweep()["renewal_mails"] for _ in range(2)] == [1, 0]
    assert len(mail.outbox) == 1


def test_a_mail_that_is_days_late_is_not_sent_any_more(running: Subscription) -> None:
    renewal_mails.payment_failed(failed_invoice())
    RenewalFailure.objects.update(created_at=timezone.now() - timedelta(days=4))
    assert (expiring.sweep()["renewal_mails"], mail.outbox) == (0, [])


def test_who_was_erased_is_told_nothing_of_a_renewal(running: Subscription, student: User) -> None:
    renewal_mails.payment_failed(failed_invoice())
    erase_person(user=student)
    mail.outbox.clear()
    run_tasks()
    assert mail.outbox == []
