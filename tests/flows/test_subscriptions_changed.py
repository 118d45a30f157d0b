"""What a subscriber changes: the end, another plan, the card at Stripe; and what stays as it was agreed."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from payments.models import Payment
from payments.money import Money
from pricing.models import HourMovement, PlanPrice, PricingPlan, PurchaseTransaction, Subscription
from pricing.tests.factories import make_plan
from tests.flows.test_subscriptions import HOUR_S, SUBSCRIPTION, begin, confirm, counts, granted, monthly, pass_time, subscribed
from tests.live import Live


@pytest.fixture
def token(live: Live) -> str:
    return live.register("ada@example.org")


def act(live: Live, token: str, subscription: Subscription, action: str, status: int = 200, **body: Any) -> Any:
    return live.post(SUBSCRIPTION, status, {"subscription_id": subscription.pk, "action": action, **body}, token=token)


def test_canceling_ends_it_with_the_paid_month_and_no_further_payment(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    shown = act(live, token, subscription, "cancel")
    assert (shown["state"], shown["cancel_at_period_end"]) == ("active", True)
    pass_time(live)
    [shown] = live.get(SUBSCRIPTION, token=token)
    assert (shown["state"], shown["ended_at"] is not None, granted()) == ("canceled", True, [400])
    assert act(live, token, subscription, "resume", 409)["code"] == "subscription_not_running"


def test_resuming_before_the_end_goes_on(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    act(live, token, subscription, "cancel")
    assert act(live, token, subscription, "resume")["cancel_at_period_end"] is False
    pass_time(live)
    assert (Subscription.objects.get().state, granted()) == ("active", [400, 400])


def test_no_plan_is_changed_while_the_invoice_of_a_new_month_is_a_draft(live: Live, token: str) -> None:
    """It bills the old price; the hours are those that stand in the metadata when it is finalized, an hour later."""
    cheap, dear = monthly(100, Money(500, "eur")), monthly(4000, Money(90_000, "eur"))
    subscription = subscribed(live, token, cheap)
    [theirs] = live.sandbox.objects("subscription")
    period = theirs["items"]["data"][0]
    live.sandbox.advance(period["current_period_end"] - period["current_period_start"] + 300)
    live.flush()
    assert [one["status"] for one in live.sandbox.objects("invoice")] == ["paid", "draft"]
    assert act(live, token, subscription, "change_plan", 409, plan_id=dear.pk)["code"] == "month_turning"
    pass_time(live, 2 * HOUR_S)
    assert sorted(Payment.objects.values_list("amount_minor", flat=True)) == [500, 500]
    assert granted() == [100, 100]
    act(live, token, subscription, "change_plan", plan_id=dear.pk)


def test_another_plan_counts_from_the_next_month_on(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    bigger = monthly(800, Money(10400, "eur"))
    shown = act(live, token, subscription, "change_plan", plan_id=bigger.pk)
    assert (shown["plan_id"], shown["hours_included"], shown["amount"]) == (bigger.pk, "8.00", "104.00")
    paid = {"plan_id": subscription.plan_id, "plan_name": subscription.plan.name, "until": shown["current_period_end"]}
    assert shown["paid_plan"] == paid
    live.flush()
    assert (counts(), granted()) == ((1, 1, 1, 1), [400])
    assert live.get(SUBSCRIPTION, token=token) == [shown]
    pass_time(live)
    assert (granted(), live.get(SUBSCRIPTION, token=token)[0]["paid_plan"]) == ([400, 800], None)
    renewal = max(live.sandbox.objects("invoice"), key=lambda invoice: invoice["created"])
    prorated = sum(line["amount"] for line in renewal["lines"]["data"]) - 10400
    assert 0 < prorated <= 10400 - 5600
    assert sorted(Payment.objects.values_list("amount_minor", flat=True)) == [5600, 10400 + prorated]
    assert PurchaseTransaction.objects.latest("created_at").plan == bigger


def test_a_month_that_credit_pays_in_full_grants_its_hours_once(live: Live, token: str) -> None:
    """Staff swap the plan in the dashboard, where Stripe prorates: the credit covers the whole next invoice."""
    subscription = subscribed(live, token, monthly(800, Money(90000, "eur")))
    cheap = monthly(400, Money(500, "eur"))
    theirs = live.sandbox.stripe("POST", "/v1/prices", currency="eur", unit_amount=500, **{
        "recurring[interval]": "month", "product_data[name]": "Cheap"})  # fmt: skip
    changes = {
        "items[0][id]": subscription.stripe_item,
        "items[0][price]": theirs["id"],
        "proration_behavior": "create_prorations",
        "metadata[subject]": f"{subscription.pk}:{cheap.pk}",
    }
    live.sandbox.stripe("POST", f"/v1/subscriptions/{subscription.stripe_id}", **changes)
    live.sandbox.post("misbehaviour", act="duplicate", share=1)
    pass_time(live)
    assert (granted(), counts()) == ([800, 400], (1, 1, 1, 2))
    assert HourMovement.objects.filter(key__startswith="grant:in_").count() == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"action": "change_plan"}, 400, "invalid"),
        ({"action": "pause"}, 400, "invalid_choice"),
        ({"action": "cancel", "subscription_id": "subscription_of_nobody"}, 404, "not_found"),
        ({"action": "cancel", "why": "x"}, 400, "unknown_field"),
        ({"action": "change_plan", "plan_id": 2_000_000}, 400, "unknown_plan"),
    ],
)
def test_odd_changes_are_refused(live: Live, token: str, body: Any, status: int, code: str) -> None:
    subscription = subscribed(live, token)
    answer = live.post(SUBSCRIPTION, status, {"subscription_id": subscription.pk, **body}, token=token)
    assert (answer["code"], Subscription.objects.get().cancel_at_period_end) == (code, False)


def test_what_was_agreed_stays_agreed_when_staff_change_the_plan(live: Live, token: str) -> None:
    subscribed(live, token)
    PricingPlan.objects.filter(plan_type="subscription").update(hours_hundredths=100)
    PlanPrice.objects.update(amount_minor=9900)
    pass_time(live)
    [shown] = live.get(SUBSCRIPTION, token=token)
    assert (shown["hours_included"], shown["amount"]) == ("4.00", "56.00")
    assert (granted(), list(Payment.objects.values_list("amount_minor", flat=True))) == ([400, 400], [5600, 5600])


def test_the_plan_one_has_is_no_plan_to_change_to(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    PlanPrice.objects.update(amount_minor=9900)
    answer = act(live, token, subscription, "change_plan", 409, plan_id=subscription.plan_id)
    assert (answer["code"], len(live.sandbox.objects("price"))) == ("already_subscribed", 1)


@pytest.mark.parametrize("action", ["cancel", "resume", "change_plan"])
def test_nothing_is_changed_before_the_first_payment(live: Live, token: str, action: str) -> None:
    begin(live, monthly(), token)
    other = monthly(800, Money(10400, "eur"))
    answer = act(live, token, Subscription.objects.get(), action, 409, plan_id=other.pk)
    assert answer["code"] == "subscription_not_running"
    [theirs] = live.sandbox.objects("subscription")
    assert (theirs["status"], theirs["cancel_at_period_end"]) == ("incomplete", False)


def test_a_plan_that_is_not_sold_in_ones_currency_is_no_plan_to_change_to(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    dollars = monthly(800, Money(11200, "usd"))
    answer = act(live, token, subscription, "change_plan", 400, plan_id=dollars.pk)
    assert (answer["code"], Subscription.objects.get().plan_id) == ("currency_not_offered", subscription.plan_id)


def test_a_plan_that_one_has_in_another_subscription_is_no_plan_to_change_to(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    other = monthly(800, Money(10400, "eur"))
    confirm(live, begin(live, other, token))
    answer = act(live, token, subscription, "change_plan", 409, plan_id=other.pk)
    assert (answer["code"], Subscription.objects.filter(plan=other).count()) == ("already_subscribed", 1)


def test_a_package_is_no_plan_to_change_to(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    assert act(live, token, subscription, "change_plan", 400, plan_id=make_plan().pk)["code"] == "not_a_subscription"


def test_nobody_else_sees_or_ends_a_subscription(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    other = live.register("eve@example.org")
    assert live.get(SUBSCRIPTION, token=other) == []
    assert act(live, other, subscription, "cancel", 404)["code"] == "not_found"
    assert live.ask("GET", SUBSCRIPTION).status_code == 401
    assert Subscription.objects.get().cancel_at_period_end is False


def test_the_portal_is_stripes_page_of_ones_own_customer(live: Live, token: str) -> None:
    subscribed(live, token)
    assert live.post(f"{SUBSCRIPTION}portal/", 200, {}, token=token)["url"].startswith(live.sandbox.url)
    assert len(live.sandbox.objects("customer")) == 1
    assert User.objects.get().stripe_customer == live.sandbox.objects("customer")[0]["id"]
