"""The official SDK against the sandbox: nothing that either says departs from Stripe's published shape.

Each test also says how many calls were judged, so that none passes because nothing was asked.
"""

from __future__ import annotations

import pytest
import requests
import stripe

from tests.contract.conftest import KEY
from tests.contract.recording_proxy import Recording


def paid(client: stripe.StripeClient, method: str = "pm_card_visa", amount: int = 2000) -> stripe.PaymentIntent:
    """A payment intent confirmed at once: one call."""
    return client.v1.payment_intents.create(
        {
            "amount": amount,
            "currency": "usd",
            "confirm": True,
            "payment_method": method,
            "payment_method_types": ["card"],
            "metadata": {"order": "7"},
        }
    )


def opened(client: stripe.StripeClient) -> stripe.checkout.Session:
    """An open session of 25 dollars on Stripe's page: one call."""
    return client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "success_url": "http://127.0.0.1:8000/thanks?session_id={CHECKOUT_SESSION_ID}",
            "cancel_url": "http://127.0.0.1:8000/",
            "client_reference_id": "donation_1",
            "customer_email": "ada@example.org",
            "submit_type": "donate",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {"currency": "usd", "unit_amount": 2500, "product_data": {"name": "Donation"}},
                }
            ],
            "metadata": {"donation": "1"},
            "payment_intent_data": {"metadata": {"donation": "1"}},
        }
    )


def pay_page(sandbox_url: str, session: stripe.checkout.Session) -> None:
    """What the hosted page does when a person pays; not a part of the published API, hence past the proxy."""
    transport = stripe.RequestsClient(timeout=20)
    direct = stripe.StripeClient(KEY, base_addresses={"api": sandbox_url}, http_client=transport)
    method = direct.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    page = f"/v1/payment_pages/{session.id}/confirm"
    direct.raw_request("post", page, payment_method=method.id, expected_amount=session.amount_total)
    transport.close()  # type: ignore[no-untyped-call]


def test_customers_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    customer = client.v1.customers.create({"email": "ada@example.org", "name": "Ada", "metadata": {"k": "v"}})
    client.v1.customers.update(customer.id, {"phone": "+15550100", "metadata": {"k": ""}})
    client.v1.customers.retrieve(customer.id)
    client.v1.customers.list({"limit": 3, "email": "ada@example.org"})
    client.v1.customers.delete(customer.id)
    client.v1.customers.retrieve(customer.id)
    assert (proxy.violations, len(proxy.calls)) == ([], 6)


def test_products_and_prices_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    product = client.v1.products.create({"name": "Ten hours", "description": "Lessons"})
    client.v1.products.update(product.id, {"name": "Twelve hours"})
    client.v1.products.retrieve(product.id)
    client.v1.products.list({"active": True, "limit": 3})
    once = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 5000})
    client.v1.prices.create({"product": product.id, "currency": "eur", "unit_amount": 900, "recurring": {"interval": "month"}})
    client.v1.prices.update(once.id, {"nickname": "Once"})
    client.v1.prices.retrieve(once.id, {"expand": ["product"]})
    client.v1.prices.list({"product": product.id})
    assert (proxy.violations, len(proxy.calls)) == ([], 9)


def test_open_session_has_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    session = opened(client)
    client.v1.checkout.sessions.retrieve(session.id, {"expand": ["line_items"]})
    client.v1.checkout.sessions.update(session.id, {"metadata": {"seen": "yes"}})
    client.v1.checkout.sessions.line_items.list(session.id)
    client.v1.checkout.sessions.list({"limit": 3, "status": "open"})
    expired = client.v1.checkout.sessions.expire(session.id)
    assert expired.status == "expired"
    assert (proxy.violations, len(proxy.calls)) == ([], 6)


def test_embedded_session_has_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    price = client.v1.prices.create({"currency": "usd", "unit_amount": 900, "product_data": {"name": "Book"}})
    client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "ui_mode": "embedded_page",
            "return_url": "http://127.0.0.1:8000/done?session_id={CHECKOUT_SESSION_ID}",
            "line_items": [{"price": price.id, "quantity": 2}],
        }
    )
    assert (proxy.violations, len(proxy.calls)) == ([], 2)


