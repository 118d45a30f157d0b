"""Buying hours and the one-off product, by guests and students: from the click to the hours, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import User
from payments.models import Payment, StripeCall, Transfer
from payments.money import Money
from pricing.models import HourLot, PlanPrice, PricingPlan, Product, PurchaseTransaction, Subscription
from pricing.tests.factories import make_plan
from tests.live import Live, bearer, mailed_token

INITIATE = "/api/finances/api/purchase/initiate/"
BALANCE = "/api/finances/api/student-balance/"
EMBEDDED = "/api/checkout/embedded-session"
GUEST = {"name": "Ada", "email": "Ada@example.org"}


def buy(live: Live, plan: PricingPlan, status: int = 201, *, token: str = "", key: str = "", **body: Any) -> Any:
    if not token:
        body.setdefault("student_info", GUEST)
    return live.post(INITIATE, status, {"plan_id": plan.pk, **body}, token=token, key=key)


def confirm(live: Live, begun: Any, card: str = "pm_card_visa", *, flush: bool = True) -> None:
    """What stripe.js does in the page."""
    how = {"payment_method": card, "return_url": live.url}
    live.sandbox.stripe("POST", f"/v1/payment_intents/{begun['payment_intent_id']}/confirm", **how)
    if flush:
        live.flush()


def nothing_was_made(live: Live) -> bool:
    rows = (Payment, PurchaseTransaction, StripeCall, Subscription)
    return not any(model.objects.exists() for model in rows) and live.sandbox.objects("payment_intent") == []


# -- packages ---------------------------------------------------------------------------------------
def test_a_guest_buys_hours_that_wait_until_the_address_is_proved(live: Live) -> None:
    begun = buy(live, make_plan())
    assert (begun["success"], begun["amount"], begun["currency"]) == (True, "75.00", "EUR")
    assert begun["client_secret"].startswith(begun["payment_intent_id"] + "_secret_")
    assert begun["plan_details"]["hours_included"] == "5.00"
    confirm(live, begun)
    lot = HourLot.objects.get()
    assert (lot.student, lot.email, lot.granted_hundredths) == (None, "ada@example.org", 500)
    unproved = live.register("ada@example.org", prove=False)
    assert live.get(BALANCE, token=unproved)["remaining"] == "0.00"
    live.post("/api/auth/verify-email", 200, {"token": mailed_token("ada@example.org")})
    assert live.get(BALANCE, token=unproved)["remaining"] == "5.00"
    [shown] = live.get("/api/finances/api/purchases/", token=unproved)["results"]
    assert (shown["id"], shown["state"], shown["hours"]) == (begun["transaction_id"], "paid", "5.00")


def test_a_guest_under_a_students_proved_address_buys_for_that_student_and_sees_nothing(live: Live) -> None:
    token = live.register("ada@example.org")
    begun = buy(live, make_plan())
    assert set(begun) == {
        "success", "client_secret", "payment_intent_id", "transaction_id", "amount", "currency", "plan_details",
    }  # fmt: skip
    assert live.get(BALANCE, token=token)["remaining"] == "0.00"
    confirm(live, begun)
    assert live.get(BALANCE, token=token)["remaining"] == "5.00"
    other = live.register("eve@example.org")
    assert live.get(BALANCE, token=other)["remaining"] == "0.00"


def test_hours_granted_while_the_address_was_being_proved_are_handed_over_by_the_sweep(live: Live) -> None:
    confirm(live, buy(live, make_plan()))
    token = live.register("ada@example.org")
    HourLot.objects.update(student=None)  # as settlement wrote it, not seeing the proof
    assert live.sweep()["hours_handed_over"] == 1
    assert live.get(BALANCE, token=token)["remaining"] == "5.00"
    assert live.sweep()["hours_handed_over"] == 0


def test_a_student_buys_under_the_account_whatever_the_body_says(live: Live) -> None:
    token = live.register("ada@example.org")
    confirm(live, buy(live, make_plan(), token=token, student_info={"name": "Eve", "email": "eve@example.org"}))
    purchase = PurchaseTransaction.objects.get()
    assert (purchase.user, purchase.email) == (User.objects.get(), "ada@example.org")
    assert live.get(BALANCE, token=token)["purchased"] == "5.00"


@pytest.mark.parametrize(
    ("price", "shown"), [(Money(8000, "jpy"), "8000"), (Money(25120, "kwd"), "25.120"), (Money(150000, "isk"), "1500")]
)
def test_amounts_are_exact_in_every_currency(live: Live, price: Money, shown: str) -> None:
    begun = buy(live, make_plan(price=price))
    confirm(live, begun)
    [intent] = live.sandbox.objects("payment_intent")
    assert (intent["amount"], intent["currency"]) == (price.amount_minor, price.currency)
    assert (begun["amount"], begun["currency"]) == (shown, price.currency.upper())
    assert Transfer.objects.get().amount_minor == price.amount_minor


def test_a_plan_is_paid_in_the_currency_asked_for(live: Live) -> None:
    plan = make_plan()
    PlanPrice.objects.create(plan=plan, currency="usd", amount_minor=8100)
    assert buy(live, plan, currency="USD")["amount"] == "81.00"
    answer = buy(live, plan, 400, currency="gbp")
    assert (answer["code"], list(answer["fields"])) == ("currency_not_offered", ["currency"])
    assert "EUR, USD" in answer["error"]


def _inactive() -> PricingPlan:
    return make_plan(is_active=False)


def _without_price() -> PricingPlan:
    plan = make_plan()
    plan.prices.all().delete()
    return plan


@pytest.mark.parametrize(
    ("make", "body", "status", "code"),
    [
        (make_plan, {"student_info": None}, 400, "null"),
        (make_plan, {"student_info": {"name": "Ada"}}, 400, "required"),
        (make_plan, {"student_info": {"name": "Ada", "email": "ada@"}}, 400, "invalid"),
        (make_plan, {"student_info": {"name": "", "email": "ada@example.org"}}, 400, "blank"),
        (make_plan, {"student_info": {"name": "A\x00", "email": "ada@example.org"}}, 400, "null_characters_not_allowed"),
        (make_plan, {"currency": "xxx"}, 400, "unknown_currency"),
        (make_plan, {"currency": "euro"}, 400, "max_length"),
        (make_plan, {"plan_id": 0}, 400, "min_value"),
        (make_plan, {"plan_id": 2_000_000}, 400, "unknown_plan"),
        (make_plan, {"coupon": "x"}, 400, "unknown_field"),
        (_inactive, {}, 409, "plan_not_on_sale"),
        (_without_price, {}, 409, "plan_not_on_sale"),
    ],
)
def test_what_cannot_be_bought_is_refused_with_its_code(live: Live, make: Any, body: Any, status: int, code: str) -> None:
    answer = buy(live, make(), status, **body)
    assert (answer["success"], answer["code"]) == (False, code)
    assert nothing_was_made(live)


def test_a_guest_must_say_who_they_are(live: Live) -> None:
    answer = live.post(INITIATE, 400, {"plan_id": make_plan().pk})
    assert (answer["code"], list(answer["fields"])) == ("required", ["student_info"])
    assert nothing_was_made(live)


def test_a_subscription_needs_an_account(live: Live) -> None:
    assert buy(live, make_plan(days=None), 401)["code"] == "account_needed"
    assert nothing_was_made(live)


# -- once -------------------------------------------------------------------------------------------
def test_the_same_key_and_body_is_one_purchase(live: Live) -> None:
    plan = make_plan()
    first, again = buy(live, plan, key="a"), buy(live, plan, key="a")
    assert again == first
    assert len(live.sandbox.objects("payment_intent")) == PurchaseTransaction.objects.count() == 1
    other = make_plan(price=Money(100, "eur"))
    assert buy(live, other, 422, key="a")["code"] == "idempotency_key_reused"
    assert buy(live, plan, key="b")["transaction_id"] != first["transaction_id"]


def test_a_retry_gets_its_first_answer_whatever_has_become_of_plan_and_buyer(live: Live) -> None:
    plan, token = make_plan(), live.register("ada@example.org", name="Ada")
    first = buy(live, plan, token=token, key="a")
    live.ask("PATCH", "/api/auth/me", json={"name": "Ada Lovelace"}, headers=bearer(token))
    PricingPlan.objects.filter(pk=plan.pk).update(name="Another name", hours_hundredths=900, validity_days=1, is_active=False)
    plan.prices.update(amount_minor=9900)
    assert buy(live, plan, token=token, key="a") == first
    assert (first["amount"], first["plan_details"]["hours_included"]) == ("75.00", "5.00")
    assert buy(live, plan, 409, token=token, key="b")["code"] == "plan_not_on_sale"
    assert len(live.sandbox.objects("payment_intent")) == PurchaseTransaction.objects.count() == 1


def test_a_key_is_used_for_one_currency_and_one_guest(live: Live) -> None:
    plan = make_plan()
    PlanPrice.objects.create(plan=plan, currency="usd", amount_minor=7500)
    buy(live, plan, key="a")
    assert buy(live, plan, 422, key="a", currency="usd")["code"] == "idempotency_key_reused"
    eve = {"name": "Ada", "email": "eve@example.org"}
    assert buy(live, plan, 422, key="a", student_info=eve)["code"] == "idempotency_key_reused"
    assert PurchaseTransaction.objects.count() == 1


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"status": 500, "stage": "before"}, 502, "stripe_unavailable"),
        ({"status": "drop_response"}, 502, "stripe_unavailable"),
        ({"status": 429, "stage": "before"}, 429, "stripe_busy"),
        ({"status": "hang", "seconds": 2}, 504, "stripe_timeout"),
    ],
)
def test_a_sick_stripe_is_told_and_the_same_key_goes_on(live: Live, settings: Any, fault: Any, status: int, code: str) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES, settings.STRIPE_READ_TIMEOUT_S = 0, 1
    plan = make_plan()
    live.sandbox.post("faults", method="POST", path="/v1/payment_intents$", **fault)
    assert buy(live, plan, status, key="a")["code"] == code
    confirm(live, buy(live, plan, key="a"))
    assert len(live.sandbox.objects("payment_intent")) == PurchaseTransaction.objects.count() == HourLot.objects.count() == 1


def test_what_stripe_refuses_is_told_and_abandoned(live: Live) -> None:
    answer = buy(live, make_plan(price=Money(10, "eur")), 400)
    assert (answer["code"], list(answer["fields"])) == ("amount_too_small", ["amount"])
    assert PurchaseTransaction.objects.get().state == "abandoned"


@pytest.mark.parametrize("misbehaviour", [{"act": "duplicate", "share": 1}, {"act": "reorder", "count": 20, "window": 5}])
def test_webhooks_in_any_order_and_number_grant_once(live: Live, misbehaviour: Any) -> None:
    live.sandbox.post("misbehaviour", **misbehaviour)
    confirm(live, buy(live, make_plan()))
    assert (Transfer.objects.count(), list(HourLot.objects.values_list("granted_hundredths", flat=True))) == (1, [500])


def test_a_declined_card_grants_nothing_and_another_one_does(live: Live) -> None:
    begun = buy(live, make_plan())
    confirm(live, begun, "pm_card_chargeDeclined")
    assert (Payment.objects.get().status, HourLot.objects.count()) == ("failed", 0)
    confirm(live, begun)
    assert (PurchaseTransaction.objects.get().state, HourLot.objects.count()) == ("paid", 1)


# -- the one-off product ----------------------------------------------------------------------------
def sold(live: Live, body: Any = None, status: int = 200, **how: Any) -> Any:
    answer = live.post(EMBEDDED, status, {} if body is None else body, **how)
    assert status != 200 or set(answer) == {"client_secret"}
    return answer


def session_of(answer: Any) -> str:
    return str(answer["client_secret"].partition("_secret_")[0])


def state(live: Live, session: str, status: int = 200) -> Any:
    return live.get("/api/checkout/session-status", status, session_id=session)


@pytest.fixture
def board() -> Product:
    """As a fresh installation has it."""
    fields = {"name": "Hero Me Feelings - Personalized AAC Board", "amount_minor": 200, "currency": "usd"}
    return Product.objects.get_or_create(sku="hero-me-feelings", defaults=fields)[0]


def test_an_empty_body_sells_the_default_product(live: Live, board: Product) -> None:
    session = session_of(sold(live))
    [theirs] = live.sandbox.objects("checkout.session")
    assert (theirs["id"], theirs["ui_mode"], theirs["amount_total"], theirs["currency"]) == (session, "embedded_page", 200, "usd")
    assert theirs["return_url"].endswith("/hero-me?session_id={CHECKOUT_SESSION_ID}")
    assert state(live, session) == {"status": "open"}
    live.pay({"session_id": session}, email="ada@example.org")
    assert state(live, session) == {"status": "complete"}
    purchase = PurchaseTransaction.objects.get()
    assert (purchase.state, purchase.email, HourLot.objects.count()) == ("paid", "ada@example.org", 0)
    assert Transfer.objects.get().credit_id == "revenue:products:usd"


def test_a_retry_of_a_sale_gets_its_first_answer_whatever_has_become_of_the_product(live: Live, board: Product) -> None:
    first = sold(live, key="a")
    Product.objects.update(amount_minor=900, is_active=False)
    assert sold(live, key="a") == first
    assert sold(live, {}, 409, key="b")["code"] == "product_not_on_sale"
    assert [one["amount_total"] for one in live.sandbox.objects("checkout.session")] == [200]


def test_a_post_without_any_body_sells_too(live: Live, board: Product) -> None:
    assert live.ask("POST", EMBEDDED).status_code == 200
    assert live.ask("POST", EMBEDDED + "/", data="", headers={"Content-Type": "application/json"}).status_code == 200


@pytest.mark.parametrize("body", ["null", "[]", "false", '""', "0"])
def test_a_body_that_is_no_object_sells_nothing(live: Live, board: Product, body: str) -> None:
    answer = live.ask("POST", EMBEDDED, data=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["success"]) == (400, False)
    assert (Payment.objects.count(), live.sandbox.objects("checkout.session")) == (0, [])


def test_polling_the_status_settles_before_any_webhook(live: Live, board: Product) -> None:
    live.sandbox.post("misbehaviour", act="drop", share=1)
    session = session_of(sold(live, {"customer_email": "ada@example.org", "metadata": {"device_id": "d1"}}))
    live.pay({"session_id": session})
    assert state(live, session) == {"status": "complete"}
    purchase = PurchaseTransaction.objects.get()
    assert (purchase.state, purchase.metadata, Transfer.objects.count()) == ("paid", {"device_id": "d1"}, 1)
    [theirs] = live.sandbox.objects("checkout.session")
    assert theirs["metadata"]["device_id"] == "d1"


def test_an_expired_session_is_expired_and_its_purchase_abandoned(live: Live, board: Product) -> None:
    session = session_of(sold(live))
    live.sandbox.advance(24 * 3600 + 60)
    live.flush()
    assert (state(live, session), PurchaseTransaction.objects.get().state) == ({"status": "expired"}, "abandoned")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"product": "no-such"}, 400, "unknown_product"),
        ({"product": "gone"}, 409, "product_not_on_sale"),
        ({"customer_email": "ada@"}, 400, "invalid"),
        ({"metadata": {str(n): "x" for n in range(21)}}, 400, "too_many"),
        ({"metadata": {"payment": "pay_1"}}, 400, "reserved"),
        ({"metadata": {"a[b]": "x"}}, 400, "bad_name"),
        ({"metadata": {"k": "x" * 501}}, 400, "max_length"),
        ({"price": 1}, 400, "unknown_field"),
    ],
)
def test_what_cannot_be_sold_is_refused_with_its_code(live: Live, body: Any, status: int, code: str) -> None:
    Product.objects.create(sku="gone", name="Gone", amount_minor=500, currency="usd", is_active=False)
    assert sold(live, body, status)["code"] == code
    assert (Payment.objects.count(), live.sandbox.objects("checkout.session")) == (0, [])


@pytest.mark.parametrize(
    ("session", "status", "code"),
    [("", 400, "required"), ("pi_1", 400, "malformed_session_id"), ("cs_test_" + "a" * 40, 404, "not_found")],
)
def test_sessions_that_are_not_ours_are_not_told(live: Live, session: str, status: int, code: str) -> None:
    assert state(live, session, status)["code"] == code


def test_a_gifts_session_is_no_sold_product(live: Live) -> None:
    started = live.give()
    assert state(live, started["session_id"], 404)["code"] == "not_found"


# -- erasure ----------------------------------------------------------------------------------------
def test_erasing_a_subscriber_ends_the_billing_and_blanks_what_calls_said(live: Live) -> None:
    token = live.register("ada@example.org")
    plan = make_plan(days=None, price=Money(5600, "eur"))
    confirm(live, buy(live, plan, token=token))
    confirm(live, buy(live, make_plan(), token=token))
    answer = live.ask("DELETE", "/api/auth/me", json={"password": "correct horse battery"}, headers=bearer(token))
    assert answer.status_code in {200, 204}
    live.flush()
    assert Subscription.objects.get().state == "canceled"
    assert live.sandbox.objects("subscription")[0]["status"] == "canceled"
    assert "ada@example.org" not in str(list(StripeCall.objects.values_list("params", flat=True)))
    assert User.objects.get().stripe_customer is None
    assert live.sweep()["subscriptions_ended"] == 0
