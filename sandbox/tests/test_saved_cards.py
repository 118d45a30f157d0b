"""Cards kept for later: SetupIntents, payments without their customer, fingerprints, the billing portal."""

from typing import Any

import pytest
import stripe

from sandbox.tests.conftest import Control, payment, plain, types_of

CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}


@pytest.fixture
def customer(client: stripe.StripeClient) -> str:
    return client.v1.customers.create({"email": "ada@example.org", "name": "Ada"}).id


def set_up(client: stripe.StripeClient, customer: str, card: str) -> stripe.SetupIntent:
    params: Any = {"customer": customer, "confirm": True, "payment_method": card, "payment_method_types": ["card"]}
    return client.v1.setup_intents.create(params)


def test_card_is_kept_without_taking_money(client: stripe.StripeClient, customer: str) -> None:
    kept = set_up(client, customer, "pm_card_visa")
    assert (kept.status, kept.usage) == ("succeeded", "off_session")
    assert [m.id for m in client.v1.customers.payment_methods.list(customer).data] == [kept.payment_method]
    assert types_of(client)[1:] == ["setup_intent.created", "payment_method.attached", "setup_intent.succeeded"]
    assert client.v1.charges.list().data == []


def test_declined_card_is_not_kept(client: stripe.StripeClient, customer: str) -> None:
    with pytest.raises(stripe.CardError) as caught:
        set_up(client, customer, "pm_card_chargeDeclined")
    assert caught.value.error is not None
    refused = plain(caught.value.error.setup_intent)
    assert (caught.value.http_status, refused["status"]) == (402, "requires_payment_method")
    assert refused["last_setup_error"]["decline_code"] == "generic_decline"
    assert client.v1.customers.payment_methods.list(customer).data == []
    assert types_of(client)[-1] == "setup_intent.setup_failed"


def test_card_that_failed_its_challenge_is_not_kept(client: stripe.StripeClient, control: Control, customer: str) -> None:
    asked = set_up(client, customer, "pm_card_authenticationRequired")
    assert asked.status == "requires_action"
    control.post(f"setup_intents/{asked.id}/authenticate", passed=False)
    after = client.v1.setup_intents.retrieve(asked.id)
    assert (after.status, plain(after.last_setup_error)["code"]) == (
        "requires_payment_method", "setup_intent_authentication_failure",
    )  # fmt: skip
    assert client.v1.customers.payment_methods.list(customer).data == []


def test_set_up_card_pays_while_its_customer_is_away(client: stripe.StripeClient, control: Control, customer: str) -> None:
    asked = set_up(client, customer, "pm_card_authenticationRequiredOnSetup")
    control.post(f"setup_intents/{asked.id}/authenticate", passed=True)
    method = client.v1.customers.payment_methods.list(customer).data[0].id
    assert payment(client, method, customer=customer, off_session=True).status == "succeeded"


def test_payment_that_needs_its_customer_fails_with_the_intent(
    client: stripe.StripeClient, control: Control, customer: str
) -> None:
    asked = set_up(client, customer, "pm_card_authenticationRequired")
    control.post(f"setup_intents/{asked.id}/authenticate", passed=True)
    method = client.v1.customers.payment_methods.list(customer).data[0].id
    with pytest.raises(stripe.CardError) as caught:
        payment(client, method, customer=customer, off_session=True)
    assert caught.value.error is not None
    failed = plain(caught.value.error.payment_intent)
    assert (caught.value.http_status, caught.value.code) == (402, "authentication_required")
    assert (failed["status"], failed["last_payment_error"]["payment_method"]["id"]) == ("requires_payment_method", method)


def test_absent_customers_payment_needs_no_return_address(client: stripe.StripeClient, customer: str) -> None:
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    params: Any = {"amount": 700, "currency": "usd", "customer": customer, "payment_method": method, "confirm": True,
                   "off_session": True}  # fmt: skip
    assert client.v1.payment_intents.create(params).status == "succeeded"


def test_canceled_setup_cannot_be_confirmed(client: stripe.StripeClient, customer: str) -> None:
    made = client.v1.setup_intents.create({"customer": customer})
    assert client.v1.setup_intents.cancel(made.id, {"cancellation_reason": "abandoned"}).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.setup_intents.confirm(made.id, {"payment_method": "pm_card_visa", "return_url": "http://127.0.0.1/x"})
    assert caught.value.code == "setup_intent_unexpected_state"


def test_same_number_has_the_same_fingerprint(client: stripe.StripeClient, customer: str) -> None:
    typed: Any = {"type": "card", "card": CARD}
    methods = [client.v1.payment_methods.create(typed)]
    methods += [client.v1.payment_methods.attach(f"pm_card_{name}", {"customer": customer}) for name in ("visa", "mastercard")]
    one, again, other = (method.card.fingerprint for method in methods if method.card)
    assert (one == again, one == other) == (True, False)


