"""A gift by card, from the form to the total: the ways it may go."""

from __future__ import annotations

from campaigns.models import Campaign
from donations.models import Donation, Supporter
from payments.models import Payment, Transfer
from tests.live import Live, a_campaign


def facts_of(started: dict[str, str]) -> tuple[str, str, str]:
    """State of the gift, status of its payment, and why it last failed."""
    donation = Donation.objects.select_related("payment").get(pk=started["donation_id"])
    return donation.state, donation.payment.status, donation.payment.failure_code


def test_gift_arrives_by_webhook(live: Live) -> None:
    campaign = a_campaign(goal_minor=10_000)
    started = live.give(campaign_id=campaign, email="ada@example.org", donor_name="Ada")
    assert live.total(campaign) == ("0.00", 0, 0)
    assert live.status(started) == "pending"
    paid = live.pay(started, card="4242424242424242")
    assert live.total(campaign) == ("25.00", 1, 1)
    assert live.campaign(campaign)["progress_percent"] == "25.0"
    assert live.session(started) == {
        "session_id": started["session_id"],
        "donation_id": started["donation_id"],
        "campaign_id": campaign,
        "amount": "25.00",
        "currency": "USD",
        "payment_status": "completed",
        "receipt_url": live.sandbox.objects("charge")[0]["receipt_url"],
        "customer_email": "ada@example.org",
        "payment_intent_id": paid["payment_intent"]["id"],
    }
    assert paid["redirect"] == f"{live.url}/success?session_id={started['session_id']}"
    assert [gift["display_name"] for gift in live.wall(campaign)] == ["Ada"]


def test_what_the_session_asks_of_stripe_is_what_the_donor_asked(live: Live) -> None:
    campaign = a_campaign(title="Clean water")
    started = live.give(campaign_id=campaign, amount="12.34", email="Ada@Example.org")
    payment = Payment.objects.get()
    [session] = live.sandbox.objects("checkout.session")
    metadata = {"payment": payment.pk, "purpose": "donation", "subject": started["donation_id"]}
    assert (session["amount_total"], session["currency"], session["mode"]) == (1234, "usd", "payment")
    assert (session["client_reference_id"], session["metadata"]) == (payment.pk, metadata)
    assert session["customer_email"].lower() == "ada@example.org"
    assert session["cancel_url"] == f"{live.url}/cancel"
    assert session["success_url"] == f"{live.url}/success?session_id={{CHECKOUT_SESSION_ID}}"
    live.pay(started)
    assert live.sandbox.objects("payment_intent")[0]["metadata"] == metadata


def test_gift_without_a_campaign_goes_to_the_general_fund(live: Live) -> None:
    started = live.give_and_pay(amount=10)
    fund = Campaign.objects.get(is_general_fund=True)
    assert live.total(fund.slug) == ("10.00", 1, 1)
    assert live.session(started)["campaign_id"] == fund.pk


def test_declined_card_leaves_the_session_open_for_another(live: Live) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign)
    error = live.pay(started, 402, card="4000000000000002")["error"]
    assert (error["code"], error["decline_code"]) == ("card_declined", "generic_decline")
    assert facts_of(started) == ("pending", "failed", "generic_decline")
    assert live.status(started) == "failed"
    assert live.total(campaign) == ("0.00", 0, 0)
    assert (Transfer.objects.count(), live.receipts()) == (0, [])
    live.pay(started, card="4242424242424242", email="ada@example.org")
    assert facts_of(started) == ("paid", "paid", "generic_decline")
    assert live.status(started) == "completed"
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


def test_insufficient_funds_move_no_money(live: Live) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign)
    assert live.pay(started, 402, card="4000000000009995")["error"]["decline_code"] == "insufficient_funds"
    assert facts_of(started) == ("pending", "failed", "insufficient_funds")
    assert live.wall(campaign) == []
    assert (Transfer.objects.count(), Supporter.objects.count(), live.receipts()) == (0, 0, [])


def test_three_d_secure_passed(live: Live) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign)
    paid = live.pay(started, card="4000002760003184", email="ada@example.org")
    assert (paid["session"]["status"], live.status(started)) == ("open", "pending")
    assert live.total(campaign) == ("0.00", 0, 0)
    live.sandbox.post(f"payment_intents/{paid['payment_intent']['id']}/authenticate", passed=True)
    live.flush()
    assert (live.status(started), live.total(campaign)) == ("completed", ("25.00", 1, 1))


