"""Checkout Sessions: opened, paid, declined, expired."""

import pytest
import stripe

from sandbox.tests.conftest import Control, donation, plain, types_of

SEPA_SUCCEEDS, SEPA_FAILS = "AT611904300234573201", "AT861904300235473202"


def test_open_session_has_no_payment_intent_yet(client: stripe.StripeClient) -> None:
    session = donation(client, client_reference_id="d1", metadata={"gift": "1"}, customer_email="ada@example.org")
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)
    assert (session.amount_total, session.currency, session.client_reference_id) == (2500, "usd", "d1")
    assert (session.expires_at - session.created, plain(session.metadata)["gift"]) == (86_400, "1")


def test_paid_session_is_complete_and_sends_the_customer_back(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    done = control.pay(session, email="ada@example.org", name="Ada")
    assert done["redirect"] == f"http://127.0.0.1:8000/thanks?session_id={session.id}"
    assert (done["session"]["status"], done["session"]["payment_status"]) == ("complete", "paid")
    assert (done["session"]["url"], done["session"]["customer"]) == (None, None)
    assert done["session"]["customer_details"]["email"] == "ada@example.org"


def test_intent_and_charge_carry_what_the_session_gave_them(client: stripe.StripeClient, control: Control) -> None:
    data = {"metadata": {"gift": "1"}, "description": "A gift", "statement_descriptor_suffix": "GIFT"}
    session = donation(client, payment_intent_data=data, metadata={"of": "session"})
    intent_id = control.pay(session)["session"]["payment_intent"]
    intent = client.v1.payment_intents.retrieve(intent_id, {"expand": ["latest_charge.balance_transaction"]})
    charge = intent.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert plain(intent.metadata) == plain(charge.metadata) == {"gift": "1"}
    assert (charge.description, charge.calculated_statement_descriptor) == ("A gift", "SANDBOX* GIFT")
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (103, 2397)


def test_card_payment_emits_its_events_in_order(client: stripe.StripeClient, control: Control) -> None:
    control.pay(donation(client))
    assert types_of(client) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.completed",
        "charge.updated",
    ]