def test_declining_test_cards_have_fingerprints_of_their_own(client: stripe.StripeClient) -> None:
    names = ("visa_chargeDeclined", "visa_chargeDeclinedInsufficientFunds", "visa_chargeDeclinedLostCard")
    made = [client.v1.payment_methods.create({"type": "card", "card": {"token": f"tok_{name}"}}) for name in names]
    assert len({method.card.fingerprint for method in made if method.card}) == 3


def test_detached_card_is_of_no_more_use(client: stripe.StripeClient, customer: str) -> None:
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    client.v1.payment_methods.detach(method)
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        client.v1.payment_methods.attach(method, {"customer": customer})
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        payment(client, method)


def test_default_card_must_be_the_customers_own(client: stripe.StripeClient, customer: str) -> None:
    stranger = client.v1.customers.create({"name": "Bob"}).id
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": stranger}).id
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method}})
    assert caught.value.param == "invoice_settings[default_payment_method]"


def test_customer_is_made_with_a_default_card(client: stripe.StripeClient) -> None:
    params: Any = {"payment_method": "pm_card_visa", "invoice_settings": {"default_payment_method": "pm_card_visa"}}
    made = client.v1.customers.create(params)
    method = client.v1.customers.payment_methods.list(made.id).data[0].id
    assert plain(made.invoice_settings)["default_payment_method"] == method


def test_network_renews_a_card(client: stripe.StripeClient, control: Control, customer: str) -> None:
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    assert method.card is not None
    renewed = control.post(f"payment_methods/{method.id}/renew_card")
    assert renewed["card"]["exp_year"] == method.card.exp_year + 3
    event = client.v1.events.list({"type": "payment_method.automatically_updated"}).data[0]
    assert plain(event.data.previous_attributes)["card"]["exp_year"] == method.card.exp_year


def test_a_renewed_card_gets_the_date_that_is_asked_for(client: stripe.StripeClient, control: Control, customer: str) -> None:
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    renewed = control.post(f"payment_methods/{method}/renew_card", exp_month=2, exp_year=2041)
    assert (renewed["card"]["exp_month"], renewed["card"]["exp_year"]) == (2, 2041)
    refused = control.post(f"payment_methods/{method}/renew_card", 402, exp_year=2001)
    assert refused["error"]["code"] == "invalid_expiry_year"
    assert types_of(client).count("payment_method.automatically_updated") == 1


def test_an_expired_card_is_declined_until_it_is_renewed(client: stripe.StripeClient, control: Control, customer: str) -> None:
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    before = types_of(client)
    control.post(f"payment_methods/{method}/expire_card")
    assert types_of(client) == before
    with pytest.raises(stripe.CardError) as caught:
        payment(client, method, customer=customer, off_session=True)
    assert (caught.value.code, caught.value.http_status) == ("expired_card", 402)
    control.post(f"payment_methods/{method}/renew_card")
    assert payment(client, method, customer=customer, off_session=True).status == "succeeded"


def test_a_card_kept_by_a_payment_pays_the_next_one_without_its_customer(client: stripe.StripeClient, customer: str) -> None:
    first = payment(client, "pm_card_visa", customer=customer, setup_future_usage="off_session")
    method = str(first.payment_method)
    assert [one.id for one in client.v1.customers.payment_methods.list(customer).data] == [method]
    assert "payment_method.attached" in types_of(client)
    assert payment(client, method, customer=customer, off_session=True).status == "succeeded"


def test_a_card_attached_without_set_up_needs_its_customer(client: stripe.StripeClient, customer: str) -> None:
    for name in ("authenticationRequiredOnSetup", "authenticationRequired"):
        method = client.v1.payment_methods.attach(f"pm_card_{name}", {"customer": customer}).id
        with pytest.raises(stripe.CardError) as caught:
            payment(client, method, customer=customer, off_session=True)
        assert caught.value.code == "authentication_required"


def test_a_saved_card_may_be_declined_later(client: stripe.StripeClient, customer: str) -> None:
    kept = set_up(client, customer, "pm_card_chargeCustomerFail")
    with pytest.raises(stripe.CardError) as caught:
        payment(client, str(kept.payment_method), customer=customer, off_session=True)
    assert (caught.value.code, client.v1.charges.list().data[0].status) == ("card_declined", "failed")


def test_pending_items_are_invoiced_and_paid(client: stripe.StripeClient, customer: str) -> None:
    client.v1.invoice_items.create({"customer": customer, "amount": 2_000, "currency": "usd", "description": "Lesson"})
    invoice = client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    assert (invoice.status, invoice.total) == ("draft", 2_000)
    paid = client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.amount_paid) == ("paid", 2_000)
    rows = client.v1.invoice_payments.list({"invoice": invoice.id}).data
    assert [(row.status, row.amount_paid) for row in rows] == [("paid", 2_000)]
    assert client.v1.invoice_items.list({"customer": customer, "pending": True}).data == []


