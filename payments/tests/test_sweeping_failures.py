"""The sweep, when something in it fails: the rest is done all the same, and what got lost is found by the tables."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import responses
from django.core.cache import cache
from django.core.management import call_command
from django.db import OperationalError
from django.db.models import F
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from donations import fulfilment
from donations.models import Donation
from donations.tests.factories import pending_donation
from payments import checkout, inbox, settlement, stripe_gateway, sweeping
from payments.errors import StripeUnavailable
from payments.models import Payment, Refund, StripeCall, StripeEvent
from payments.proving import check_books
from payments.refunds import request_refund
from payments.settlement import settle_events
from payments.sweeping import sweep
from payments.tasks import fetch_refunds
from payments.tests.stripe_objects import Story
from payments.tests.test_sweeping import old_session, settle, stray_payment, wait

STRIPE = "http://127.0.0.1:9/v1"
pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    return Story(pending_donation().payment)


def down(*_: Any, **__: Any) -> Any:
    raise StripeUnavailable("The payment service cannot be reached.")


def breaks(*_: Any, **__: Any) -> Any:
    raise RuntimeError("a defect")


# -- steps and rows ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", list(sweeping.STEPS))
def test_each_step_may_break_and_the_others_are_done(name: str, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    ran: list[str] = []
    steps = {step: (lambda done, step=step: ran.append(step)) for step in sweeping.STEPS} | {name: breaks}
    monkeypatch.setattr(sweeping, "STEPS", steps)
    monkeypatch.setattr(fulfilment, "sweep", lambda: ran.append("donations") or {})
    done = sweep()
    assert ran == [step for step in steps if step != name] + ["donations"]
    assert done["failed"] == 1
    (record,) = [r for r in caplog.records if r.name == "payments.sweeping"]
    assert name in record.getMessage()
    assert record.exc_info[1].args == ("a defect",)


def test_a_product_that_breaks_is_counted_and_alerts_are_raised_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fulfilment, "sweep", breaks)
    monkeypatch.setattr(sweeping.alerts, "raise_and_tell", lambda: 2)
    done = sweep()
    assert (done["failed"], done["alerts"]) == (1, 2)


def test_a_session_that_always_breaks_holds_up_no_other_and_waits_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = old_session(1), old_session(2)
    objects = {broken.session_id: {"object": "checkout.session"}, whole.session_id: whole.session("expired", "unpaid")}
    asked: list[str] = []
    monkeypatch.setattr(stripe_gateway, "retrieve_session", lambda s: asked.append(s) or objects[s])
    first, second = sweep(), sweep()
    assert (first["sessions"], first["failed"], second["sessions"], second["failed"]) == (1, 1, 0, 0)
    assert Payment.objects.get(pk=whole.payment.pk).status == "expired"
    assert asked == [broken.session_id, whole.session_id]
    Payment.objects.filter(pk=broken.payment.pk).update(asked_at=timezone.now() - timedelta(days=1, minutes=1))
    assert sweep()["failed"] == 1


def test_money_that_shows_itself_is_posted_while_another_event_cannot_be_looked_at(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle(story.refunded("a", 700, at=100, in_all=700)[0], *stray_payment()[1])
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", down)
    wait(minutes=16)
    assert sweep()["unmatched"] == 3
    assert sorted(StripeEvent.objects.values_list("type", "state")) == [
        ("charge.succeeded", "applied"),
        ("checkout.session.completed", "applied"),
        ("payment_intent.succeeded", "applied"),
        ("refund.created", "parked"),
    ]


def test_what_is_logged_of_an_event_that_cannot_be_looked_at_names_nobody(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    story, _ = stray_payment()
    failed = story.event("checkout.session.async_payment_failed", story.session("complete", "unpaid"), 5)
    settle(failed)
    wait(minutes=20)
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", down)
    sweep()
    said = "\n".join(record.getMessage() for record in caplog.records if record.name == "payments.sweeping")
    assert failed.id in said
    assert "Ada" not in said


def test_events_that_cannot_be_looked_at_do_not_stand_before_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stories = [Story(pending_donation().payment) for _ in range(4)]
    settle(*[s.refunded("a", 700, at=100, in_all=700)[0] for s in stories])
    asked: list[str] = []

    def retrieve(intent: str) -> Any:
        asked.append(intent)
        return {stories[3].intent_id: stories[3].intent("succeeded")}[intent] if intent == stories[3].intent_id else down()

    monkeypatch.setattr(stripe_gateway, "retrieve_intent", retrieve)
    wait(minutes=16)
    sweep()
    assert sorted(asked) == sorted(s.intent_id for s in stories[:3])
    sweep()
    assert asked[3:] == [stories[3].intent_id]
    assert Refund.objects.get().payment_id == stories[3].payment.pk


def test_a_refund_that_breaks_holds_up_no_other(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Story(pending_donation().payment)
    settle(*story.succeeded(), *other.succeeded())
    bad, good = (request_refund(payment_id=s.payment.pk, amount_minor=700, requested_by=None) for s in (story, other))
    Refund.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    answers = {bad.pk: {"object": "refund"}, good.pk: other.refund("a", 700, "succeeded", at=50, our_id=good.pk)}
    monkeypatch.setattr(
        stripe_gateway, "create", lambda operation, params, *, idempotency_key: answers[params["metadata"]["refund"]]
    )
    done = sweep()
    assert (done["refunds"], done["failed"]) == (1, 1)
    assert dict(Refund.objects.values_list("pk", "status")) == {bad.pk: "pending", good.pk: "succeeded"}


# -- the command ---------------------------------------------------------------------------------------
def test_one_run_exits_with_one_when_something_failed_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    out = StringIO()
    call_command("sweep", stdout=out)
    assert out.getvalue() == "swept nothing: all is done\n"
    monkeypatch.setattr(sweeping, "STEPS", {"events": breaks})
    with pytest.raises(SystemExit) as stopped:
        call_command("sweep", stdout=out)
    assert stopped.value.code == 1
    assert out.getvalue().endswith("swept 1 failed\n")


def test_sweeping_goes_on_after_a_run_that_broke_off(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[int] = []

    def run() -> dict[str, int]:
        runs.append(len(runs))
        return {"events": 1} if runs[-1] else down_database()

    def down_database() -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    pauses = iter([False, False, True])
    monkeypatch.setattr("payments.management.commands.sweep.sweep", run)
    monkeypatch.setattr(threading.Event, "wait", lambda self, seconds=None: next(pauses))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    out = StringIO()
    call_command("sweep", "--every", "7", stdout=out)
    assert (runs, out.getvalue()) == ([0, 1], "swept 1 events\n")


# -- what got lost -------------------------------------------------------------------------------------
def paid_with_lost_refund(story: Story) -> None:
    """The charge says that 700 were refunded; neither the refund's events nor the nudge to fetch it ever came."""
    settle(*story.succeeded(), story.refunded("a", 700, at=100, in_all=700)[1])


