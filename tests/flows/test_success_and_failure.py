"""A gift by card, from the form to the total: the ways it may go."""

from __future__ import annotations

import pytest

from payments.models import Payment, Transfer
from tests.live import Live, a_campaign


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
