"""The sweep: finishes what was left over, once, and one stuck thing holds nothing else up."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from donations.models import Donation
from donations.tests.factories import CampaignFactory, payment_of, pending_donation
from payments import ledger, stripe_gateway, sweeping
from payments.errors import StripeRefused, StripeUnavailable
from payments.inbox import Envelope
from payments.models import Payment, Refund, StripeEvent, Transfer
from payments.proving import check_books
from payments.refunds import request_refund
from payments.settlement import settle_events, settle_objects
from payments.sweeping import sweep
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(hours=25)


def settle(*events: Envelope) -> None:
    for event in events:
        settle_events([event], source="webhook")


def wait(**ago: Any) -> None:
    """Let time pass for the inbox."""
    since = timezone.now() - timedelta(**ago)
    StripeEvent.objects.update(received_at=since)
    StripeEvent.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=since)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids that Stripe was asked for; it answers that it cannot be reached."""
    ids: list[str] = []

    def down(id_: str) -> Any:
        ids.append(id_)
        raise StripeUnavailable("The payment service cannot be reached.")

    for name in ("retrieve_session", "retrieve_intent", "retrieve_charge"):
        monkeypatch.setattr(stripe_gateway, name, down)
    return ids


@pytest.fixture
def story() -> Story:
    return Story(pending_donation().payment)


def stray_payment() -> tuple[Story, list[Envelope]]:
    """Money by a Payment Link that names nothing of ours."""
    story = Story(Payment(id="pay_of_nobody", amount_minor=900, currency="usd"))
    story.metadata = {}
    return story, [
        story.event("charge.succeeded", story.charge(), 3),
        story.event("payment_intent.succeeded", story.intent("succeeded"), 4),
        story.event("checkout.session.completed", story.session("complete", "paid") | {"client_reference_id": None}, 5),
    ]


def test_with_nothing_left_over_nothing_is_done(asked: list[str]) -> None:
    done = sweep()
    assert {name for name, count in done.items() if count} == set()
    told = {"events", "unmatched", "sessions", "lost_sessions", "refunds", "fetched_refunds", "receipts", "alerts", "failed"}
    assert told <= set(done)
    assert asked == []


