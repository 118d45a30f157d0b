"""Money that goes back, asked for here or in Stripe's dashboard."""

from __future__ import annotations

import pytest

from donations.models import Donation
from payments.errors import NotRefundable, RefundTooLarge, StripeRefused, StripeUnavailable
from payments.models import Payment, Refund, Transfer
from payments.refunds import request_refund, send_refund
from tests.live import Live, a_campaign


def refund(amount_minor: int | None, *, reason: str = "requested_by_customer") -> Refund:
    payment = Payment.objects.get()
    return send_refund(request_refund(payment_id=payment.pk, amount_minor=amount_minor, reason=reason, requested_by=None))


def booked() -> list[tuple[str, int]]:
    """What was posted, without its ids, in the order of posting."""
    rows = Transfer.objects.order_by("posted_at", "pk").values_list("key", "amount_minor")
    return [(key.split(":")[0], amount) for key, amount in rows]


def test_part_of_a_gift_is_refunded(live: Live) -> None:
    campaign = a_campaign()
    started = live.give_and_pay(campaign_id=campaign, donor_name="Ada")
    assert refund(1000).status == "succeeded"
    assert live.total(campaign) == ("15.00", 1, 1)
    live.flush()
    assert live.total(campaign) == ("15.00", 1, 1)
    assert live.status(started) == "completed"
    assert [gift["amount"] for gift in live.wall(campaign)] == ["15.00"]
    assert booked() == [("paid", 2500), ("refund", 1000)]
    [at_stripe] = live.sandbox.objects("refund")
    assert (at_stripe["amount"], at_stripe["reason"]) == (1000, "requested_by_customer")
    assert (Donation.objects.get().state, len(live.receipts())) == ("partially_refunded", 1)


def test_whole_gift_is_refunded_in_two_parts(live: Live) -> None:
    campaign = a_campaign()
    started = live.give_and_pay(campaign_id=campaign)
    refund(1000)
    refund(None)
    live.flush()
    assert [one["amount"] for one in live.sandbox.objects("refund")] == [1000, 1500]
    assert (live.total(campaign), live.wall(campaign)) == (("0.00", 0, 0), [])
    assert live.status(started) == "refunded"
    assert Donation.objects.get().state == "refunded"
    proof = live.get(f"/api/campaigns/{campaign}/proof")
    assert (proof["gross"], proof["refunds"], proof["net"], proof["transfers"]) == ("25.00", "25.00", "0.00", 3)


def test_more_than_is_left_cannot_be_refunded_and_stripe_is_not_asked(live: Live) -> None:
    live.give_and_pay()
    refund(2000)
    with pytest.raises(RefundTooLarge):
        refund(501)
    refund(500)
    with pytest.raises(RefundTooLarge):
        refund(None)
    assert [one["amount"] for one in live.sandbox.objects("refund")] == [2000, 500]


def test_unpaid_gift_cannot_be_refunded(live: Live) -> None:
    live.give()
    with pytest.raises(NotRefundable):
        refund(None)
    assert live.sandbox.objects("refund") == []


def test_refund_in_the_dashboard_is_learned_by_webhook(live: Live) -> None:
    campaign = a_campaign()
    started = live.give_and_pay(campaign_id=campaign)
    live.sandbox.post("refunds", charge=live.sandbox.objects("charge")[0]["id"], amount=700)
    live.flush()
    assert live.total(campaign) == ("18.00", 1, 1)
    live.sandbox.post("refunds", payment_intent=started["payment_intent"]["id"])
    live.flush()
    assert (live.total(campaign), live.status(started)) == (("0.00", 0, 0), "refunded")
    assert booked() == [("paid", 2500), ("refund", 700), ("refund", 1800)]


def test_refund_in_the_dashboard_is_fetched_when_only_charge_refunded_arrives(live: Live) -> None:
    campaign = a_campaign()
    started = live.give_and_pay(campaign_id=campaign)
    types = ["refund.created", "refund.updated", "charge.refund.updated"]
    live.sandbox.post("misbehaviour", act="drop", share=1, types=types)
    live.sandbox.post("refunds", payment_intent=started["payment_intent"]["id"], amount=700)
    live.flush()
    assert live.total(campaign) == ("18.00", 1, 1)
    assert booked() == [("paid", 2500), ("refund", 700)]


def test_refund_that_fails_later_gives_the_money_back_to_the_campaign(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign, card="4000000000005126")
    refund(None)
    live.flush()
    assert live.total(campaign) == ("0.00", 0, 0)
    live.sandbox.advance(24 * 3600)
    live.flush()
    assert live.sandbox.objects("refund")[0]["status"] == "failed"
    assert live.total(campaign) == ("25.00", 1, 1)
    assert booked() == [("paid", 2500), ("refund", 2500), ("refund-reversal", 2500)]
    assert (Refund.objects.get().status, len(live.receipts())) == ("failed", 1)


def test_pending_refund_counts_at_once_and_is_not_counted_again_when_it_succeeds(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign, card="4000000000007726")
    assert refund(1000).status == "pending"
    live.flush()
    assert live.total(campaign) == ("15.00", 1, 1)
    live.sandbox.advance(24 * 3600)
    live.flush()
    assert Refund.objects.get().status == "succeeded"
    assert live.total(campaign) == ("15.00", 1, 1)
    assert booked() == [("paid", 2500), ("refund", 1000)]


def test_refund_canceled_in_the_dashboard_comes_back(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign, card="4000000000007726")
    refund(1000)
    live.sandbox.post(f"refunds/{live.sandbox.objects('refund')[0]['id']}/resolve", outcome="canceled")
    live.flush()
    assert live.total(campaign) == ("25.00", 1, 1)
    assert booked() == [("paid", 2500), ("refund", 1000), ("refund-reversal", 1000)]


def test_refund_whose_answer_is_lost_is_sent_once(live: Live, settings) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign)
    asked = request_refund(payment_id=Payment.objects.get().pk, amount_minor=1000, requested_by=None)
    live.sandbox.post("faults", status="drop_response", path="/v1/refunds")
    with pytest.raises(StripeUnavailable):
        send_refund(asked)
    live.flush()
    assert live.total(campaign) == ("15.00", 1, 1)
    send_refund(asked)
    live.flush()
    assert len(live.sandbox.objects("refund")) == 1
    assert Refund.objects.get().stripe_id == live.sandbox.objects("refund")[0]["id"]
    assert live.total(campaign) == ("15.00", 1, 1)


def test_refund_that_stripe_refuses_is_canceled_and_moves_nothing(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.sandbox.post("refunds", charge=live.sandbox.objects("charge")[0]["id"])
    asked = request_refund(payment_id=Payment.objects.get().pk, amount_minor=None, requested_by=None)
    with pytest.raises(StripeRefused) as refused:
        send_refund(asked)
    assert refused.value.code == "charge_already_refunded"
    asked.refresh_from_db()
    assert (asked.status, asked.stripe_id) == ("canceled", None)
    assert booked() == [("paid", 2500)]
