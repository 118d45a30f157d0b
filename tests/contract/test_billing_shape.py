"""Subscriptions, invoices and saved cards of the sandbox, in Stripe's published shape: answers, errors and events."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import stripe

from tests.contract.recording_proxy import Recording


@pytest.fixture
def customer(client: stripe.StripeClient) -> str:
    return client.v1.customers.create({"email": "ada@example.org", "name": "Ada"}).id


@pytest.fixture
def price(client: stripe.StripeClient) -> str:
    recurring: Any = {"interval": "month"}
    product: Any = {"name": "Gold"}
    return client.v1.prices.create(
        {"currency": "usd", "unit_amount": 1_000, "product_data": product, "recurring": recurring}
    ).id  # fmt: skip


def move_clock(sandbox_url: str, seconds: int) -> None:
    answer = requests.post(f"{sandbox_url}/_sandbox/clock/advance", json={"seconds": seconds}, timeout=30)
    assert answer.status_code == 200


def kinds_of(client: stripe.StripeClient) -> set[str]:
    """The latest events; reading them is what has them judged, each with the object that it carries."""
    return {str(event.type) for event in client.v1.events.list({"limit": 100}).data}


def test_subscription_from_its_first_invoice_to_its_end(
    client: stripe.StripeClient, proxy: Recording, sandbox_url: str, customer: str, price: str
) -> None:
    params: Any = {
        "customer": customer,
        "items": [{"price": price, "quantity": 2}],
        "payment_behavior": "default_incomplete",
        "payment_settings": {"save_default_payment_method": "on_subscription"},
        "metadata": {"plan": "gold"},
        "expand": ["latest_invoice.confirmation_secret", "latest_invoice.payments"],
    }
    made = client.v1.subscriptions.create(params)
    assert isinstance(made.latest_invoice, stripe.Invoice)
    assert made.latest_invoice.payments is not None
    intent = str(made.latest_invoice.payments.data[0].payment.payment_intent)
    client.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    client.v1.subscriptions.retrieve(made.id, {"expand": ["customer", "default_payment_method", "items.data.price.product"]})
    client.v1.subscription_items.list({"subscription": made.id})
    item = made["items"]["data"][0]["id"]
    client.v1.subscriptions.update(made.id, {"items": [{"id": item, "quantity": 5}]})
    client.v1.invoice_items.list({"customer": customer, "pending": True, "expand": ["data.customer"]})
    client.v1.subscriptions.update(made.id, {"items": [{"id": item, "quantity": 1}], "proration_behavior": "always_invoice"})
    client.v1.subscriptions.update(made.id, {"cancel_at_period_end": True})
    client.v1.subscriptions.update(made.id, {"cancel_at_period_end": False})
    move_clock(sandbox_url, 32 * 86_400)
    client.v1.subscriptions.list({"customer": customer, "status": "active", "expand": ["data.latest_invoice"]})
    client.v1.invoices.list({"subscription": made.id, "expand": ["data.payments", "data.confirmation_secret"]})
    client.v1.invoice_payments.list({"limit": 3, "expand": ["data.payment.payment_intent", "data.invoice"]})
    client.v1.customers.retrieve(customer, {"expand": ["subscriptions"]})
    client.v1.subscriptions.cancel(made.id, {"cancellation_details": {"feedback": "too_expensive"}})
    assert {
        "customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
        "invoice.created", "invoice.finalized", "invoice.updated", "invoice.paid", "invoice.payment_succeeded",
        "invoice_payment.paid", "invoiceitem.created", "customer.updated",
    } <= kinds_of(client)  # fmt: skip
    assert (proxy.violations, len(proxy.calls)) == ([], 17)


def test_failed_renewal_and_unpaid_first_invoice(
    client: stripe.StripeClient, proxy: Recording, sandbox_url: str, customer: str, price: str
) -> None:
    client.v1.subscriptions.create({"customer": customer, "items": [{"price": price}], "payment_behavior": "default_incomplete"})
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    made = client.v1.subscriptions.create(
        {"customer": customer, "items": [{"price": price}], "default_payment_method": card}
    )  # fmt: skip
    failing = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    client.v1.subscriptions.update(made.id, {"default_payment_method": failing})
    move_clock(sandbox_url, 32 * 86_400)
    late = client.v1.subscriptions.retrieve(made.id, {"expand": ["latest_invoice"]})
    assert late.status == "past_due"
    with pytest.raises(stripe.CardError):
        client.v1.invoices.pay(str(client.v1.invoices.list({"subscription": made.id}).data[0].id))
    move_clock(sandbox_url, 32 * 86_400)
    over = client.v1.subscriptions.list({"status": "ended", "customer": customer}).data
    assert {one.status for one in over} == {"canceled", "incomplete_expired"}
    assert {
        "invoice.payment_failed", "invoice.voided", "payment_intent.canceled", "customer.subscription.deleted",
    } <= kinds_of(client)  # fmt: skip
    assert (proxy.violations, len(proxy.calls)) == ([], 12)


def test_invoices_of_single_items(client: stripe.StripeClient, proxy: Recording, customer: str) -> None:
    client.v1.invoice_items.create({"customer": customer, "amount": 2_000, "currency": "usd", "description": "Lesson"})
    made = client.v1.invoices.create(
        {"customer": customer, "pending_invoice_items_behavior": "include", "metadata": {"k": "v"}}
    )  # fmt: skip
    client.v1.invoices.update(made.id, {"description": "Lessons"})
    client.v1.invoices.finalize_invoice(made.id)
    client.v1.invoices.pay(made.id, {"payment_method": "pm_card_visa", "expand": ["payments"]})
    client.v1.invoices.retrieve(made.id, {"expand": ["customer", "payments.data.payment.payment_intent"]})
    assert (proxy.violations, len(proxy.calls)) == ([], 7)


def test_setup_intents(client: stripe.StripeClient, proxy: Recording, sandbox_url: str, customer: str) -> None:
    params: Any = {"customer": customer, "confirm": True, "payment_method_types": ["card"], "payment_method": "pm_card_visa"}
    kept = client.v1.setup_intents.create({**params, "expand": ["latest_attempt", "payment_method"]})
    assert kept.status == "succeeded"
    asked = client.v1.setup_intents.create({**params, "payment_method": "pm_card_authenticationRequired"})
    requests.post(f"{sandbox_url}/_sandbox/setup_intents/{asked.id}/authenticate", json={"passed": False}, timeout=20)
    client.v1.setup_intents.retrieve(asked.id, {"expand": ["latest_attempt"]})
    with pytest.raises(stripe.CardError):
        client.v1.setup_intents.create({**params, "payment_method": "pm_card_chargeDeclined"})
    waiting = client.v1.setup_intents.create({"customer": customer, "metadata": {"k": "v"}})
    client.v1.setup_intents.update(waiting.id, {"description": "Card for lessons"})
    client.v1.setup_intents.cancel(waiting.id, {"cancellation_reason": "requested_by_customer"})
    client.v1.setup_intents.list({"customer": customer, "limit": 2})
    assert {
        "setup_intent.created", "setup_intent.succeeded", "setup_intent.requires_action", "setup_intent.setup_failed",
        "setup_intent.canceled", "payment_method.attached",
    } <= kinds_of(client)  # fmt: skip
    assert (proxy.violations, len(proxy.calls)) == ([], 10)


def test_payment_without_its_customer(client: stripe.StripeClient, proxy: Recording, sandbox_url: str, customer: str) -> None:
    params: Any = {"customer": customer, "confirm": True, "payment_method_types": ["card"]}
    asked = client.v1.setup_intents.create({**params, "payment_method": "pm_card_authenticationRequired"})
    requests.post(f"{sandbox_url}/_sandbox/setup_intents/{asked.id}/authenticate", json={"passed": True}, timeout=20)
    method = str(client.v1.payment_methods.list({"customer": customer}).data[0].id)
    requests.post(f"{sandbox_url}/_sandbox/payment_methods/{method}/renew_card", timeout=20)
    params |= {"amount": 900, "currency": "usd", "payment_method": method, "off_session": True}
    with pytest.raises(stripe.CardError) as caught:
        client.v1.payment_intents.create(params)
    assert caught.value.code == "authentication_required"
    client.v1.payment_methods.detach(method)
    assert {"payment_method.automatically_updated", "payment_method.detached", "payment_intent.payment_failed"} <= kinds_of(
        client
    )
    assert (proxy.violations, len(proxy.calls)) == ([], 6)


def test_billing_portal_session(client: stripe.StripeClient, proxy: Recording, customer: str) -> None:
    client.v1.billing_portal.sessions.create({"customer": customer, "return_url": "http://127.0.0.1:8000/account"})
    assert (proxy.violations, len(proxy.calls)) == ([], 2)