def test_a_failed_event_is_tried_when_it_is_due_and_not_before(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    (event,) = [e for e in story.succeeded() if e.type == "checkout.session.completed"]
    sweeping.inbox.record_failure(event, RuntimeError("no"), source="webhook")
    assert sweep()["events"] == 0
    wait(minutes=2)
    assert sweep()["events"] == 1
    assert (StripeEvent.objects.get().state, Donation.objects.get().state) == ("applied", "paid")


def test_a_dead_event_is_left_to_staff(story: Story) -> None:
    sweeping.inbox.record_failure(story.succeeded()[0], RuntimeError("no"), source="webhook")
    StripeEvent.objects.update(state="dead", next_attempt_at=None)
    wait(days=1)
    sweep()
    assert StripeEvent.objects.get().state == "dead"


def test_money_without_a_payment_is_posted_to_unmatched_once_and_only_after_its_time(asked: list[str], settings: Any) -> None:
    settle(*stray_payment()[1])
    wait(seconds=settings.PARKED_AFTER_S - 60)
    assert sweep()["unmatched"] == 0
    assert Transfer.objects.count() == 0
    wait(seconds=settings.PARKED_AFTER_S + 60)
    assert sweep()["unmatched"] == 3
    payment = Payment.objects.get()
    assert (payment.purpose, payment.status, payment.amount_minor, payment.destination_id) == (
        "unmatched",
        "paid",
        900,
        "unmatched:usd",
    )
    assert ledger.balance("unmatched:usd") == 900
    wait(days=2)
    assert sweep()["unmatched"] == 0
    assert (Transfer.objects.count(), ledger.balance("unmatched:usd"), asked) == (1, 900, [])
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied"}
    assert list(check_books()) == []


def test_a_refund_whose_payment_is_found_at_stripe_is_booked(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(story.refunded("a", 700, at=100, in_all=700)[0])
    fetched = story.intent("succeeded") | {"latest_charge": story.charge()}
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", lambda intent: fetched)
    wait(minutes=16)
    sweep()
    assert (StripeEvent.objects.get().state, Refund.objects.get().amount_minor) == ("applied", 700)
    assert payment_of(Donation.objects.get()).refunded_minor == 700
    assert list(check_books()) == []


def test_while_stripe_cannot_be_asked_a_parked_refund_is_never_dropped(story: Story, asked: list[str]) -> None:
    settle(story.refunded("a", 700, at=100, in_all=700)[0], *story.disputed("lost")[:2])
    wait(minutes=16)
    sweep()
    assert story.intent_id in asked
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"parked"}
    settle(*story.succeeded())
    payment = payment_of(Donation.objects.get())
    assert (payment.refunded_minor, payment.disputed_minor) == (700, 2500)


def test_what_shows_no_money_of_ours_is_ignored_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    story = Story(Payment(id="pay_of_nobody", amount_minor=900, currency="usd"))
    settle(*story.declined())
    fetched = story.intent("requires_payment_method", error={"code": "card_declined"})
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", lambda intent: fetched)
    wait(minutes=16)
    sweep()
    assert (StripeEvent.objects.get().state, Payment.objects.count()) == ("ignored", 0)


@pytest.mark.parametrize("order", [1, -1])
def test_of_an_authorization_captured_in_part_that_part_is_taken_in(order: int, asked: list[str]) -> None:
    story, _ = stray_payment()
    intent = story.intent("succeeded") | {"amount": 5000, "amount_received": 900}
    charge = story.charge() | {"amount": 5000, "amount_captured": 900}
    events = [story.event("charge.succeeded", charge, 3), story.event("payment_intent.succeeded", intent, 4)]
    settle(*events[::order])
    wait(minutes=20)
    sweep()
    assert Payment.objects.get().amount_minor == 900
    assert ledger.balance("unmatched:usd") == 900
    assert asked == []


def test_of_a_fetched_session_too() -> None:
    story, _ = stray_payment()
    charge = story.charge() | {"amount": 5000, "amount_captured": 900}
    intent = story.intent("succeeded") | {"amount": 5000, "amount_received": 900, "latest_charge": charge}
    session = story.session("complete", "paid") | {"amount_total": 5000, "payment_intent": intent, "client_reference_id": None}
    settle_objects([session], take_in_unmatched=True)
    assert Payment.objects.get().amount_minor == 900


def test_what_somebody_else_applies_meanwhile_is_not_ignored_and_taken_in_later(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    story, _ = stray_payment()
    settle(story.event("payment_intent.succeeded", story.intent("succeeded"), 4))
    wait(minutes=20)
    with monkeypatch.context() as patch:
        patch.setattr(sweeping.inbox, "lock", lambda *_, **__: [])  # what SKIP LOCKED answers then
        sweeping._take_in_unmatched(Counter())
    assert (StripeEvent.objects.get().state, Payment.objects.count()) == ("parked", 0)
    sweeping._take_in_unmatched(Counter())
    assert (StripeEvent.objects.get().state, ledger.balance("unmatched:usd")) == ("applied", 900)


def old_session(number: int, **fields: Any) -> Story:
    story = Story(pending_donation().payment)
    created_at = timezone.now() - LONG_AGO - timedelta(minutes=100 - number)
    Payment.objects.filter(pk=story.payment.pk).update(checkout_session=story.session_id, created_at=created_at, **fields)
    return story


def test_a_session_whose_end_was_never_told_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    story, asked = old_session(1), []
    monkeypatch.setattr(
        stripe_gateway, "retrieve_session", lambda s: asked.append(s) or story.session("expired", "unpaid", intent=False)
    )
    assert sweep()["sessions"] == 1
    assert Donation.objects.get().state == "abandoned"
    assert sweep()["sessions"] == 0
    assert asked == [story.session_id]


def test_a_session_of_the_last_day_is_not_asked_for(story: Story, asked: list[str]) -> None:
    Payment.objects.update(checkout_session=story.session_id)
    sweep()
    assert asked == []


def test_a_session_that_stripe_does_not_know_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown, known = old_session(1), old_session(2)

    def retrieve(session: str) -> Any:
        return {known.session_id: lambda: known.session("expired", "unpaid", intent=False)}.get(session, refuses)()

    def refuses() -> Any:
        raise StripeRefused("No such checkout session.")

    monkeypatch.setattr(stripe_gateway, "retrieve_session", retrieve)
    sweep()
    assert Payment.objects.get(pk=known.payment.pk).status == "expired"
    assert Payment.objects.get(pk=unknown.payment.pk).status == "open"


def test_sessions_that_failed_for_good_do_not_hold_up_later_ones_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A delayed payment that failed leaves its session complete and unpaid at Stripe, for ever."""
    failed, ended = old_session(1), old_session(2)
    settle(*failed.delayed(succeeds=False))
    monkeypatch.setattr(sweeping, "MOST_CALLS", 1)
    sessions = {
        failed.session_id: failed.session("complete", "unpaid", intent=False),
        ended.session_id: ended.session("expired", "unpaid", intent=False),
    }
    monkeypatch.setattr(stripe_gateway, "retrieve_session", sessions.__getitem__)
    for _ in range(3):
        sweep()
    assert Payment.objects.get(pk=ended.payment.pk).status == "expired"


def test_when_stripe_is_down_the_sweep_asks_three_times_and_leaves_the_rest(asked: list[str]) -> None:
    stories = [old_session(n) for n in range(5)]
    assert sweep()["sessions"] == 0
    assert asked == [story.session_id for story in stories[:3]]
    sweep()  # those that were not asked for come first
    assert asked[3:] == [story.session_id for story in stories[3:]]


def test_a_step_that_breaks_does_not_keep_the_others_from_being_done(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(story.refunded("a", 700, at=100, in_all=700)[0])
    wait(minutes=16)
    ended = old_session(1)
    monkeypatch.setattr(stripe_gateway, "retrieve_intent", lambda intent: {"object": "payment_intent", "id": intent})
    expired = ended.session("expired", "unpaid", intent=False)
    monkeypatch.setattr(stripe_gateway, "retrieve_session", lambda session: expired)
    assert sweep()["sessions"] == 1
    assert Payment.objects.get(pk=ended.payment.pk).status == "expired"
    assert StripeEvent.objects.get().state == "parked"


def test_an_unsent_refund_is_sent_after_a_minute(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    settle(*story.succeeded())
    refund = request_refund(payment_id=story.payment.pk, amount_minor=700, requested_by=None)
    answer = story.refund("a", 700, "succeeded", at=50, our_id=refund.pk)
    monkeypatch.setattr(stripe_gateway, "create", lambda operation, params, *, idempotency_key: answer)
    assert sweep()["refunds"] == 0
    Refund.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    assert sweep()["refunds"] == 1
    assert (Refund.objects.get().status, sweep()["refunds"]) == ("succeeded", 0)
    assert list(check_books()) == []


def test_due_events_of_many_gifts_are_applied_together(settings: Any) -> None:
    campaign = CampaignFactory()
    stories = [Story(pending_donation(campaign=campaign).payment) for _ in range(5)]
    for story in stories:
        sweeping.inbox.record_failure(story.succeeded()[2], RuntimeError("no"), source="webhook")
    wait(minutes=2)
    assert sweep()["events"] == 5
    assert list(Donation.objects.values_list("state", flat=True)) == ["paid"] * 5
    assert list(check_books()) == []
