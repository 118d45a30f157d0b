"""Rows found and written by plain statements: as the ORM would, on both engines."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DataError, IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django_tasks_db.models import DBTaskResult

from conventions.enqueueing import enqueueing
from conventions.rows import find_rows, run, updating
from donations.models import Donation
from donations.receipts import send_receipts
from donations.tests.factories import pending_donation
from payments.models import Payment

pytestmark = pytest.mark.django_db
ODD = 'Zoë "O\'Hara" \\ {1,2} %s \n 🎁'


def test_found_rows_are_those_of_the_orm_with_all_their_columns() -> None:
    for _ in range(3):
        pending_donation(display_name=ODD)
    pks = sorted(Payment.objects.values_list("pk", flat=True))
    found = find_rows(Payment, {"id": pks[:2], "checkout_session": set()})
    assert [p.pk for p in found] == pks[:2]
    columns = [field.attname for field in Payment._meta.concrete_fields]
    known = Payment.objects.in_bulk(pks)
    assert [[getattr(p, c) for c in columns] for p in found] == [[getattr(known[p.pk], c) for c in columns] for p in found]
    assert type(found[0].livemode) is bool
    assert find_rows(Payment, {"id": []}) == []


def test_rows_are_found_by_any_of_the_columns_and_only_where_told() -> None:
    first, second = pending_donation(), pending_donation()
    either = {"id": [first.pk], "payment_id": [second.payment_id]}
    assert {d.pk for d in find_rows(Donation, either)} == {first.pk, second.pk}
    assert find_rows(Donation, either, where="state = 'paid'") == []


def test_written_columns_are_written_and_no_others() -> None:
    donations = [pending_donation(), pending_donation()]
    paid_at = datetime(2026, 9, 1, 12, 30, 15, 123456, tzinfo=UTC)
    for donation in donations:
        donation.display_name, donation.message, donation.anonymous = ODD, "not written", True
        donation.state, donation.paid_at = "paid", paid_at
    run(updating(Donation, donations, ("display_name", "anonymous", "state", "paid_at")))
    told = Donation.objects.values_list("display_name", "message", "anonymous", "state", "paid_at")
    assert list(told) == [(ODD, "", True, "paid", paid_at)] * 2
    assert updating(Donation, [], ("state",)) is None


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite knows no lengths")
def test_a_text_that_is_too_long_is_refused_and_not_cut() -> None:
    donation = pending_donation()
    donation.display_name = "x" * 201
    with pytest.raises(DataError):
        run(updating(Donation, [donation], ("display_name",)))


def test_constraints_hold_for_written_rows() -> None:
    donation = pending_donation()
    donation.state = "paid"
    with pytest.raises(IntegrityError):
        run(updating(Donation, [donation], ("state",)))


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite takes one statement at a time")
def test_statements_travel_together() -> None:
    donation = pending_donation()
    with CaptureQueriesContext(connection) as context:
        answers = run(updating(Donation, [donation], ("state",)), None, enqueueing(send_receipts, []))
    assert len(context) == 1
    assert answers == [[], [], []]


def test_an_enqueued_statement_is_the_row_that_the_library_writes() -> None:
    send_receipts.enqueue(["donation_1"])
    run(enqueueing(send_receipts, ["donation_1"]))
    own = {"id", "enqueued_at"}
    theirs, ours = DBTaskResult.objects.order_by("enqueued_at").values()
    assert {k: v for k, v in ours.items() if k not in own} == {k: v for k, v in theirs.items() if k not in own}
    assert theirs["enqueued_at"] < ours["enqueued_at"]
