"""Money that this system never asked for: by a Payment Link, or in the Stripe account for another reason."""

from __future__ import annotations

from donations.models import Donation
from payments.models import Payment, StripeEvent, Transfer
from tests.live import Live, a_campaign


def test_payment_link_that_names_a_campaign_becomes_an_anonymous_gift(live: Live) -> None:
    campaign = a_campaign()
    metadata = {"purpose": "donation", "subject": campaign}
    live.sandbox.post("payment_links/pay", amount=4200, metadata=metadata, email="ada@example.org", name="Ada")
    live.flush()
    assert live.total(campaign) == ("42.00", 1, 1)
    [gift] = live.wall(campaign)
    assert (gift["display_name"], gift["anonymous"]) == ("Anonymous", True)
    assert [receipt.to for receipt in live.receipts()] == [["ada@example.org"]]
    assert Payment.objects.count() == 1


def test_payment_link_whose_intent_carries_the_metadata_too_is_one_gift(live: Live) -> None:
    campaign = a_campaign()
    metadata = {"purpose": "donation", "subject": campaign}
    live.sandbox.post("payment_links/pay", metadata=metadata, copy_metadata=True, email="ada@example.org")
    live.flush()
    assert live.total(campaign) == ("20.00", 1, 1)
    assert (Payment.objects.count(), Transfer.objects.count(), len(live.receipts())) == (1, 1, 1)


def test_money_that_names_nothing_waits_and_then_stands_as_unmatched(live: Live, settings) -> None:
    live.sandbox.post("payment_links/pay", amount=4200, email="ada@example.org")
    live.flush()
    assert set(StripeEvent.objects.exclude(state="ignored").values_list("state", flat=True)) == {"parked"}
    assert Payment.objects.count() == 0
    live.sweep()
    assert Payment.objects.count() == 0
    settings.PARKED_AFTER_S = 0
    live.sweep()
    payment = Payment.objects.get()
    assert (payment.purpose, payment.status, payment.amount_minor) == ("unmatched", "paid", 4200)
    transfer = Transfer.objects.get()
    assert (transfer.credit_id, transfer.amount_minor) == ("unmatched:usd", 4200)
    assert not StripeEvent.objects.filter(state="parked").exists()
    assert (Donation.objects.count(), live.receipts()) == (0, [])
    assert not any(live.sweep().values())
    assert Transfer.objects.count() == 1


def test_unmatched_money_can_be_refunded_in_the_dashboard(live: Live, settings) -> None:
    live.sandbox.post("payment_links/pay", amount=4200, email="ada@example.org")
    live.flush()
    settings.PARKED_AFTER_S = 0
    live.sweep()
    live.sandbox.post("refunds", charge=live.sandbox.objects("charge")[0]["id"])
    live.flush()
    assert [t.amount_minor for t in Transfer.objects.filter(debit="unmatched:usd")] == [4200]
    assert Payment.objects.get().refunded_minor == 4200


def test_payment_link_in_another_currency_than_its_campaign_is_unmatched(live: Live, settings) -> None:
    campaign = a_campaign(currency="usd")
    metadata = {"purpose": "donation", "subject": campaign}
    live.sandbox.post("payment_links/pay", amount=4200, currency="eur", metadata=metadata, email="ada@example.org")
    live.flush()
    settings.PARKED_AFTER_S = 0
    live.sweep()
    assert live.total(campaign) == ("0.00", 0, 0)
    assert Transfer.objects.get().credit_id == "unmatched:eur"


def test_payment_link_cannot_claim_the_gift_of_another(live: Live, settings) -> None:
    """Whoever pays by a link can write any client_reference_id into its address."""
    campaign = a_campaign()
    started = live.give(campaign_id=campaign, amount=500, email="ada@example.org")
    claimed = Payment.objects.get().pk
    live.sandbox.post("payment_links/pay", amount=100, client_reference_id=claimed, email="eve@example.org")
    live.flush()
    assert live.status(started) == "pending"
    settings.PARKED_AFTER_S = 0
    live.sweep()
    assert live.total(campaign) == ("0.00", 0, 0)
    assert Transfer.objects.get().credit_id == "unmatched:usd"
    live.pay(started)
    assert live.total(campaign) == ("500.00", 1, 1)


def test_declined_and_expired_sessions_of_others_leave_no_money(live: Live, settings) -> None:
    live.sandbox.post("payment_links/pay", 402, amount=4200, card="4000000000000002", email="ada@example.org")
    live.sandbox.advance(24 * 3600 + 60)
    live.flush()
    settings.PARKED_AFTER_S = 0
    live.sweep()
    assert (Payment.objects.count(), Transfer.objects.count()) == (0, 0)
    assert set(StripeEvent.objects.values_list("state", flat=True)) == {"ignored"}
