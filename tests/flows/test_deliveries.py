"""Webhooks that come twice, shuffled, late, or never: the same rows in the end."""

from __future__ import annotations

import pytest

from donations.models import Donation
from payments.models import StripeEvent, Transfer
from tests.live import Live, a_campaign


def test_every_event_delivered_twice_counts_once(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="duplicate", share=1)
    started = live.give_and_pay(campaign_id=campaign)
    live.sandbox.post("refunds", payment_intent=started["payment_intent"]["id"], amount=500)
    live.flush()
    sent = [delivery["event"] for delivery in live.sandbox.deliveries()]
    assert len(sent) == 2 * len(set(sent))
    assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {200}
    assert live.total(campaign) == ("20.00", 1, 1)
    assert (Transfer.objects.count(), len(live.receipts())) == (2, 1)
    assert StripeEvent.objects.count() == len(set(sent))
    assert set(StripeEvent.objects.values_list("deliveries", flat=True)) == {2}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_events_in_any_order_end_in_the_same_total(live: Live, seed: int) -> None:
    live.sandbox.post("reset", keep_endpoints=True, seed=seed)
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="reorder", share=1, window=100)
    started = live.give(campaign_id=campaign, email="ada@example.org")
    live.pay(started, flush=False)
    charge = live.sandbox.objects("charge")[0]["id"]
    live.sandbox.post("refunds", charge=charge, amount=500)
    live.sandbox.post("disputes", charge=charge, amount=2000)
    live.sandbox.post(f"disputes/{live.sandbox.objects('dispute')[0]['id']}/resolve", outcome="won")
    live.flush()
    assert live.total(campaign) == ("20.00", 1, 1)
    assert Donation.objects.get().state == "partially_refunded"
    kinds = sorted(key.split(":")[0] for key in Transfer.objects.values_list("key", flat=True))
    assert kinds == ["dispute", "dispute", "paid", "refund"]
    assert not StripeEvent.objects.filter(state="parked").exists()


def test_late_events_change_nothing_that_the_success_page_settled(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="delay", share=1, seconds=3 * 24 * 3600)
    started = live.give(campaign_id=campaign, email="ada@example.org")
    live.pay(started)
    assert live.status(started) == "completed"
    live.run_tasks()
    before = (live.campaign(campaign), live.wall(campaign), list(Transfer.objects.values()))
    live.sandbox.advance(3 * 24 * 3600)
    live.flush()
    assert len(live.sandbox.deliveries(status="succeeded")) >= 5
    assert (live.campaign(campaign), live.wall(campaign), list(Transfer.objects.values())) == before
    assert len(live.receipts()) == 1


def test_gift_whose_every_event_is_lost_is_settled_by_the_success_page(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="drop", share=1)
    started = live.give(campaign_id=campaign, email="ada@example.org", donor_name="Ada")
    live.pay(started)
    assert (StripeEvent.objects.count(), live.total(campaign)) == (0, ("0.00", 0, 0))
    assert live.session(started)["payment_status"] == "completed"
    live.run_tasks()
    assert live.total(campaign) == ("25.00", 1, 1)
    assert [gift["display_name"] for gift in live.wall(campaign)] == ["Ada"]
    assert len(live.receipts()) == 1


def test_success_page_asked_many_times_settles_once(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="drop", share=1)
    started = live.give(campaign_id=campaign, email="ada@example.org")
    live.pay(started)
    assert [live.status(started) for _ in range(5)] == ["completed"] * 5
    live.run_tasks()
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


def test_event_that_failed_here_is_applied_when_stripe_sends_it_again(live: Live, monkeypatch) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign, email="ada@example.org")
    with monkeypatch.context() as patch:
        patch.setattr("payments.batch.posting", _out_of_order)
        live.pay(started)
    assert live.total(campaign) == ("0.00", 0, 0)
    assert Transfer.objects.count() == 0
    assert {d["http_status"] for d in live.sandbox.deliveries(status="failed")} == {500}
    assert StripeEvent.objects.filter(state="failed", attempts=1).count() >= 3
    live.sandbox.advance(61)
    live.flush()
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


def test_event_resent_by_hand_is_a_duplicate(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign)
    for event in StripeEvent.objects.values_list("pk", flat=True):
        live.sandbox.post(f"events/{event}/resend")
    live.flush()
    assert live.total(campaign) == ("25.00", 1, 1)
    assert set(StripeEvent.objects.values_list("deliveries", flat=True)) == {2}


def _out_of_order(postings: object) -> None:
    raise RuntimeError("the disk is full")