def test_paid_session_and_all_it_expands_to_have_the_published_shape(
    client: stripe.StripeClient, proxy: Recording, sandbox_url: str
) -> None:
    session = opened(client)
    pay_page(sandbox_url, session)
    expand = ["line_items", "customer", "payment_intent.latest_charge.balance_transaction"]
    done = client.v1.checkout.sessions.retrieve(session.id, {"expand": expand})
    assert (done.status, done.payment_status) == ("complete", "paid")
    assert (proxy.violations, len(proxy.calls)) == ([], 2)


def test_payment_intents_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    waiting = client.v1.payment_intents.create(
        {"amount": 1500, "currency": "usd", "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    )
    client.v1.payment_intents.update(waiting.id, {"amount": 1700, "description": "Top-up"})
    client.v1.payment_intents.confirm(waiting.id, {"payment_method": "pm_card_mastercard"})
    client.v1.payment_intents.retrieve(waiting.id, {"expand": ["latest_charge", "payment_method"]})
    abandoned = client.v1.payment_intents.create({"amount": 100, "currency": "usd"})
    client.v1.payment_intents.cancel(abandoned.id, {"cancellation_reason": "abandoned"})
    client.v1.payment_intents.list({"limit": 5})
    assert (proxy.violations, len(proxy.calls)) == ([], 7)


def test_held_payment_has_the_published_shape_before_and_after_capture(client: stripe.StripeClient, proxy: Recording) -> None:
    held = client.v1.payment_intents.create(
        {
            "amount": 1500,
            "currency": "usd",
            "capture_method": "manual",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "payment_method_types": ["card"],
        }
    )
    client.v1.payment_intents.capture(held.id, {"amount_to_capture": 1000})
    assert (proxy.violations, len(proxy.calls)) == ([], 2)


def test_payment_that_asks_for_a_challenge_has_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    intent = paid(client, "pm_card_authenticationRequired")
    assert intent.status == "requires_action"
    assert (proxy.violations, len(proxy.calls)) == ([], 1)


def test_payment_methods_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    customer = client.v1.customers.create({"email": "ada@example.org"})
    method = client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    client.v1.payment_methods.attach(method.id, {"customer": customer.id})
    client.v1.payment_methods.update(method.id, {"billing_details": {"name": "Ada"}})
    client.v1.payment_methods.retrieve(method.id, {"expand": ["customer"]})
    client.v1.payment_methods.list({"customer": customer.id, "type": "card"})
    client.v1.customers.payment_methods.list(customer.id)
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    client.v1.payment_methods.detach(method.id)
    assert (proxy.violations, len(proxy.calls)) == ([], 9)


def test_charges_and_balance_transactions_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    intent = paid(client)
    charge = client.v1.charges.retrieve(str(intent.latest_charge), {"expand": ["balance_transaction"]})
    client.v1.charges.update(charge.id, {"description": "Seen"})
    client.v1.charges.list({"payment_intent": intent.id})
    transactions = client.v1.balance_transactions.list({"source": charge.id, "expand": ["data.source"]})
    client.v1.balance_transactions.retrieve(transactions.data[0].id)
    client.v1.balance.retrieve()
    assert (proxy.violations, len(proxy.calls)) == ([], 7)


def test_payouts_and_what_they_pay_out_have_the_published_shape(
    client: stripe.StripeClient, proxy: Recording, sandbox_url: str
) -> None:
    def control(path: str, **body: object) -> None:
        assert requests.post(f"{sandbox_url}/_sandbox/{path}", json=body, timeout=20).status_code == 200

    control("settings", settlement_currencies=["usd"])
    client.v1.payment_intents.create(
        {
            "amount": 5000,
            "currency": "eur",
            "confirm": True,
            "payment_method": "pm_card_bypassPending",
            "payment_method_types": ["card"],
        }
    )
    control("payouts", currency="usd")
    (payout,) = client.v1.payouts.list({"limit": 1, "created": {"gte": 1}}).data
    control(f"payouts/{payout.id}/resolve", outcome="failed")
    failed = client.v1.payouts.retrieve(payout.id, {"expand": ["balance_transaction", "failure_balance_transaction"]})
    rows = client.v1.balance_transactions.list({"payout": payout.id, "expand": ["data.source"]}).data
    client.v1.events.list({"types": ["payout.created", "payout.failed", "payout.updated"]})
    control("settings", settlement_currencies=[])
    assert (failed.status, {row.type for row in rows}) == ("failed", {"charge", "payout"})
    assert {row.exchange_rate for row in rows} == {1.1, None}
    assert (proxy.violations, len(proxy.calls)) == ([], 5)


def test_refunds_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    intent = paid(client)
    part = client.v1.refunds.create({"payment_intent": intent.id, "amount": 500, "reason": "requested_by_customer"})
    client.v1.refunds.create({"charge": str(intent.latest_charge), "metadata": {"why": "rest"}})
    client.v1.refunds.update(part.id, {"metadata": {"seen": "yes"}})
    client.v1.refunds.retrieve(part.id, {"expand": ["balance_transaction", "charge", "payment_intent"]})
    client.v1.refunds.list({"payment_intent": intent.id})
    assert (proxy.violations, len(proxy.calls)) == ([], 6)


def test_disputes_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    intent = paid(client, "pm_card_createDispute")
    dispute = client.v1.disputes.list({"payment_intent": intent.id}).data[0]
    client.v1.disputes.retrieve(dispute.id, {"expand": ["charge", "payment_intent"]})
    client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "Delivered"}})
    client.v1.disputes.close(dispute.id)
    assert (proxy.violations, len(proxy.calls)) == ([], 5)


