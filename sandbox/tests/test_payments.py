"""PaymentIntents and payment methods: what each card does."""

import pytest
import stripe

from sandbox.tests.conftest import Control, payment, plain, types_of


def test_payment_succeeds_and_its_fee_is_known_later(client: stripe.StripeClient, control: Control) -> None:
    control.post("settings", balance_delay_s=60)
    intent = payment(client, metadata={"k": "v"})
    charge = client.v1.charges.retrieve(str(intent.latest_charge))
    assert (intent.status, intent.amount_received, plain(charge.metadata)) == ("succeeded", 2000, {"k": "v"})
    assert charge.balance_transaction is None
    control.post("clock/advance", seconds=60)
    later = client.v1.charges.retrieve(charge.id, {"expand": ["balance_transaction"]})
    assert isinstance(later.balance_transaction, stripe.BalanceTransaction)
    assert (later.balance_transaction.fee, later.balance_transaction.net) == (88, 1912)
    event = client.v1.events.list({"type": "charge.updated"}).data[0]
    assert plain(event.data.previous_attributes) == {"balance_transaction": None}


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_declined_card_is_a_402_that_carries_the_intent(
    client: stripe.StripeClient, method: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        payment(client, method)
    error = caught.value.error
    assert error is not None
    assert (caught.value.http_status, error.code, error.decline_code) == (402, code, decline_code)
    intent = plain(error.payment_intent)
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["decline_code"] == decline_code
    assert client.v1.charges.retrieve(str(error.charge)).status == "failed"
    assert types_of(client) == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


def test_challenged_payment_waits_for_its_customer(client: stripe.StripeClient, control: Control) -> None:
    intent = payment(client, "pm_card_authenticationRequired", return_url="http://127.0.0.1:8000/back")
    assert (intent.status, intent.latest_charge) == ("requires_action", None)
    assert intent.next_action is not None
    assert intent.next_action.type == "redirect_to_url"
    control.post(f"payment_intents/{intent.id}/authenticate", passed=True)
    assert client.v1.payment_intents.retrieve(intent.id).status == "succeeded"


def test_challenge_is_a_decline_where_nobody_is_there(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError) as caught:
        payment(client, "pm_card_authenticationRequired", off_session=True)
    assert caught.value.code == "authentication_required"


def test_intent_is_updated_then_confirmed(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd", "metadata": {"a": "1", "b": "2"}})
    client.v1.payment_intents.update(intent.id, {"amount": 1500, "metadata": {"a": "", "c": "3"}})
    done = client.v1.payment_intents.confirm(
        intent.id, {"payment_method": "pm_card_visa", "return_url": "http://127.0.0.1:8000/back"}
    )
    assert (done.status, done.amount_received, plain(done.metadata)) == ("succeeded", 1500, {"b": "2", "c": "3"})


def test_canceled_intent_cannot_be_confirmed(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    canceled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError) as caught:
        client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert caught.value.code == "payment_intent_unexpected_state"


def test_held_payment_is_captured_in_part(client: stripe.StripeClient) -> None:
    held = payment(client, capture_method="manual")
    assert (held.status, held.amount_capturable) == ("requires_capture", 2000)
    done = client.v1.payment_intents.capture(held.id, {"amount_to_capture": 1500})
    charge = client.v1.charges.retrieve(str(done.latest_charge))
    assert (done.status, done.amount_received) == ("succeeded", 1500)
    assert (charge.amount_captured, charge.amount_refunded) == (1500, 500)


def test_card_is_saved_listed_and_detached(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "ada@example.org"})
    saved = client.v1.payment_methods.attach("pm_card_mastercard", {"customer": customer.id})
    assert [m.id for m in client.v1.customers.payment_methods.list(customer.id).data] == [saved.id]
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": saved.id}})
    detached = client.v1.payment_methods.detach(saved.id)
    assert detached.customer is None
    assert client.v1.customers.payment_methods.list(customer.id).data == []
    settings = client.v1.customers.retrieve(customer.id).invoice_settings
    assert settings is not None
    assert settings.default_payment_method is None


def test_another_customers_card_is_refused(client: stripe.StripeClient) -> None:
    owner = client.v1.customers.create({"name": "Ada"})
    thief = client.v1.customers.create({"name": "Bob"})
    saved = client.v1.payment_methods.attach("pm_card_visa", {"customer": owner.id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        payment(client, saved.id, customer=thief.id)
    assert caught.value.param == "payment_method"
    assert payment(client, saved.id, customer=owner.id).status == "succeeded"


def test_intent_saves_the_card_for_later_use(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"})
    intent = payment(client, customer=customer.id, setup_future_usage="off_session")
    assert [m.id for m in client.v1.customers.payment_methods.list(customer.id).data] == [intent.payment_method]
    assert "payment_method.attached" in types_of(client)


def test_deleted_customer_is_shown_as_deleted(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"email": "ada@example.org"})
    client.v1.customers.delete(customer.id)
    assert client.v1.customers.retrieve(customer.id).to_dict() == {
        "id": customer.id, "object": "customer", "deleted": True
    }  # fmt: skip
    assert client.v1.customers.list({"email": "ada@example.org"}).data == []


def test_balance_adds_up_by_currency(client: stripe.StripeClient, control: Control) -> None:
    payment(client, amount=10_000)
    payment(client, amount=5_000, currency="gbp")
    pending = {row.currency: row.amount for row in client.v1.balance.retrieve().pending}
    assert pending == {"usd": 10_000 - 320, "gbp": 5_000 - 175}
    control.post("clock/advance", seconds=3 * 86_400)
    available = {row.currency: row.amount for row in client.v1.balance.retrieve().available}
    assert available == {"usd": 9_680, "gbp": 4_825}
