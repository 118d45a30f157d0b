"""More refunds than were paid: an earlier one must have failed, though the news of that has not come yet."""

from __future__ import annotations

import itertools

import pytest
from django.utils import timezone

from donations.tests.factories import pending_donation
from payments import checkout, stripe_gateway
from payments.errors import StripeRefused
from payments.inbox import Envelope
from payments.models import Payment, Refund, StripeEvent, Transfer
from payments.proving import check_books
from payments.refunds import send_refund
from payments.settlement import settle_events
from payments.sweeping import sweep
from payments.tests.stripe_objects import Story

pytestmark = pytest.mark.django_db


def paid_story() -> Story:
    story = Story(pending_donation().payment)
    settle(*story.succeeded())
    return story


def settle(*events: Envelope) -> list[str]:
    return [settle_events([event], source="webhook").states[event.id] for event in events]


def stand(story: Story) -> tuple[int, dict[str, str], dict[str, int]]:
    payment = Payment.objects.get(pk=story.payment.pk)
    refunds = {str(r.stripe_id)[-1]: r.status for r in payment.refunds.all()}
    moved = {t.key.split(":")[0] + ":" + t.key[-1]: t.amount_minor for t in payment.transfers.filter(key__startswith="refund")}
    return payment.refunded_minor, refunds, moved


def test_a_refund_without_room_is_kept_and_booked_with_the_news() -> None:
    story = paid_story()
    whole = story.payment.amount_minor
    began, _, _, failed = story.refund_failed("a", whole, at=100)
    again = story.refunded("b", whole, at=200, in_all=whole)[0]
    assert settle(began, again) == ["applied", "applied"]
    assert stand(story) == (whole, {"a": "pending", "b": "succeeded"}, {"refund:a": whole})
    assert list(check_books()) == []
    assert settle(failed) == ["applied"]
    moved = {"refund:a": whole, "refund-reversal:a": whole, "refund:b": whole}
    assert stand(story) == (whole, {"a": "failed", "b": "succeeded"}, moved)
    assert list(check_books()) == []


def test_news_that_was_lost_is_fetched_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    story = paid_story()
    whole = story.payment.amount_minor
    settle(story.refund_failed("a", whole, at=100)[0], story.refunded("b", whole, at=200, in_all=whole)[0])
    at_stripe = [story.refund("b", whole, "succeeded", at=200), story.refund("a", whole, "failed", at=100)]
    monkeypatch.setattr(stripe_gateway, "list_refunds", lambda payment_intent: at_stripe)
    sweep()
    assert stand(story)[:2] == (whole, {"a": "failed", "b": "succeeded"})
    assert list(check_books()) == []


def test_a_refund_that_could_be_booked_and_is_not_is_named() -> None:
    story = paid_story()
    settle(story.refunded("a", 700, at=100, in_all=700)[0])
    Refund.objects.update(booked=False)
    assert any("could be booked and is not" in sentence for sentence in check_books())


def test_three_refunds_of_all_of_it_end_alike_in_every_order_and_batching() -> None:
    ends = set()
    for order in itertools.permutations(range(5)):
        story = paid_story()
        whole = story.payment.amount_minor
        a, b = story.refund_failed("a", whole, at=100), story.refund_failed("b", whole, at=200)
        events = [a[0], a[3], b[0], b[3], story.refunded("c", whole, at=300, in_all=whole)[0]]
        shuffled = [events[index] for index in order]
        settle(*shuffled[: order[0]])
        settle_events(shuffled[order[0] :], source="webhook")
        refunded, refunds, moved = stand(story)
        ends.add((refunded, tuple(sorted(refunds.items())), tuple(sorted(moved.items()))))
    assert len(ends) == 1
    refunded, refunds, moved = ends.pop()
    assert (refunded, dict(refunds)) == (2500, {"a": "failed", "b": "failed", "c": "succeeded"})
    assert sorted(dict(moved)) == ["refund-reversal:a", "refund-reversal:b", "refund:a", "refund:b", "refund:c"]
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"applied"}
    assert list(check_books()) == []


def test_our_own_refund_made_after_the_news_was_lost_is_booked() -> None:
    story = paid_story()
    whole = story.payment.amount_minor
    ours = Refund.objects.create(payment=story.payment, amount_minor=whole, currency="usd", created_at=timezone.now())
    settle(story.event("refund.created", story.refund("a", whole, "pending", at=100), 100))
    settle(story.event("refund.created", story.refund("b", whole, "succeeded", at=200, our_id=ours.pk), 200))
    assert stand(story)[:2] == (whole, {"a": "pending", "b": "succeeded"})
    settle(story.refund_failed("a", whole, at=100)[3])
    assert stand(story)[:2] == (whole, {"a": "failed", "b": "succeeded"})
    assert list(check_books()) == []


def kept_refund(story: Story) -> Refund:
    """Made at Stripe; the process died before its answer was settled."""
    refund = Refund.objects.create(payment=story.payment, amount_minor=700, currency="usd", created_at=timezone.now())
    params = {"payment_intent": story.intent_id, "amount": 700, "metadata": {"refund": refund.pk}}
    checkout.keep_answer(checkout.plan_call(refund.pk, checkout.REFUND, params), {"id": "re_real", "status": "pending"})
    return refund


def test_a_refund_that_stripe_does_not_show_is_not_canceled_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    story = paid_story()
    refund = kept_refund(story)

    def no(_: str) -> None:
        raise StripeRefused("No such refund")

    monkeypatch.setattr(stripe_gateway, "retrieve_refund", no)
    with pytest.raises(StripeRefused):
        send_refund(refund)
    refund.refresh_from_db()
    assert (refund.status, refund.canceled_at) == ("pending", None)


def test_what_was_canceled_here_and_made_at_stripe_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    story = paid_story()
    refund = kept_refund(story)
    Refund.objects.filter(pk=refund.pk).update(status="canceled", canceled_at=timezone.now())
    settle(story.event("refund.created", story.refund("x", 700, "succeeded", at=100, our_id=refund.pk), 100))
    refund.refresh_from_db()
    assert (refund.status, Payment.objects.get().refunded_minor) == ("succeeded", 700)
    assert Transfer.objects.filter(key__startswith="refund-reversal").count() == 0
    assert list(check_books()) == []


def test_a_checkout_that_sold_a_subscription_shows_no_money_by_itself() -> None:
    """Its invoice's intent does; both would be counted."""
    story = Story(pending_donation().payment)
    session = {**story.session("complete", "paid", intent=False), "mode": "subscription", "metadata": {}}
    session |= {"client_reference_id": None, "id": "cs_test_monthly"}
    event = story.event("checkout.session.completed", session, 5)
    assert settle_events([event], source="webhook").states[event.id] == "parked"
    assert (Payment.objects.filter(paid_at__isnull=False).count(), Transfer.objects.count()) == (0, 0)
