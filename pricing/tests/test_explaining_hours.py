"""Opening hours up: from a student to lots, sessions, purchases, payments and transfers, and the sums on the way."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from accounts.models import User
from accounts.tests.factories import UserFactory
from payments.models import Transfer
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story
from pricing import hours
from pricing.models import HourLot, PurchaseTransaction
from pricing.tests.factories import give_hours, make_plan, pending_purchase

pytestmark = pytest.mark.django_db


@pytest.fixture
def student() -> User:
    """Bought five hours, used two, got one more from staff."""
    student, clerk = UserFactory.create(email="ada@example.org"), UserFactory.create(email="clerk@example.org")
    payment = pending_purchase(make_plan(name="Five hours", days=30_000), user=student)
    settle_events(Story(payment).succeeded(), source="webhook")
    hours.consume(student=student, hundredths=200, session_reference="lesson-1", actor=clerk)
    give_hours(student, 100, actor=clerk)
    return student


def explained(*arguments: str) -> str:
    out = io.StringIO()
    call_command("explain_hours", *arguments, stdout=out)
    return out.getvalue()


def test_a_balance_opens_into_lots_sessions_payments_and_transfers(student: User) -> None:
    text = explained("Ada@example.org")
    purchase = PurchaseTransaction.objects.get()
    known = [
        f"hours of {student.pk}: 4.00 left",
        purchase.pk,
        f"payment {purchase.payment_id}: €75.00, paid",
        Transfer.objects.get().key,
        "consumed · lesson-1 · by clerk@example.org",
        "granted · by clerk@example.org · for a test",
        "✓ 4.00 hours are left",
        *(f"remain in {lot.pk}" for lot in HourLot.objects.all()),
    ]
    assert [words for words in known if words not in text] == []
    assert "✗" not in text


def test_every_part_can_be_read_by_a_program(student: User) -> None:
    parts = [json.loads(line) for line in explained(student.pk, "--json").splitlines()]
    assert [(part["hundredths"], part["holds"]) for part in parts if part["part"] == "hourscheck"] == [
        (300, True),
        (100, True),
        (400, True),
    ]
    assert [part["hundredths"] for part in parts if part["part"] == "moved"] == [500, -200, 100]


def test_lots_beyond_the_limit_are_summed(student: User) -> None:
    assert "… and 1 more lots with 1.00 hours" in explained(student.pk, "--limit", "1")


def test_a_lot_that_is_not_the_sum_of_its_movements_is_told(student: User) -> None:
    HourLot.objects.filter(purchase=None).update(remaining_hundredths=60, expired_hundredths=40)
    out = io.StringIO()
    with pytest.raises(SystemExit) as raised:
        call_command("explain_hours", student.pk, stdout=out)
    assert (raised.value.code, "✗ 1.00 hours, not 0.60" in out.getvalue()) == (1, True)


def test_nobody_of_that_name_is_an_error_of_its_own() -> None:
    errors = io.StringIO()
    with pytest.raises(SystemExit) as raised:
        call_command("explain_hours", "nobody@example.org", stderr=errors)
    assert (raised.value.code, "nobody@example.org" in errors.getvalue()) == (2, True)