def test_a_refund_whose_events_and_nudge_were_lost_is_fetched_by_the_sweep(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    paid_with_lost_refund(story)
    assert (Refund.objects.count(), Payment.objects.get().seen_refunded_minor) == (0, 700)
    asked: list[str] = []
    refund = story.refund("a", 700, "succeeded", at=100)
    monkeypatch.setattr(stripe_gateway, "list_refunds", lambda *, payment_intent: asked.append(payment_intent) or [refund])
    assert sweep()["fetched_refunds"] == 1
    assert (Payment.objects.get().refunded_minor, Refund.objects.get().status) == (700, "succeeded")
    assert sweep()["fetched_refunds"] == 0
    assert asked == [story.intent_id]
    assert list(check_books()) == []


def test_refunds_that_stripe_does_not_show_are_asked_for_once_an_hour(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    paid_with_lost_refund(story)
    asked: list[str] = []
    monkeypatch.setattr(stripe_gateway, "list_refunds", lambda *, payment_intent: asked.append(payment_intent) or [])
    sweep()
    sweep()
    assert len(asked) == 1
    Payment.objects.update(asked_at=timezone.now() - timedelta(minutes=61))
    sweep()
    assert len(asked) == 2


def test_refunds_that_could_not_be_asked_for_are_asked_for_again_ten_minutes_later(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid_with_lost_refund(story)
    asked: list[str] = []
    monkeypatch.setattr(stripe_gateway, "list_refunds", lambda *, payment_intent: asked.append(payment_intent) or down())
    sweep()
    Payment.objects.update(asked_at=F("asked_at") - timedelta(minutes=9))
    sweep()
    assert len(asked) == 1
    Payment.objects.update(asked_at=F("asked_at") - timedelta(minutes=2))
    sweep()
    assert len(asked) == 2


def test_a_refund_that_is_known_or_failed_is_not_asked_for(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Story(pending_donation().payment)
    settle(*story.succeeded(), *story.refunded("a", 700, at=100, in_all=700))
    settle(*other.succeeded(), *other.refund_failed("b", 700, at=100))
    monkeypatch.setattr(stripe_gateway, "list_refunds", breaks)
    assert sorted(Payment.objects.values_list("seen_refunded_minor", "refunded_minor")) == [(700, 0), (700, 700)]
    done = sweep()
    assert (done["fetched_refunds"], done["failed"]) == (0, 0)


def lost_session(hours: float, **fields: Any) -> Payment:
    """A gift whose call for a session was sent so long ago and never answered."""
    payment = pending_donation().payment
    checkout.plan_call(payment.pk, checkout.SESSION, {"client_reference_id": payment.pk})
    born = timezone.now() - timedelta(hours=hours)
    Payment.objects.filter(pk=payment.pk).update(created_at=born, **fields)
    StripeCall.objects.update(created_at=born)
    return Payment.objects.get(pk=payment.pk)


def test_a_session_that_a_lost_call_made_is_found_by_our_id_and_settled(stripe: responses.RequestsMock) -> None:
    payment = lost_session(25)
    story = Story(payment)
    made = story.session("complete", "paid") | {"payment_intent": story.intent("succeeded") | {"latest_charge": story.charge()}}
    stripe.get(
        f"{STRIPE}/checkout/sessions", json={"data": [{"id": "cs_9", "client_reference_id": None}, made], "has_more": False}
    )
    stripe.get(f"{STRIPE}/checkout/sessions/{story.session_id}", json=made)
    assert sweep()["lost_sessions"] == 1
    payment.refresh_from_db()
    assert (payment.status, payment.checkout_session, Donation.objects.get().state) == ("paid", story.session_id, "paid")
    assert [str(call.request.method) for call in stripe.calls] == ["GET", "GET"]
    assert list(check_books()) == []


def test_a_session_that_was_never_made_is_given_up_and_never_made_by_the_sweep(stripe: responses.RequestsMock) -> None:
    payment = lost_session(25)
    sent = stripe.get(f"{STRIPE}/checkout/sessions", json={"data": [], "has_more": False})
    assert sweep()["lost_sessions"] == 1
    payment.refresh_from_db()
    assert (payment.status, payment.checkout_session, Donation.objects.get().state) == ("canceled", None, "abandoned")
    assert sweep()["lost_sessions"] == 0
    assert (sent.call_count, StripeCall.objects.count()) == (1, 1)


def test_while_the_donor_may_still_come_back_a_lost_session_is_left_alone(stripe: responses.RequestsMock) -> None:
    lost_session(24)
    assert sweep()["lost_sessions"] == 0
    assert (Payment.objects.get().status, len(stripe.calls)) == ("open", 0)


def test_a_list_that_cannot_be_read_to_its_end_decides_nothing(
    stripe: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost_session(25)
    monkeypatch.setattr(stripe_gateway, "MOST_PAGES", 1)
    stripe.get(f"{STRIPE}/checkout/sessions", json={"data": [{"id": "cs_9", "client_reference_id": None}], "has_more": True})
    done = sweep()
    assert (done["lost_sessions"], done["failed"], Payment.objects.get().status) == (0, 1, "open")
    assert sweep()["failed"] == 0  # not at once again


def test_money_that_came_meanwhile_is_not_given_up(story: Story) -> None:
    settle_events(story.succeeded(), source="webhook")
    assert checkout.give_up(story.payment) is False
    assert (Payment.objects.get().status, Donation.objects.get().state) == ("paid", "paid")


def test_money_of_which_no_session_is_known_is_not_given_up(story: Story) -> None:
    settle_events([story.succeeded()[1]], source="webhook")
    assert Payment.objects.get().checkout_session is None
    assert checkout.give_up(story.payment) is False
    assert (Payment.objects.get().status, Payment.objects.get().canceled_at) == ("paid", None)


def test_tasks_of_killed_workers_are_closed_once_they_are_a_day_old_and_only_those() -> None:
    cache.clear()
    for hours in (1, 25):
        fetch_refunds.enqueue("pay_1")
        mine = DBTaskResult.objects.filter(status="READY")
        mine.update(status="RUNNING", started_at=timezone.now() - timedelta(hours=hours))
    fetch_refunds.enqueue("pay_1")
    assert sweep()["abandoned_tasks"] == 1
    assert sorted(DBTaskResult.objects.values_list("status", flat=True)) == ["FAILED", "READY", "RUNNING"]
    closed = DBTaskResult.objects.get(status="FAILED")
    assert closed.finished_at is not None
    assert "was killed" in closed.task_result.errors[0].traceback
    call_command("prune_db_task_results", "--min-age-days", "1", verbosity=0)
    assert DBTaskResult.objects.count() == 3


def test_what_a_killed_process_left_running_is_done_by_the_tables(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """An event stored by a process that died before it could say what became of it."""
    envelope = story.succeeded()[2]
    inbox.record_failure(envelope, RuntimeError("killed"), source="webhook")
    StripeEvent.objects.update(state="received", attempts=0, next_attempt_at=timezone.now())
    assert sweep()["events"] == 1
    assert Donation.objects.get().state == "paid"
    assert settlement.settle_stored([envelope.id]).states == {}