def test_events_and_what_they_carry_have_the_published_shape(
    client: stripe.StripeClient, proxy: Recording, sandbox_url: str
) -> None:
    intent = paid(client)
    client.v1.refunds.create({"payment_intent": intent.id})
    paid(client, "pm_card_createDispute")
    pay_page(sandbox_url, opened(client))
    events = client.v1.events.list({"limit": 100}).data
    client.v1.events.list({"types": ["charge.refunded", "refund.created"], "created": {"gte": events[-1].created}})
    client.v1.events.retrieve(events[0].id)
    assert {
        "payment_intent.created",
        "payment_intent.succeeded",
        "charge.succeeded",
        "charge.refunded",
        "refund.created",
        "charge.dispute.created",
        "checkout.session.completed",
    } <= {event.type for event in events}
    assert (proxy.violations, len(proxy.calls)) == ([], 7)


def test_webhook_endpoints_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    endpoint = client.v1.webhook_endpoints.create(
        {"url": "http://127.0.0.1:9/webhooks", "enabled_events": ["charge.refunded"], "description": "Ours"}
    )
    client.v1.webhook_endpoints.update(endpoint.id, {"enabled_events": ["*"], "disabled": True})
    client.v1.webhook_endpoints.retrieve(endpoint.id)
    client.v1.webhook_endpoints.list()
    client.v1.webhook_endpoints.delete(endpoint.id)
    assert (proxy.violations, len(proxy.calls)) == ([], 5)


def test_account_has_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    account = client.v1.accounts.retrieve_current()
    client.v1.accounts.retrieve(account.id)
    assert (proxy.violations, len(proxy.calls)) == ([], 2)


@pytest.mark.parametrize(
    ("method", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ],
)
def test_declined_card_has_the_published_shape(
    client: stripe.StripeClient, proxy: Recording, method: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        paid(client, method)
    assert caught.value.http_status == 402
    assert caught.value.error is not None
    assert caught.value.error.decline_code == decline_code
    assert (proxy.violations, len(proxy.calls)) == ([], 1)


def test_refused_requests_have_the_published_shape(client: stripe.StripeClient, proxy: Recording) -> None:
    with pytest.raises(stripe.InvalidRequestError) as missing:
        client.v1.customers.retrieve("cus_none")
    with pytest.raises(stripe.InvalidRequestError) as small:
        paid(client, amount=1)
    client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "contract"})
    with pytest.raises(stripe.IdempotencyError) as reused:
        client.v1.customers.create({"name": "Bob"}, {"idempotency_key": "contract"})
    with pytest.raises(stripe.AuthenticationError) as stranger:
        client.v1.customers.list(options={"api_key": "no_key"})
    assert [caught.value.http_status for caught in (missing, small, reused, stranger)] == [404, 400, 400, 401]
    assert (missing.value.code, small.value.code) == ("resource_missing", "amount_too_small")
    assert (proxy.violations, len(proxy.calls)) == ([], 5)