def test_declined_invoice_stays_open_until_it_is_voided(client: stripe.StripeClient, customer: str) -> None:
    client.v1.invoice_items.create({"customer": customer, "amount": 2_000, "currency": "usd"})
    invoice = client.v1.invoices.create({"customer": customer, "pending_invoice_items_behavior": "include"})
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer}).id
    with pytest.raises(stripe.CardError):
        client.v1.invoices.pay(invoice.id, {"payment_method": method})
    failed = client.v1.invoices.retrieve(invoice.id)
    assert (failed.status, failed.attempted, failed.attempt_count) == ("open", True, 1)
    assert client.v1.invoices.void_invoice(invoice.id).status == "void"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.invoices.pay(invoice.id, {"payment_method": "pm_card_visa"})


def test_customer_ends_resumes_and_changes_the_card_in_the_portal(
    client: stripe.StripeClient, control: Control, customer: str
) -> None:
    product = client.v1.products.create({"name": "Gold"}).id
    price: Any = {"currency": "usd", "unit_amount": 900, "product": product, "recurring": {"interval": "month"}}
    waiting = client.v1.subscriptions.create(
        {"customer": customer, "items": [{"price_data": price}], "payment_behavior": "default_incomplete"}
    )
    portal = client.v1.billing_portal.sessions.create({"customer": customer, "return_url": "http://127.0.0.1:8000/account"})
    page = control.http.get(portal.url, timeout=20).text
    assert all(words in page for words in ("Gold", "$9.00 / month", 'href="http://127.0.0.1:8000/account"'))

    def press(act: str, **more: str) -> int:
        body = {"act": act, "subscription": waiting.id, **more}
        return control.http.post(portal.url, data=body, allow_redirects=False, timeout=20).status_code

    assert press("cancel") == 303
    assert client.v1.subscriptions.retrieve(waiting.id).cancel_at_period_end is True
    assert press("resume") == 303
    assert client.v1.subscriptions.retrieve(waiting.id).cancel_at_period_end is False
    assert press("card", number="4000000000000002", expiry="12/40", cvc="123") == 402
    assert press("card", number="5555555555554444", expiry="12/40", cvc="123") == 303
    default = plain(client.v1.customers.retrieve(customer).invoice_settings)["default_payment_method"]
    method = client.v1.payment_methods.retrieve(default)
    assert method.card is not None
    assert method.card.last4 == "4444"


def test_portal_of_another_customer_ends_nothing(client: stripe.StripeClient, control: Control, customer: str) -> None:
    product = client.v1.products.create({"name": "Gold"}).id
    price: Any = {"currency": "usd", "unit_amount": 900, "product": product, "recurring": {"interval": "month"}}
    waiting = client.v1.subscriptions.create(
        {"customer": customer, "items": [{"price_data": price}], "payment_behavior": "default_incomplete"}
    )
    stranger = client.v1.customers.create({"name": "Bob"}).id
    portal = client.v1.billing_portal.sessions.create({"customer": stranger})
    answer = control.http.post(portal.url, data={"act": "cancel", "subscription": waiting.id}, timeout=20)
    assert (answer.status_code, client.v1.subscriptions.retrieve(waiting.id).cancel_at_period_end) == (404, False)


def test_nothing_can_be_done_with_a_deleted_customer(client: stripe.StripeClient, customer: str) -> None:
    """https://docs.stripe.com/api/customers/delete: what names it afterwards is told that there is none; looked at by its id
    it is shown as deleted."""
    method = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer}).id
    gone: Any = {"id": customer, "object": "customer", "deleted": True}
    assert plain(client.v1.customers.delete(customer)) == gone
    assert types_of(client)[-2:] == ["payment_method.detached", "customer.deleted"]
    event = client.v1.events.list({"type": "customer.deleted"}).data[0]
    assert plain(event.data.object)["id"] == customer
    assert (client.v1.payment_methods.retrieve(method).customer, plain(client.v1.customers.retrieve(customer))) == (None, gone)
    intent: Any = {"amount": 500, "currency": "usd", "customer": customer}
    charge: Any = {**intent, "payment_method": method, "confirm": True, "off_session": True}
    later: list[tuple[int, Any]] = [
        (400, lambda: client.v1.payment_intents.create(intent)),
        (400, lambda: client.v1.payment_intents.create(charge)),
        (400, lambda: set_up(client, customer, "pm_card_visa")),
        (400, lambda: client.v1.payment_methods.attach("pm_card_visa", {"customer": customer})),
        (400, lambda: client.v1.billing_portal.sessions.create({"customer": customer})),
        (404, lambda: client.v1.customers.update(customer, {"name": "Eve"})),
        (404, lambda: client.v1.customers.delete(customer)),
    ]
    for status, call in later:
        with pytest.raises(stripe.InvalidRequestError) as caught:
            call()
        assert (caught.value.http_status, caught.value.code, customer in str(caught.value)) == (status, "resource_missing", True)
    assert client.v1.payment_intents.list().data == []


def test_the_key_of_a_deleted_customer_answers_with_that_one_and_another_makes_a_new_one(client: stripe.StripeClient) -> None:
    made = [client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "org:1"}).id]
    client.v1.customers.delete(made[0])
    made += [client.v1.customers.create({"name": "Ada"}, {"idempotency_key": key}).id for key in ("org:1", "org:2")]
    assert (made[1] == made[0], made[2] == made[0]) == (True, False)
