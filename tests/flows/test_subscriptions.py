"""Subscriptions from the click to the last renewal, at the sandbox: every paid invoice is one payment, one purchase and
one lot of hours, whatever becomes of its events."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command

from payments import stripe_gateway
from payments.models import Payment, StripeEvent, Transfer
from payments.money import Money
from payments.reconciliation.comparing import TAKE_IN, Objects
from pricing.models import HourLot, PricingPlan, PurchaseTransaction, RenewalFailure, Subscription
from pricing.tests.factories import make_plan
from tests.live import Live

HOUR_S, DAY_S = 3600, 24 * 3600
MONTH_S = 32 * DAY_S + 2 * HOUR_S
INITIATE = "/api/finances/api/purchase/initiate/"
SUBSCRIPTION = "/api/finances/api/subscription/"
PRICE = Money(5600, "eur")
INVOICE_EVENTS = ["invoice.paid", "invoice_payment.paid"]


@pytest.fixture
def token(live: Live) -> str:
    return live.register("ada@example.org")


def monthly(hundredths: int = 400, price: Money = PRICE) -> PricingPlan:
    return make_plan(hundredths=hundredths, days=None, price=price)


def begin(live: Live, plan: PricingPlan, token: str, status: int = 201, *, key: str = "", **body: Any) -> Any:
    return live.post(INITIATE, status, {"plan_id": plan.pk, **body}, token=token, key=key)


def confirm(live: Live, begun: Any, card: str = "pm_card_visa") -> None:
    live.sandbox.stripe("POST", f"/v1/payment_intents/{begun['payment_intent_id']}/confirm", payment_method=card)
    live.flush()


def subscribed(live: Live, token: str, plan: PricingPlan | None = None) -> Subscription:
    confirm(live, begin(live, plan or monthly(), token))
    return Subscription.objects.get()


def pass_time(live: Live, seconds: int = MONTH_S) -> None:
    live.sandbox.advance(seconds)
    live.flush()


def pay_with(live: Live, subscription: Subscription, card: str) -> None:
    """The subscriber changes the card that renewals are taken from."""
    [customer] = live.sandbox.objects("customer")
    method = live.sandbox.stripe("POST", f"/v1/payment_methods/{card}/attach", customer=customer["id"])
    live.sandbox.stripe("POST", f"/v1/subscriptions/{subscription.stripe_id}", default_payment_method=method["id"])
    live.flush()


def granted() -> list[int]:
    return list(HourLot.objects.order_by("created_at").values_list("granted_hundredths", flat=True))


def counts() -> tuple[int, int, int, int]:
    """Payments, transfers, purchases and lots."""
    return tuple(model.objects.count() for model in (Payment, Transfer, PurchaseTransaction, HourLot))  # type: ignore[return-value]


# -- the first month --------------------------------------------------------------------------------
def test_paying_the_first_invoice_grants_its_hours_until_the_month_ends(live: Live, token: str) -> None:
    begun = begin(live, monthly(), token)
    assert begun["client_secret"].startswith(begun["payment_intent_id"] + "_secret_")
    assert (begun["amount"], begun["currency"], begun["plan_details"]["plan_type"]) == ("56.00", "EUR", "subscription")
    assert granted() == []
    confirm(live, begun)
    subscription, payment, lot = Subscription.objects.get(), Payment.objects.get(), HourLot.objects.get()
    assert (subscription.state, payment.status, PurchaseTransaction.objects.get().state) == ("active", "paid", "paid")
    assert (lot.granted_hundredths, lot.student_id) == (400, subscription.user_id)
    assert lot.expires_at == subscription.current_period_end
    assert Transfer.objects.get().credit_id == "revenue:plans:eur"
    assert set(StripeEvent.objects.values_list("state", flat=True)) <= {"applied", "ignored"}


def test_asking_again_goes_on_with_the_same_subscription(live: Live, token: str) -> None:
    plan = monthly()
    asked = [begin(live, plan, token), begin(live, plan, token), begin(live, plan, token, key="a"), begin(live, plan, token)]
    assert len({one["client_secret"] for one in asked}) == 1
    assert (len(live.sandbox.objects("subscription")), counts()) == (1, (1, 0, 1, 0))
    confirm(live, asked[0])
    assert begin(live, plan, token, 409)["code"] == "already_subscribed"
    assert len(live.sandbox.objects("subscription")) == 1


@pytest.mark.parametrize(
    "fault", [{"status": "drop_response"}, {"status": 500, "stage": "after"}, {"status": 500, "stage": "before"}]
)
def test_an_answer_that_was_lost_never_makes_two_subscriptions(live: Live, token: str, fault: Any, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    plan = monthly()
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", **fault)
    assert begin(live, plan, token, 502)["code"] == "stripe_unavailable"
    confirm(live, begin(live, plan, token))
    assert (len(live.sandbox.objects("subscription")), counts()) == (1, (1, 1, 1, 1))
    assert Subscription.objects.get().state == "active"


def test_a_subscription_whose_answer_was_lost_is_known_by_its_events(live: Live, token: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", status="drop_response")
    begin(live, monthly(), token, 502)
    live.flush()
    [theirs] = live.sandbox.objects("subscription")
    assert Subscription.objects.get().stripe_id == theirs["id"]
    [intent] = live.sandbox.objects("payment_intent")
    live.sandbox.stripe("POST", f"/v1/payment_intents/{intent['id']}/confirm", payment_method="pm_card_visa")
    live.flush()
    assert (counts(), granted()) == ((1, 1, 1, 1), [400])


def test_a_first_payment_not_made_in_time_abandons_the_purchase(live: Live, token: str) -> None:
    plan = monthly()
    begin(live, plan, token)
    pass_time(live, 24 * HOUR_S)
    assert Subscription.objects.get().state == "incomplete_expired"
    assert (PurchaseTransaction.objects.get().state, Payment.objects.get().status) == ("abandoned", "canceled")
    confirm(live, begin(live, plan, token))
    assert sorted(Subscription.objects.values_list("state", flat=True)) == ["active", "incomplete_expired"]
    assert granted() == [400]


def test_an_expiry_that_we_were_not_told_is_seen_on_the_next_try(live: Live, token: str) -> None:
    plan = monthly()
    begin(live, plan, token)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    pass_time(live, 24 * HOUR_S)
    assert begin(live, plan, token, 409)["code"] == "subscription_not_running"
    assert (Subscription.objects.get().state, PurchaseTransaction.objects.get().state) == ("incomplete_expired", "abandoned")
    assert begin(live, plan, token)["payment_intent_id"]


def test_a_declined_first_payment_can_be_tried_with_another_card(live: Live, token: str) -> None:
    begun = begin(live, monthly(), token)
    confirm(live, begun, "pm_card_chargeDeclined")
    assert (Payment.objects.get().status, Subscription.objects.get().state, granted()) == ("failed", "incomplete", [])
    assert RenewalFailure.objects.count() == 0
    confirm(live, begun)
    assert (Payment.objects.get().status, Subscription.objects.get().state, granted()) == ("paid", "active", [400])


# -- renewals ---------------------------------------------------------------------------------------
def test_a_renewal_is_one_more_payment_purchase_and_lot(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    pass_time(live)
    assert counts() == (2, 2, 2, 2)
    first, second = HourLot.objects.order_by("created_at")
    subscription.refresh_from_db()
    assert (second.granted_hundredths, second.expires_at) == (400, subscription.current_period_end)
    assert first.expires_at < second.expires_at  # type: ignore[operator]
    renewal = Payment.objects.latest("created_at")
    assert (renewal.amount_minor, renewal.purpose, renewal.user_id) == (5600, "plan", subscription.user_id)
    assert None not in (renewal.invoice, renewal.payment_intent, renewal.charge)
    live.sweep()
    assert list(HourLot.objects.values_list("remaining_hundredths", flat=True)) == [400, 400]
    assert StripeEvent.objects.filter(state="parked").count() == 0


@pytest.mark.parametrize("misbehaviour", [{"act": "duplicate", "share": 1}, {"act": "reorder", "count": 60, "window": 12}])
def test_deliveries_gone_wrong_change_nothing(live: Live, token: str, misbehaviour: Any) -> None:
    live.sandbox.post("misbehaviour", **misbehaviour)
    subscribed(live, token)
    pass_time(live)
    assert (counts(), granted(), Subscription.objects.get().state) == ((2, 2, 2, 2), [400, 400], "active")


@pytest.mark.parametrize("lost", [["invoice.paid"], ["invoice_payment.paid"], INVOICE_EVENTS])
def test_a_renewal_whose_invoice_events_were_lost_is_found_by_the_sweep_and_never_unmatched(
    live: Live, token: str, settings: Any, lost: list[str]
) -> None:
    subscribed(live, token)
    live.sandbox.post("misbehaviour", act="drop", share=1, types=lost)
    pass_time(live)
    settings.PARKED_AFTER_S = 0
    live.sweep()
    assert (counts(), granted()) == ((2, 2, 2, 2), [400, 400])
    assert set(Payment.objects.values_list("purpose", flat=True)) == {"plan"}
    assert None not in Payment.objects.values_list("payment_intent", flat=True)
    assert StripeEvent.objects.filter(state="parked").count() == 0


def test_renewals_of_which_nothing_arrived_are_found_by_reconcile_and_never_unmatched(live: Live, token: str) -> None:
    subscribed(live, token)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    pass_time(live)
    with pytest.raises(SystemExit, match="1"):  # it found something
        call_command("reconcile", "--since", "2026-01-01", "--until", "2036-01-01", "--apply", stdout=StringIO())
    assert (Payment.objects.count(), Transfer.objects.filter(key__startswith="paid:").count(), granted()) == (2, 2, [400, 400])
    assert set(Payment.objects.values_list("purpose", flat=True)) == {"plan"}


@pytest.mark.parametrize("name", ["intents", "charges"])
def test_an_intent_or_charge_alone_finds_its_invoice_at_stripe(live: Live, token: str, name: str) -> None:
    """As reconcile sees it where Stripe lists the events no more: they are kept for 30 days."""
    subscribed(live, token)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    pass_time(live)
    step = Objects(name)
    page = next(stripe_gateway.pages(name))
    found = step.look(page)  # beside the renewal perhaps the first payment, where its charge is a second older than its event
    assert [one.remedy for one in found].count(TAKE_IN) == 1
    assert step.mend([one.thing for one in found]) == {}
    assert (counts(), step.look(page)) == ((2, 2, 2, 2), [])
    assert set(Payment.objects.values_list("purpose", flat=True)) == {"plan"}


def test_money_of_an_invoice_waits_while_stripe_cannot_be_asked(live: Live, token: str, settings: Any) -> None:
    subscribed(live, token)
    live.sandbox.post("misbehaviour", act="drop", share=1, types=INVOICE_EVENTS)
    pass_time(live)
    settings.PARKED_AFTER_S = settings.STRIPE_MAX_NETWORK_RETRIES = 0
    live.sandbox.post("faults", method="GET", path="/v1/invoice_payments", status=500, share=1)
    live.sweep()
    assert (counts(), StripeEvent.objects.filter(state="parked").count()) == ((1, 1, 1, 1), 2)


# -- renewals that fail -----------------------------------------------------------------------------
def test_a_renewal_that_fails_is_past_due_told_once_a_try_and_made_good_by_another_card(live: Live, token: str) -> None:
    subscription = subscribed(live, token)
    pay_with(live, subscription, "pm_card_chargeCustomerFail")
    live.sandbox.post("misbehaviour", act="duplicate", share=1)
    before = len(mail.outbox)
    pass_time(live)
    subscription.refresh_from_db()
    assert (subscription.state, granted(), len(mail.outbox) - before) == ("past_due", [400], 1)
    assert mail.outbox[-1].to == ["ada@example.org"]
    assert "did not go through" in mail.outbox[-1].subject
    live.sandbox.post("settings", invoice_retry_days=[3, 5, 7])
    pass_time(live, 3 * DAY_S + HOUR_S)
    assert (granted(), len(mail.outbox) - before, RenewalFailure.objects.count()) == ([400], 2, 2)
    pay_with(live, subscription, "pm_card_visa")
    pass_time(live, 5 * DAY_S + HOUR_S)
    subscription.refresh_from_db()
    assert (subscription.state, granted(), len(mail.outbox) - before) == ("active", [400, 400], 2)


def test_when_all_tries_fail_the_subscription_ends_and_a_new_one_may_begin(live: Live, token: str) -> None:
    plan = monthly()
    subscription = subscribed(live, token, plan)
    pay_with(live, subscription, "pm_card_chargeCustomerFail")
    pass_time(live)
    pass_time(live, 16 * DAY_S)
    subscription.refresh_from_db()
    assert (subscription.state, subscription.ended_at is not None, granted()) == ("canceled", True, [400])
    assert begin(live, plan, token)["payment_intent_id"]


# -- refunds --------------------------------------------------------------------------------------------
def test_a_refund_of_a_renewal_takes_back_its_unused_hours_only(live: Live, token: str) -> None:
    subscribed(live, token)
    pass_time(live)
    renewal = Payment.objects.latest("created_at")
    live.sandbox.post("refunds", charge=renewal.charge, amount=1400)
    live.flush()
    left = HourLot.objects.order_by("created_at").values_list("remaining_hundredths", flat=True)
    assert (list(left), PurchaseTransaction.objects.get(payment=renewal).state) == ([400, 300], "partially_refunded")
