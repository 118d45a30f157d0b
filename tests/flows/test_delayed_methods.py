"""SEPA debits: the donor has done everything, the money comes or fails days later."""

from __future__ import annotations

from donations.models import Donation
from payments.models import Transfer
from tests.live import Live, a_campaign

SUCCEEDS, FAILS = "AT611904300234573201", "AT861904300235473202"


def test_sepa_debit_counts_only_when_the_bank_has_paid(live: Live) -> None:
    campaign = a_campaign(currency="eur")
    started = live.give(campaign_id=campaign, email="ada@example.org")
    paid = live.pay(started, iban=SUCCEEDS)
    assert (paid["session"]["status"], paid["session"]["payment_status"]) == ("complete", "unpaid")
    assert live.status(started) == "processing"
    assert (live.total(campaign), live.wall(campaign), live.receipts()) == (("0.00", 0, 0), [], [])
    live.sandbox.advance(3601)
    live.flush()
    assert (live.status(started), live.total(campaign)) == ("completed", ("25.00", 1, 1))
    assert len(live.receipts()) == 1
    assert Transfer.objects.count() == 1


def test_sepa_debit_that_fails_leaves_nothing(live: Live) -> None:
    campaign = a_campaign(currency="eur")
    started = live.give(campaign_id=campaign, email="ada@example.org")
    live.pay(started, iban=FAILS)
    assert live.status(started) == "processing"
    live.sandbox.advance(3601)
    live.flush()
    assert live.status(started) == "failed"
    assert Donation.objects.get().state == "pending"
    assert (live.total(campaign), live.receipts(), Transfer.objects.count()) == (("0.00", 0, 0), [], 0)


def test_sepa_debit_whose_success_is_never_told_is_settled_by_the_success_page(live: Live) -> None:
    campaign = a_campaign(currency="eur")
    started = live.give(campaign_id=campaign, email="ada@example.org")
    live.pay(started, iban=SUCCEEDS)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.sandbox.advance(3601)
    live.flush()
    assert live.total(campaign) == ("0.00", 0, 0)
    assert live.status(started) == "completed"
    assert live.total(campaign) == ("25.00", 1, 1)


def test_sepa_debit_whose_failure_is_never_told_is_settled_by_the_success_page(live: Live) -> None:
    started = live.give(campaign_id=a_campaign(currency="eur"))
    live.pay(started, iban=FAILS, email="ada@example.org")
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.sandbox.advance(3601)
    live.flush()
    assert live.status(started) == "failed"
    assert Transfer.objects.count() == 0