def test_three_d_secure_failed(live: Live) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign)
    live.pay(started, card="4000002760003184", authenticate=False)
    assert facts_of(started) == ("pending", "failed", "payment_intent_authentication_failure")
    assert (live.status(started), live.total(campaign)) == ("failed", ("0.00", 0, 0))
    assert Transfer.objects.count() == 0


def test_session_that_nobody_pays_expires(live: Live) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign)
    assert live.ask("GET", "/cancel").status_code == 200
    live.flush()
    assert facts_of(started) == ("pending", "open", "")
    live.sandbox.advance(24 * 3600 + 60)
    live.flush()
    assert facts_of(started) == ("abandoned", "expired", "")
    assert live.status(started) == "expired"
    assert (live.total(campaign), live.wall(campaign), Transfer.objects.count()) == (("0.00", 0, 0), [], 0)


def test_expiry_whose_event_is_lost_is_seen_by_whoever_asks(live: Live) -> None:
    started = live.give()
    live.sandbox.post("misbehaviour", act="drop", count=1, types=["checkout.session.expired"])
    live.sandbox.advance(24 * 3600 + 60)
    live.flush()
    assert facts_of(started)[1] == "open"
    assert live.status(started) == "expired"
    assert facts_of(started) == ("abandoned", "expired", "")


def test_success_page_before_the_webhook_settles_and_the_webhook_changes_nothing(live: Live) -> None:
    campaign = a_campaign()
    started = live.give(campaign_id=campaign, email="ada@example.org")
    live.sandbox.post("misbehaviour", act="delay", share=1, seconds=600)
    live.pay(started)
    assert live.sandbox.deliveries(status="succeeded") == []
    assert live.total(campaign) == ("0.00", 0, 0)
    shown = live.session(started)
    assert (shown["payment_status"], shown["amount"]) == ("completed", "25.00")
    assert shown["receipt_url"] == live.sandbox.objects("charge")[0]["receipt_url"]
    assert live.total(campaign) == ("25.00", 1, 1)
    live.sandbox.advance(601)
    live.flush()
    assert live.total(campaign) == ("25.00", 1, 1)
    assert (Transfer.objects.count(), len(live.receipts())) == (1, 1)


def test_two_gifts_of_one_person_and_one_of_another(live: Live) -> None:
    campaign = a_campaign(goal_minor=5_000)
    live.give_and_pay(campaign_id=campaign, amount="10.50", email="ada@example.org")
    live.give_and_pay(campaign_id=campaign, amount="20.25", email="ADA@example.org")
    live.give_and_pay(campaign_id=campaign, amount="30.25", email="grace@example.org")
    assert live.total(campaign) == ("61.00", 3, 2)
    assert live.campaign(campaign)["progress_percent"] == "122.0"
    assert [gift["amount"] for gift in live.wall(campaign)] == ["30.25", "20.25", "10.50"]
    proof = live.get(f"/api/campaigns/{campaign}/proof")
    assert (proof["net"], proof["transfers"], proof["proved"]) == ("61.00", 3, True)


def test_dedicated_gift_shows_its_dedication(live: Live) -> None:
    campaign = a_campaign()
    dedication = {"kind": "in_memory", "name": "Grandma <b>Rosa</b>"}
    live.give_and_pay(campaign_id=campaign, donor_name="Ada", message="Thank you & more", dedication=dedication)
    [gift] = live.wall(campaign)
    assert (gift["dedication"], gift["message"]) == (dedication, "Thank you & more")
    [receipt] = live.receipts()
    assert "in memory of Grandma <b>Rosa</b>" in receipt.body
    assert "in memory of Grandma &lt;b&gt;Rosa&lt;/b&gt;" in receipt.alternatives[0].content


def test_campaign_that_is_not_live_takes_no_gift_and_opens_no_session(live: Live) -> None:
    for state in ("paused", "ended"):
        refused = live.give(409, campaign_id=a_campaign(state=state))
        assert refused["code"] == "campaign_not_live"
    assert live.give(400, campaign_id=a_campaign(state="draft"))["code"] == "unknown_campaign"
    assert live.sandbox.objects("checkout.session") == []
    assert Payment.objects.count() == 0