def test_declined_card_leaves_the_session_open_for_another(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    error = control.pay(session, 402, card="4000000000009995")["error"]
    assert (error["code"], error["decline_code"]) == ("card_declined", "insufficient_funds")
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    paid = control.pay(session)
    assert paid["session"]["payment_intent"] == error["payment_intent"]["id"]
    assert types_of(client)[:3] == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


def test_complete_session_cannot_be_paid_again(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    control.pay(session)
    assert control.pay(session, 400)["error"]["code"] == "checkout_session_not_open"
    assert len(client.v1.charges.list().data) == 1


@pytest.mark.parametrize(
    ("iban", "payment_status", "last_event"),
    [
        (SEPA_SUCCEEDS, "paid", "checkout.session.async_payment_succeeded"),
        (SEPA_FAILS, "unpaid", "checkout.session.async_payment_failed"),
    ],
)
def test_delayed_method_settles_when_its_time_comes(
    client: stripe.StripeClient, control: Control, iban: str, payment_status: str, last_event: str
) -> None:
    session = donation(client, currency="eur")
    done = control.pay(session, iban=iban, email="ada@example.org", name="Ada")
    assert (done["session"]["status"], done["session"]["payment_status"]) == ("complete", "unpaid")
    assert done["payment_intent"]["status"] == "processing"
    assert types_of(client)[1:] == ["charge.pending", "payment_intent.processing", "checkout.session.completed"]
    control.post("clock/advance", seconds=3600)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == payment_status
    assert types_of(client)[-1] == last_event


def test_challenge_passed_pays_and_failed_does_not(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    failed = control.pay(session, card="4000002500003155", authenticate=False)
    assert failed["payment_intent"]["last_payment_error"]["code"] == "payment_intent_authentication_failure"
    assert (failed["session"]["status"], client.v1.charges.list().data) == ("open", [])
    waiting = control.pay(session, card="4000002500003155")
    assert waiting["payment_intent"]["status"] == "requires_action"
    control.post(f"payment_intents/{waiting['payment_intent']['id']}/authenticate", passed=True)
    assert client.v1.checkout.sessions.retrieve(session.id).payment_status == "paid"


def test_expired_session_can_be_neither_paid_nor_expired_again(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    assert client.v1.checkout.sessions.expire(session.id).status == "expired"
    assert control.pay(session, 400)["error"]["code"] == "checkout_session_not_open"
    with pytest.raises(stripe.InvalidRequestError, match="status of expired"):
        client.v1.checkout.sessions.expire(session.id)
    assert types_of(client) == ["checkout.session.expired"]


def test_session_expires_by_the_clock(client: stripe.StripeClient, control: Control) -> None:
    expires_at = control.get("healthz")["now"] + 1800
    session = donation(client, expires_at=expires_at + 5)
    control.post("clock/advance", seconds=1700)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
    control.post("clock/advance", seconds=200)
    assert client.v1.checkout.sessions.retrieve(session.id).status == "expired"


@pytest.mark.parametrize("seconds", [60, 90_000])
def test_expiry_outside_half_an_hour_to_a_day_is_refused(client: stripe.StripeClient, control: Control, seconds: int) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        donation(client, expires_at=control.get("healthz")["now"] + seconds)
    assert caught.value.param == "expires_at"


def test_customer_is_made_only_when_asked_for(client: stripe.StripeClient, control: Control) -> None:
    done = control.pay(donation(client, customer_creation="always"), email="ada@example.org", name="Ada")
    customer = client.v1.customers.retrieve(done["session"]["customer"])
    assert (customer.email, customer.name) == ("ada@example.org", "Ada")
    assert done["payment_intent"]["customer"] == customer.id


def test_embedded_session_has_a_secret_and_no_address(client: stripe.StripeClient, control: Control) -> None:
    session = client.v1.checkout.sessions.create(
        {
            "mode": "payment",
            "ui_mode": "embedded_page",
            "return_url": "http://127.0.0.1:8000/back/{CHECKOUT_SESSION_ID}",
            "line_items": [
                {"quantity": 3, "price_data": {"currency": "jpy", "unit_amount": 500, "product_data": {"name": "Book"}}}
            ],
        }
    )
    assert (session.url, session.amount_total) == (None, 1500)
    assert str(session.client_secret).startswith(f"{session.id}_secret_")
    assert control.pay(session)["redirect"] == f"http://127.0.0.1:8000/back/{session.id}"


def test_line_items_are_listed_in_their_order(client: stripe.StripeClient) -> None:
    lines = [
        {"quantity": n, "price_data": {"currency": "usd", "unit_amount": 100, "product_data": {"name": f"Item {n}"}}}
        for n in (1, 2, 3)
    ]
    session = donation(client, line_items=lines)
    page = client.v1.checkout.sessions.line_items.list(session.id, {"limit": 2})
    assert ([item.description for item in page.data], page.has_more) == (["Item 1", "Item 2"], True)
    rest = client.v1.checkout.sessions.line_items.list(session.id, {"starting_after": page.data[-1].id})
    assert ([item.quantity for item in rest.data], rest.has_more) == ([3], False)


def test_payment_link_makes_a_session_that_nobody_opened(client: stripe.StripeClient, control: Control) -> None:
    done = control.post("payment_links/pay", amount=700, client_reference_id="campaign_3")
    session = client.v1.checkout.sessions.retrieve(done["session"]["id"])
    assert str(session.payment_link).startswith("plink_")
    assert (session.payment_status, session.client_reference_id, plain(session.metadata)) == ("paid", "campaign_3", {})


def test_cli_page_calls_pay_an_existing_session(client: stripe.StripeClient, control: Control) -> None:
    session = donation(client)
    path = f"/v1/payment_pages/{session.id}"
    assert control.api("GET", path).json()["session_id"] == session.id
    wrong = control.api("POST", f"{path}/confirm", {"payment_method": "pm_card_visa", "expected_amount": "1"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "expected_amount")
    paid = control.api("POST", f"{path}/confirm", {"payment_method": "pm_card_visa", "expected_amount": "2500"})
    assert (paid.status_code, paid.json()["payment_status"]) == (200, "paid")
