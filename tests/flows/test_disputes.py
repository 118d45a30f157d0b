"""A donor's bank asks for the money back."""

from __future__ import annotations

from donations.models import Donation
from payments.models import Dispute, Transfer
from tests.live import Live, a_campaign

WITHDRAWN, INQUIRY = "4000000000000259", "4000000000001976"


def keys() -> list[str]:
    rows = Transfer.objects.order_by("posted_at", "pk").values_list("key", flat=True)
    return [key.split(":")[-1] if key.startswith("dispute:") else key.split(":")[0] for key in rows]


def resolve(live: Live, outcome: str) -> None:
    live.sandbox.post(f"disputes/{live.sandbox.objects('dispute')[0]['id']}/resolve", outcome=outcome)
    live.flush()


def test_disputed_money_leaves_the_total_and_comes_back_when_won(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign, card=WITHDRAWN, donor_name="Ada")
    assert (Donation.objects.get().state, live.wall(campaign)) == ("disputed", [])
    assert live.campaign(campaign)["current_amount"] == "0.00"
    assert keys() == ["paid", "withdrawn"]
    resolve(live, "won")
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Donation.objects.get().state, Dispute.objects.get().status) == ("paid", "won")
    assert keys() == ["paid", "withdrawn", "reinstated"]
    assert [gift["display_name"] for gift in live.wall(campaign)] == ["Ada"]
    assert len(live.receipts()) == 1


def test_lost_dispute_keeps_the_money_away(live: Live) -> None:
    campaign = a_campaign()
    started = live.give_and_pay(campaign_id=campaign, card=WITHDRAWN)
    resolve(live, "lost")
    assert live.campaign(campaign)["current_amount"] == "0.00"
    assert (Dispute.objects.get().status, keys()) == ("lost", ["paid", "withdrawn"])
    assert live.status(started) == "completed"
    proof = live.get(f"/api/campaigns/{campaign}/proof")
    assert (proof["gross"], proof["disputes"], proof["net"], proof["proved"]) == ("25.00", "25.00", "0.00", True)


def test_inquiry_moves_no_money(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign, card=INQUIRY)
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Dispute.objects.get().status, keys()) == ("warning_needs_response", ["paid"])
    assert Donation.objects.get().state == "paid"


def test_dispute_told_before_the_payment_waits_for_it(live: Live) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign, email="ada@example.org")
    paid = ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed", "charge.updated"]
    live.sandbox.post("misbehaviour", act="delay", share=1, types=paid, seconds=600)
    live.pay(started, card=WITHDRAWN)
    assert (Dispute.objects.count(), Transfer.objects.count()) == (0, 0)
    live.sandbox.advance(601)
    live.flush()
    assert keys() == ["paid", "withdrawn"]
    assert live.campaign(campaign)["current_amount"] == "0.00"
    assert len(live.receipts()) == 1


def test_part_of_a_gift_is_disputed_after_a_refund_of_the_rest(live: Live) -> None:
    campaign = a_campaign()
    live.give_and_pay(campaign_id=campaign)
    charge = live.sandbox.objects("charge")[0]["id"]
    live.sandbox.post("refunds", charge=charge, amount=1000)
    live.sandbox.post("disputes", charge=charge, amount=1500)
    live.flush()
    assert live.campaign(campaign)["current_amount"] == "0.00"
    proof = live.get(f"/api/campaigns/{campaign}/proof")
    assert (proof["refunds"], proof["disputes"], proof["net"]) == ("10.00", "15.00", "0.00")
