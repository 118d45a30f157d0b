"""Whatever else happens to a payment while it is settled, both come through, and neither is ended for the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.leaving import erase_person
from accounts.models import User
from conventions.trying_again import in_transaction
from donations import persons as donations_persons
from donations.models import Donor
from donations.tests.factories import pending_donation
from payments import persons as payments_persons
from payments import replaying
from payments.batch import Batch
from payments.models import Payment
from payments.proving import check_books
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

real_locks = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres,
    pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs real row locks"),
]
Act = Callable[[], Any]
# Not pg_stat_activity: within a transaction it shows again and again what it showed first.
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"


def until_somebody_waits() -> None:
    """Goes on once another connection waits for a lock that this one holds."""
    for _ in range(100):
        with connection.cursor() as cursor:
            cursor.execute(WAITING)
            (waiting,) = cursor.fetchone()
        if waiting:
            return
        time.sleep(0.05)
    raise AssertionError("nobody waited")


def on_its_own_connection(act: Act) -> Any:
    try:
        return act()
    finally:
        connection.close()


def settle(*events: Any) -> Any:
    return settle_events(list(events), source="webhook").states


class TestRealLocks:
    pytestmark = real_locks

    def test_erasing_a_person_while_their_payment_is_settled(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        user = User.objects.create(email="ada@example.org", email_proved_at=timezone.now())
        story = Story(pending_donation(user=user, email=user.email).payment)
        settle(*story.succeeded())
        Donor.objects.update(user=user)
        refund = story.event("refund.created", story.refund("a", 100, "succeeded", at=100), 100)
        erased: list[str] = []

        with ThreadPoolExecutor(1) as pool:

            def watched(erase: Callable[[User], None], name: str) -> Callable[[User], None]:
                def act(leaving: User) -> None:
                    if erased:  # half is done: now somebody comes who needs all of it
                        settled.append(pool.submit(on_its_own_connection, lambda: settle(refund)))
                        until_somebody_waits()
                    erase(leaving)
                    erased.append(name)

                return act

            settled: list[Any] = []
            for module in (payments_persons, donations_persons):
                monkeypatch.setattr(module, "erase", watched(module.erase, module.__name__))
            erase_person(user=user)
            assert settled[0].result(timeout=20) == {refund.id: "applied"}

        assert sorted(erased) == ["donations.persons", "payments.persons"]
        assert "tried again" not in caplog.text
        assert Payment.objects.get().refunded_minor == 100
        assert "ada" not in Payment.objects.get().customer_email
        assert list(check_books()) == []

    def test_a_preview_while_another_event_of_its_payment_is_settled(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        story = Story(pending_donation().payment)
        first, second, last, *_ = story.succeeded()
        settle(first, second)
        find = Batch.find_payments
        settled: list[Any] = []

        with ThreadPoolExecutor(1) as pool:

            def found(self: Batch, sightings: Any) -> None:
                find(self, sightings)
                if not settled:
                    settled.append(pool.submit(on_its_own_connection, lambda: settle(last)))
                    until_somebody_waits()

            monkeypatch.setattr(Batch, "find_payments", found)
            seen = replaying.preview([first.id])
            assert settled[0].result(timeout=20) == {last.id: "applied"}

        assert (seen.changes, seen.failed, seen.busy) == ([], {}, [])
        assert "tried again" not in caplog.text


class Ended(Exception):
    sqlstate = "40P01"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("times", "tries", "goes_through"), [(0, 1, True), (2, 3, True), (9, 3, False)])
def test_what_was_ended_for_another_is_done_again_at_most_three_times(times: int, tries: int, goes_through: bool) -> None:
    tried: list[int] = []

    def work() -> str:
        tried.append(len(tried))
        if len(tried) <= times:
            raise OperationalError("deadlock detected") from Ended()
        return "done"

    outcomes = []
    try:
        outcomes.append(in_transaction(work, what="work"))
    except OperationalError as error:
        outcomes.append(str(error))
    assert outcomes == (["done"] if goes_through else ["deadlock detected"])
    assert len(tried) == tries
