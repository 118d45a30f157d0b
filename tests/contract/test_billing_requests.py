"""The calls behind plans, subscriptions and the one-off product, judged strictly by Stripe's published shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from payments import stripe_gateway
from payments.models import Payment, StripeCall
from payments.money import Money
from pricing.models import Product, Subscription
from pricing.tests.factories import make_plan
from tests.contract.recording_proxy import Recording, recording
from tests.contract.test_project_requests import made, sent
from tests.live import Live

INITIATE = "/api/finances/api/purchase/initiate/"
SUBSCRIPTION = "/api/finances/api/subscription/"
FIRST_CALLS = ["POST /v1/customers 200", "POST /v1/prices 200", "POST /v1/subscriptions 200"]


@pytest.fixture
def calls(live: Live, settings: Any) -> Iterator[Recording]:
    """What passes between the project and Stripe in this test."""
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    with recording(live.sandbox.url) as record:
        settings.STRIPE_API_BASE = record.url
        yield record


def subscribe(live: Live, *, pay: bool = True) -> str:
    """Of a new user; the token."""
    token = live.register("ada@example.org", name="Ada & co")
    plan = make_plan(days=None, price=Money(5600, "eur"), name="Monthly <four>")
    begun = live.post(INITIATE, 201, {"plan_id": plan.pk}, token=token)
    if pay:
        live.sandbox.stripe("POST", f"/v1/payment_intents/{begun['payment_intent_id']}/confirm", payment_method="pm_card_visa")
        live.flush()
    return token


@pytest.mark.parametrize("price", [Money(7500, "eur"), Money(8000, "jpy"), Money(25120, "kwd"), Money(150000, "isk")])
def test_a_package_is_one_call(live: Live, calls: Recording, price: Money) -> None:
    plan = make_plan(price=price, name="Basic & <more>")
    begun = live.post(INITIATE, 201, {"plan_id": plan.pk, "student_info": {"name": "Ada", "email": "ada@example.org"}})
    assert made(calls) == ["POST /v1/payment_intents 200"]
    body = sent(calls, 0)
    assert (body["amount"], body["currency"]) == ([str(price.amount_minor)], [price.currency])
    assert body["metadata[payment]"] == [Payment.objects.get().pk]
    assert begun["client_secret"] not in str(StripeCall.objects.values_list("answer", "params"))


def test_a_package_asked_for_again_is_looked_at(live: Live, calls: Recording) -> None:
    body = {"plan_id": make_plan().pk, "student_info": {"name": "Ada", "email": "ada@example.org"}}
    secrets = {live.post(INITIATE, 201, body, key="a")["client_secret"] for _ in range(2)}
    assert len(secrets) == 1
    assert made(calls) == ["POST /v1/payment_intents 200", "GET /v1/payment_intents/pi 200"]


def test_an_embedded_checkout_is_one_call_and_its_poll_another(live: Live, calls: Recording) -> None:
    Product.objects.get_or_create(sku="hero-me-feelings", defaults={"name": "Board", "amount_minor": 200, "currency": "usd"})
    body = {"metadata": {"device & id": "d1"}, "customer_email": "ada@example.org"}
    secret = live.post("/api/checkout/embedded-session", 200, body)["client_secret"]
    live.get("/api/checkout/session-status", session_id=secret.partition("_secret_")[0])
    assert made(calls) == ["POST /v1/checkout/sessions 200", "GET /v1/checkout/sessions/cs 200"]
    asked = sent(calls, 0)
    assert (asked["ui_mode"], asked["mode"]) == (["embedded_page"], ["payment"])
    assert asked["client_reference_id"] == asked["metadata[payment]"] == [Payment.objects.get().pk]
    assert {"success_url", "cancel_url", "submit_type"}.isdisjoint(asked)


def test_a_subscription_makes_customer_and_price_once(live: Live, calls: Recording) -> None:
    token = subscribe(live, pay=False)
    assert made(calls) == FIRST_CALLS
    assert sent(calls, 2)["payment_behavior"] == ["default_incomplete"]
    plan = Subscription.objects.get().plan
    live.post(INITIATE, 201, {"plan_id": plan.pk}, token=token)
    [looked] = made(calls)[3:]
    assert looked.startswith("GET /v1/subscriptions/")


def test_what_a_subscriber_changes_is_told_stripe_once(live: Live, calls: Recording) -> None:
    token = subscribe(live)
    subscription, before = Subscription.objects.get(), len(calls.calls)
    bigger = make_plan(days=None, hundredths=800, price=Money(10400, "eur"))
    for body in ({"action": "cancel"}, {"action": "resume"}, {"action": "change_plan", "plan_id": bigger.pk}):
        live.post(SUBSCRIPTION, 200, {"subscription_id": subscription.pk, **body}, token=token)
    live.post(f"{SUBSCRIPTION}portal/", 200, {}, token=token)
    assert [call.split("/sub_")[0] for call in made(calls)[before:]] == [
        "POST /v1/subscriptions",
        "POST /v1/subscriptions",
        "GET /v1/subscriptions",  # whether a new month is beginning
        "POST /v1/prices 200",
        "POST /v1/subscriptions",
        "POST /v1/billing_portal/sessions 200",
    ]
    assert sent(calls, before + 4)["proration_behavior"] == ["create_prorations"]


def test_a_lost_subscription_is_looked_for_among_the_customers(live: Live, calls: Recording) -> None:
    live.sandbox.post("faults", method="POST", path="/v1/subscriptions$", status=500, stage="after")
    token = live.register("ada@example.org")
    plan = make_plan(days=None, price=Money(5600, "eur"))
    live.post(INITIATE, 502, {"plan_id": plan.pk}, token=token)
    live.post(INITIATE, 201, {"plan_id": plan.pk}, token=token)
    looked = [call.split(" ")[1].split("/sub_")[0] for call in made(calls)[3:]]
    assert set(looked) == {"/v1/subscriptions"}
    assert len(live.sandbox.objects("subscription")) == 1


def test_the_invoice_that_an_intent_pays_is_two_calls_and_other_money_one(live: Live, calls: Recording) -> None:
    subscribe(live)
    payment, before = Payment.objects.get(), len(calls.calls)
    invoice = stripe_gateway.invoice_paid_by(str(payment.payment_intent))
    assert invoice is not None
    assert (invoice["id"], invoice["payments"]["data"][0]["status"]) == (payment.invoice, "paid")
    assert [call.split("/in_")[0].split(" 2")[0] for call in made(calls)[before:]] == [
        "GET /v1/invoice_payments",
        "GET /v1/invoices/in",
    ]
    live.post(INITIATE, 201, {"plan_id": make_plan().pk, "student_info": {"name": "Ada", "email": "ada@example.org"}})
    assert stripe_gateway.invoice_paid_by(str(Payment.objects.get(invoice=None).payment_intent)) is None
    assert made(calls)[-1] == "GET /v1/invoice_payments 200"


def test_ending_a_subscription_at_once_is_one_call(live: Live, calls: Recording) -> None:
    subscribe(live)
    answer = stripe_gateway.cancel_subscription(str(Subscription.objects.get().stripe_id))
    assert answer["status"] == "canceled"
    assert made(calls)[-1].startswith("DELETE /v1/subscriptions/")
