"""What an accepted event does: once, whole or not at all, and at what cost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign
from donations import fulfilment
from donations.models import Donation
from donations.tests.factories import payment_of, pending_donation
from payments import inbox
from payments.models import StripeEvent, Transfer
from payments.proving import check_books
from payments.tests.stripe_objects import Story
from payments.tests.test_webhooks import counts, deliver

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid() -> str:
    """The body of the event that a gift is paid."""
    story = Story(pending_donation().payment)
    return story.event("checkout.session.completed", story.session("complete", "paid"), 5).payload


def test_a_duplicate_is_acknowledged_and_changes_nothing_but_its_count(paid: str) -> None:
    deliver(paid)
    before, row = counts(), StripeEvent.objects.values().get()
    total = Campaign.objects.with_totals().values().get()
    assert [deliver(paid).status_code for _ in range(3)] == [200, 200, 200]
    assert counts() == before
    assert Campaign.objects.with_totals().values().get() == total
    assert StripeEvent.objects.values().get() == {**row, "deliveries": 4}


def breaks(*_: object) -> None:
    raise RuntimeError("the fulfilment is broken")


def test_our_own_failure_keeps_the_event_undoes_its_effects_and_asks_for_it_again(
    paid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fulfilment, "_count_in_tallies", breaks)
    before = timezone.now()
    answer = deliver(paid)
    assert (answer.status_code, answer.json()) == (500, {"received": False})
    row = StripeEvent.objects.get()
    assert (row.state, row.attempts, row.last_error) == ("failed", 1, "RuntimeError: the fulfilment is broken")
    assert row.next_attempt_at is not None
    assert timedelta(seconds=59) < row.next_attempt_at - before < timedelta(seconds=75)
    assert payment_of(Donation.objects.get()).paid_at is None
    assert Transfer.objects.count() == 0
    monkeypatch.undo()
    assert deliver(paid).status_code == 200
    row.refresh_from_db()
    assert (row.state, row.deliveries, row.last_error, row.next_attempt_at) == ("applied", 2, "", None)
    assert Donation.objects.get().state == "paid"
    assert list(check_books()) == []


def test_after_its_last_try_an_event_is_dead_but_a_redelivery_still_applies_it(
    paid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fulfilment, "_count_in_tallies", breaks)
    states = [(deliver(paid).status_code, StripeEvent.objects.get().state) for _ in range(inbox.MAX_ATTEMPTS)]
    assert states == [(500, "failed")] * (inbox.MAX_ATTEMPTS - 1) + [(500, "dead")]
    row = StripeEvent.objects.get()
    assert (row.attempts, row.next_attempt_at) == (inbox.MAX_ATTEMPTS, None)
    monkeypatch.undo()
    assert deliver(paid).status_code == 200
    assert StripeEvent.objects.get().state == "applied"
    assert Donation.objects.get().state == "paid"


def test_a_failure_that_is_recorded_late_does_not_undo_that_the_event_was_applied(paid: str) -> None:
    """Of two deliveries at once one may be applied while the other fails on its lock."""
    deliver(paid)
    inbox.record_failure(inbox.open_envelope(paid), RuntimeError("deadlock detected"), source="webhook")
    row = StripeEvent.objects.get()
    assert (row.state, row.next_attempt_at) == ("applied", None)


def statements(context: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in context.captured_queries]


@pytest.mark.django_db(transaction=True)
def test_a_paid_gift_costs_nine_journeys_to_postgresql_in_one_transaction(paid: str) -> None:
    """Statements that do not need each other's answer travel together there; SQLite, which is no journey away, takes
    them one by one."""
    with CaptureQueriesContext(connection) as context:
        assert deliver(paid).status_code == 200
    told = statements(context)
    assert len(told) == {"postgresql": 9, "sqlite": 13}[connection.vendor], told
    assert [sql.split()[0] for sql in told].count("BEGIN") == 1
    assert told[0].startswith("BEGIN")
    assert told[-1] == "COMMIT"
    assert [sql for sql in told if "SAVEPOINT" in sql] == []


@pytest.mark.django_db(transaction=True)
def test_a_duplicate_costs_at_most_three_statements(paid: str) -> None:
    deliver(paid)
    with CaptureQueriesContext(connection) as context:
        assert deliver(paid).status_code == 200
    assert len(statements(context)) <= 3, statements(context)


def test_a_refusal_costs_no_statement(paid: str) -> None:
    with CaptureQueriesContext(connection) as context:
        assert deliver(paid, signature="").status_code == 400
    assert statements(context) == []
