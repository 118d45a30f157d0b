"""Giving money back: written down first, sent once, taken back only when Stripe refuses for good."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
import requests
import responses
from django.db import connection
from django.utils import timezone

from accounts.tests.factories import UserFactory
from conventions.errors import DomainError
from donations.models import Donation
from donations.tests.factories import payment_of, pending_donation
from payments.errors import NotRefundable, PaymentDisputed, RefundTooLarge, StripeRefused, StripeTimeout, StripeUnavailable
from payments.models import Payment, Refund, StripeCall, Transfer
from payments.proving import check_books
from payments.refunds import request_refund, send_refund
from payments.settlement import settle_events
from payments.tests.stripe_objects import Story

REFUNDS = "http://127.0.0.1:9/v1/refunds"
FAILURE = {"error": {"type": "api_error", "message": "An unknown error occurred."}}

pytestmark = pytest.mark.django_db


@pytest.fixture
def story(db: None) -> Story:
    """A gift of 25 dollars that is paid."""
    story = Story(pending_donation().payment)
    settle_events(story.succeeded(), source="webhook")
    return story


def ask(story: Story, amount: int | None = None, **fields: Any) -> Refund:
    return request_refund(payment_id=story.payment.pk, amount_minor=amount, requested_by=None, **fields)


def posts(stripe: responses.RequestsMock) -> list[tuple[str, str]]:
    calls = [call.request for call in stripe.calls if call.request.method == "POST"]
    return [(request.headers["Idempotency-Key"], str(request.body)) for request in calls]


def test_a_refund_is_written_down_with_its_call_and_moves_no_money_yet(story: Story) -> None:
    staff = UserFactory()
    refund = request_refund(
        payment_id=story.payment.pk, amount_minor=700, reason="duplicate", note="asked by phone", requested_by=staff
    )
    call = StripeCall.objects.get(subject_id=refund.pk)
    assert (refund.status, refund.stripe_id, refund.booked, refund.requested_by, refund.note) == (
        "pending", None, False, staff, "asked by phone",
    )  # fmt: skip
    assert call.params == {
        "payment_intent": story.intent_id,
        "amount": 700,
        "reason": "duplicate",
        "metadata": {"refund": refund.pk, "payment": story.payment.pk},
    }
    assert (Transfer.objects.count(), payment_of(Donation.objects.get()).refundable_minor) == (1, 1800)
    assert list(check_books()) == []


def test_no_amount_means_all_that_is_left(story: Story) -> None:
    ask(story, 700)
    assert ask(story).amount_minor == 1800


@pytest.mark.parametrize("amount", [2501, 10**9, 0, -1])
def test_more_than_is_left_or_nothing_is_refused(amount: int, story: Story) -> None:
    with pytest.raises(RefundTooLarge, match=r"At most \$25\.00 of this payment can still be refunded\."):
        ask(story, amount)
    assert Refund.objects.count() == StripeCall.objects.count() == 0


def test_unsent_refunds_count_as_given_and_failed_ones_do_not(story: Story) -> None:
    first = ask(story, 2500)
    with pytest.raises(RefundTooLarge, match=r"\$0\.00"):
        ask(story, 1)
    Refund.objects.filter(pk=first.pk).update(status="canceled", canceled_at=timezone.now())
    assert ask(story, 2500).amount_minor == 2500


def test_an_unpaid_payment_cannot_be_refunded() -> None:
    with pytest.raises(NotRefundable):
        request_refund(payment_id=pending_donation().payment_id, amount_minor=1, requested_by=None)
    assert Refund.objects.count() == 0


def test_what_a_dispute_has_withdrawn_is_not_refunded_while_it_is_open_nor_when_it_is_lost(
    stripe: responses.RequestsMock, story: Story
) -> None:
    *opened, closed = story.disputed("lost")
    for events in (opened, [closed]):
        settle_events(events, source="webhook")
        assert Payment.objects.get().refundable_minor == 0
        with pytest.raises(PaymentDisputed, match=r"a dispute has withdrawn \$25\.00\. Only if it is won") as refused:
            ask(story)
        assert refused.value.code == "payment_disputed"
    assert Refund.objects.count() == StripeCall.objects.count() == len(stripe.calls) == 0
    assert list(check_books()) == []


def test_a_dispute_that_is_won_makes_the_payment_refundable_again(story: Story) -> None:
    settle_events(story.disputed("won"), source="webhook")
    assert ask(story).amount_minor == 2500
    assert list(check_books()) == []


def test_an_inquiry_that_has_withdrawn_nothing_leaves_all_of_it_refundable(story: Story) -> None:
    settle_events(story.inquired(900)[:1], source="webhook")
    assert ask(story).amount_minor == 2500


def test_of_a_payment_disputed_in_part_the_rest_is_refundable_less_what_is_on_its_way(story: Story) -> None:
    settle_events(story.inquired(900), source="webhook")
    with pytest.raises(RefundTooLarge, match=r"At most \$16\.00 of this payment"):
        ask(story, 1601)
    ask(story, 1000)
    assert ask(story).amount_minor == 600
    with pytest.raises(PaymentDisputed, match=r"withdrawn \$9\.00"):
        ask(story)
    assert list(check_books()) == []


def test_what_was_refunded_whole_and_is_disputed_as_well_is_refused_as_refunded(story: Story) -> None:
    settle_events(story.refunded("a", 2500, at=60, in_all=2500), source="webhook")
    settle_events(story.disputed("lost"), source="webhook")
    with pytest.raises(RefundTooLarge, match=r"At most \$0\.00 of this payment"):
        ask(story, 1)
    assert list(check_books()) == []


def test_a_dispute_of_money_whose_refund_is_on_its_way_leaves_nothing_and_never_less(story: Story) -> None:
    refund = ask(story, 2000)
    settle_events(story.disputed("lost"), source="webhook")
    assert Payment.objects.get().refundable_minor == 0
    Refund.objects.filter(pk=refund.pk).update(status="canceled", canceled_at=timezone.now())  # as after Stripe's refusal
    assert Payment.objects.get().refundable_minor == 0
    assert list(check_books()) == []


def test_a_sent_refund_is_booked_at_once_and_its_events_change_nothing(stripe: responses.RequestsMock, story: Story) -> None:
    refund = ask(story, 700)
    stripe.post(REFUNDS, json=story.refund("a", 700, "succeeded", at=50, our_id=refund.pk))
    sent = send_refund(refund)
    assert (sent.status, sent.stripe_id, Donation.objects.get().state) == (
        "succeeded",
        f"re_{story.number}_a",
        "partially_refunded",
    )
    assert posts(stripe)[0][0] == f"{refund.pk}:refunds.create:1"
    told = story.event("refund.created", story.refund("a", 700, "succeeded", at=50, our_id=refund.pk), 50)
    settle_events([told], source="webhook")
    assert (Refund.objects.count(), Transfer.objects.count(), Payment.objects.get().refunded_minor) == (1, 2, 700)
    send_refund(refund)
    assert len(stripe.calls) == 1
    assert list(check_books()) == []


def test_a_refusal_cancels_the_refund_and_gives_its_amount_free(stripe: responses.RequestsMock, story: Story) -> None:
    refund = ask(story)
    stripe.post(
        REFUNDS, json={"error": {"type": "invalid_request_error", "code": "charge_disputed", "message": "No."}}, status=400
    )
    with pytest.raises(StripeRefused):
        send_refund(refund)
    refund.refresh_from_db()
    assert (refund.status, refund.stripe_id) == ("canceled", None)
    assert (Payment.objects.get().refundable_minor, Transfer.objects.count()) == (2500, 1)
    assert list(check_books()) == []


def test_why_stripe_refused_a_refund_is_kept_whatever_it_writes(stripe: responses.RequestsMock, story: Story) -> None:
    refund = ask(story)
    message = "No\x00: ada@example.org " + "x" * 9000
    stripe.post(REFUNDS, json={"error": {"type": "invalid_request_error", "message": message}}, status=400)
    with pytest.raises(StripeRefused):
        send_refund(refund)
    refund.refresh_from_db()
    call = StripeCall.objects.get(subject_id=refund.pk)
    assert (refund.status, len(refund.failure_reason), len(call.error)) == ("canceled", 200, 2000)
    assert refund.failure_reason.startswith("StripeRefused: No: a***@example.org xxx")
    assert call.error.startswith("stripe_refused: No: a***@example.org xxx")


@pytest.mark.parametrize(
    ("failure", "raised"),
    [(requests.exceptions.ReadTimeout(), StripeTimeout), (requests.exceptions.ConnectionError(), StripeUnavailable)],
)
def test_after_a_lost_answer_the_same_refund_is_sent_under_the_same_key(
    stripe: responses.RequestsMock, story: Story, failure: Exception, raised: type[Exception]
) -> None:
    refund = ask(story, 700)
    stripe.post(REFUNDS, body=failure)
    stripe.post(REFUNDS, json=story.refund("a", 700, "succeeded", at=50, our_id=refund.pk))
    with pytest.raises(raised):
        send_refund(refund)
    refund.refresh_from_db()
    assert (refund.status, refund.stripe_id) == ("pending", None)
    send_refund(refund)
    first, second = posts(stripe)
    assert first == second
    assert (Refund.objects.count(), Transfer.objects.count()) == (1, 2)


def test_after_a_stored_500_a_refund_that_was_made_all_the_same_is_found_and_not_made_twice(
    stripe: responses.RequestsMock, story: Story
) -> None:
    refund = ask(story, 700)
    stripe.post(REFUNDS, json=FAILURE, status=500)
    made = story.refund("a", 700, "succeeded", at=50, our_id=refund.pk)
    stripe.get(REFUNDS, json={"data": [made], "has_more": False})
    stripe.add(responses.POST, REFUNDS, json=story.refund("b", 700, "succeeded", at=60, our_id=refund.pk))
    stripe.assert_all_requests_are_fired = False
    with pytest.raises(StripeUnavailable):
        send_refund(refund)
    send_refund(refund)
    assert [key for key, _ in posts(stripe)] == [f"{refund.pk}:refunds.create:1"]
    assert list(Refund.objects.values_list("stripe_id", "status")) == [(f"re_{story.number}_a", "succeeded")]


def test_an_unsent_refund_older_than_its_key_is_looked_for_at_stripe_and_then_sent_anew(
    stripe: responses.RequestsMock, story: Story
) -> None:
    refund = ask(story, 700)
    StripeCall.objects.update(created_at=timezone.now() - timedelta(hours=24))
    stripe.get(REFUNDS, json={"data": [], "has_more": False})
    stripe.post(REFUNDS, json=story.refund("a", 700, "succeeded", at=50, our_id=refund.pk))
    assert send_refund(refund).status == "succeeded"
    assert [key for key, _ in posts(stripe)] == [f"{refund.pk}:refunds.create:2"]


def test_a_refund_that_was_answered_but_not_settled_is_settled_by_the_next_try(
    stripe: responses.RequestsMock, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died between keeping the answer and settling it."""
    refund = ask(story, 700)
    stripe.post(REFUNDS, json=story.refund("a", 700, "succeeded", at=50, our_id=refund.pk))
    stripe.get(REFUNDS, json={"data": [story.refund("a", 700, "succeeded", at=50, our_id=refund.pk)], "has_more": False})
    stripe.get(f"{REFUNDS}/re_{story.number}_a", json=story.refund("a", 700, "succeeded", at=50, our_id=refund.pk))
    stripe.assert_all_requests_are_fired = False

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("payments.refunds.settle_objects", dies)
        with pytest.raises(KeyboardInterrupt):
            send_refund(refund)
    assert send_refund(refund).status == "succeeded"
    assert (len(posts(stripe)), Transfer.objects.count()) == (1, 2)


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_of_two_full_refunds_at_once_one_is_refused(story: Story) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def go() -> None:
        barrier.wait()
        try:
            outcomes.append(ask(story, 2500).status)
        except DomainError as error:
            outcomes.append(error.code)
        connection.close()

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["pending"] + ["refund_too_large"] * 7
    assert Refund.objects.count() == 1
