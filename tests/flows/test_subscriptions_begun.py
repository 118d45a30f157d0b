"""Subscriptions that were begun and never paid: none stands in the way of a new one for ever."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from payments import checkout
from payments.models import Payment, StripeCall
from pricing.models import PlanPrice, PurchaseTransaction, Subscription
from tests.flows.test_subscriptions import HOUR_S, begin, confirm, granted, monthly
from tests.live import Live


@pytest.fixture
def token(live: Live) -> str:
    return live.register("ada@example.org")


def a_day_later() -> None:
    """For our rows; Stripe's clock is the sandbox's."""
    for model in (Subscription, StripeCall, Payment):
        model.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=10))


def ended(live: Live) -> int:
    return live.sweep()["subscriptions_ended"]


def test_a_subscription_that_never_reached_stripe_is_ended_when_its_key_has_expired(
    live: Live, token: str, settings: Any
) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    plan = monthly()
    PlanPrice.objects.create(plan=plan, currency="usd", amount_minor=6000)
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", status=500, stage="before")
    begin(live, plan, token, 502)
    assert begin(live, plan, token, 409, currency="usd")["code"] == "already_subscribed"
    assert (ended(live), Subscription.objects.get().state) == (0, "incomplete")
    a_day_later()
    assert (ended(live), ended(live)) == (1, 0)
    assert (Subscription.objects.get().state, Payment.objects.get().status) == ("incomplete_expired", "canceled")
    assert PurchaseTransaction.objects.get().state == "abandoned"
    assert live.sandbox.objects("subscription") == []
    confirm(live, begin(live, plan, token, currency="usd"))
    assert granted() == [400]


def test_one_whose_payment_was_given_up_before_is_ended_all_the_same(live: Live, token: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", status=500, stage="before")
    begin(live, monthly(), token, 502)
    checkout.give_up(Payment.objects.get())
    a_day_later()
    assert (ended(live), Subscription.objects.get().state) == (1, "incomplete_expired")


def test_a_subscription_that_a_lost_call_made_is_found_and_followed(live: Live, token: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", status="drop_response")
    begin(live, monthly(), token, 502)
    a_day_later()
    [theirs] = live.sandbox.objects("subscription")
    assert (ended(live), Subscription.objects.get().stripe_id, Subscription.objects.get().state) == (
        0,
        theirs["id"],
        "incomplete",
    )
    live.sandbox.advance(24 * HOUR_S)
    assert (ended(live), Subscription.objects.get().state) == (1, "incomplete_expired")
    assert (PurchaseTransaction.objects.get().state, Payment.objects.get().status) == ("abandoned", "canceled")


def test_while_stripe_cannot_be_asked_a_lost_subscription_waits(live: Live, token: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", status=500, stage="before")
    begin(live, monthly(), token, 502)
    a_day_later()
    live.sandbox.post("faults", method="GET", path="/v1/subscriptions", status=500, share=1)
    assert (ended(live), Subscription.objects.get().state) == (0, "incomplete")


def test_who_comes_back_after_a_day_has_another_day(live: Live, token: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    plan = monthly()
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", status=500, stage="before", count=2)
    begin(live, plan, token, 502)
    a_day_later()
    begin(live, plan, token, 502)
    assert (ended(live), StripeCall.objects.filter(operation="subscriptions.create").count()) == (0, 2)
    confirm(live, begin(live, plan, token))
    assert (granted(), len(live.sandbox.objects("subscription"))) == ([400], 1)
