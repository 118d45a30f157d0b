"""Topping up and spending over HTTP: credited once by whatever comes first, refused by name, finished when it stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import Organization
from payments.models import Payment, StripeCall, Transfer
from tests.live import Live
from wallets.models import Notice, PaymentMethod, TopUp, Wallet

CREATE = "/api/payments/create-intent"


@pytest.fixture
def token(live: Live) -> str:
    return live.register("ada@example.org")


@pytest.fixture
def org(live: Live, token: str) -> str:
    return str(live.post("/api/organizations", 201, {"name": "Lovelace Ltd"}, token=token)["id"])


def begin(live: Live, org: str, token: str, status: int = 200, *, key: str = "", amount: Any = 100, **body: Any) -> Any:
    return live.post(CREATE, status, {"organization_id": org, "amount": amount, **body}, token=token, key=key)


def confirm(live: Live, begun: Any, card: str = "pm_card_visa", *, flush: bool = True) -> Any:
    """What stripe.js does in the page."""
    intent = begun["payment_intent"]["id"]
    answer = live.sandbox.stripe("POST", f"/v1/payment_intents/{intent}/confirm", payment_method=card, return_url=live.url)
    if flush:
        live.flush()
    return answer


def spend(live: Live, org: str, token: str, status: int, amount: Any, *, key: str = "k1", **body: Any) -> Any:
    body = {"amount": amount, "description": "hosting", **body}
    return live.post(f"/api/wallets/{org}/spend", status, body, token=token, key=key)


def balance(live: Live, org: str, token: str) -> tuple[str, str]:
    shown = live.get(f"/api/wallets/{org}", token=token)
    return shown["balance"], shown["currency"]


def topped_up(live: Live, org: str, token: str, amount: Any = 100, **body: Any) -> Any:
    begun = begin(live, org, token, amount=amount, **body)
    confirm(live, begun)
    return begun


# -- topping up ---------------------------------------------------------------------------------------
def test_a_top_up_is_credited_once_by_its_webhooks(live: Live, org: str, token: str) -> None:
    begun = begin(live, org, token, amount="100.00")
    intent = begun["payment_intent"]
    assert (intent["amount"], intent["currency"], intent["status"]) == ("100.00", "USD", "requires_payment_method")
    assert begun["client_secret"] == intent["client_secret"]
    assert intent["client_secret"].startswith(intent["id"] + "_secret_")
    assert balance(live, org, token) == ("0.00", "USD")
    confirm(live, begun)
    assert balance(live, org, token) == ("100.00", "USD")
    assert (TopUp.objects.get().state, Transfer.objects.get().credit_id) == ("paid", Wallet.objects.get().account)
    live.sandbox.post("misbehaviour", act="duplicate", share=1)
    topped_up(live, org, token, amount=5)
    assert balance(live, org, token) == ("105.00", "USD")


def test_each_organization_has_one_customer_at_stripe(live: Live, org: str, token: str) -> None:
    for _ in range(3):
        begin(live, org, token)
    [customer] = live.sandbox.objects("customer")
    assert (customer["name"], customer["metadata"]) == ("Lovelace Ltd", {"owner": org})
    assert Organization.objects.get(pk=org).stripe_customer == customer["id"]


def test_the_same_idempotency_key_gives_the_same_intent(live: Live, org: str, token: str) -> None:
    first, again = (begin(live, org, token, key="once") for _ in range(2))
    assert first == again
    assert begin(live, org, token, 422, key="once", amount=101)["code"] == "idempotency_key_reused"
    assert (Payment.objects.count(), len(live.sandbox.objects("payment_intent"))) == (1, 1)


def test_a_lost_answer_makes_no_second_intent(live: Live, org: str, token: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    begin(live, org, token)  # the customer exists
    live.sandbox.post("faults", method="POST", path="/v1/payment_intents$", status="drop_response", count=1)
    assert begin(live, org, token, 502, key="lost")["code"] == "stripe_unavailable"
    begun = begin(live, org, token, key="lost")
    assert len(live.sandbox.objects("payment_intent")) == 2
    confirm(live, begun)
    assert balance(live, org, token) == ("100.00", "USD")


def test_a_currency_has_a_wallet_of_its_own(live: Live, org: str, token: str) -> None:
    topped_up(live, org, token, amount=500, currency="JPY")
    topped_up(live, org, token, amount="10.00", currency="EUR")
    shown = live.get(f"/api/wallets/{org}", token=token)
    assert [(one["currency"], one["balance"]) for one in shown["wallets"]] == [("JPY", "500"), ("EUR", "10.00")]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"amount": "0.10"}, 400, "amount_too_small", "amount"),
        ({"amount": "1.005"}, 400, "amount_too_precise", "amount"),
        ({"amount": "1e9"}, 400, "amount_too_large", "amount"),
        ({"amount": "ten"}, 400, "invalid_amount", "amount"),
        ({"currency": "xyz"}, 400, "unknown_currency", "currency"),
        ({"payment_method_id": "method_x"}, 404, "not_found", None),
        ({"metadata": {}}, 400, "unknown_field", "metadata"),
    ],
)
def test_what_cannot_be_topped_up_is_refused_by_name(
    live: Live, org: str, token: str, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = begin(live, org, token, status, **body)
    assert (answer["code"], list(answer.get("fields", {None: 0}))) == (code, [field])
    assert (Payment.objects.count(), live.sandbox.objects("payment_intent")) == (0, [])


def test_strangers_and_plain_members_top_nothing_up(live: Live, org: str, token: str) -> None:
    eve = live.register("eve@example.org")
    assert begin(live, org, eve, 404)["code"] == "not_found"
    assert begin(live, org, "", 401)["success"] is False
    assert begin(live, "org_nope", eve, 404)["code"] == "not_found"
    assert Payment.objects.count() == 0


def test_a_declined_top_up_can_be_finished_with_another_card(live: Live, org: str, token: str) -> None:
    begun = begin(live, org, token)
    confirm(live, begun, card="pm_card_chargeDeclined")
    assert (balance(live, org, token)[0], TopUp.objects.get().state) == ("0.00", "pending")
    again = live.post(f"/api/payments/{begun['payment_id']}/client-secret", 200, {}, token=token)
    assert again == {"client_secret": begun["client_secret"], "payment_id": begun["payment_id"]}
    confirm(live, begun)
    assert balance(live, org, token)[0] == "100.00"
    refused = live.post(f"/api/payments/{begun['payment_id']}/client-secret", 409, {}, token=token)
    assert refused["code"] == "nothing_to_pay"


def test_refunds_in_the_dashboard_and_disputes_come_out_of_the_wallet(live: Live, org: str, token: str) -> None:
    begun = topped_up(live, org, token)
    live.sandbox.post("refunds", payment_intent=begun["payment_intent"]["id"], amount=2_500)
    live.flush()
    assert balance(live, org, token)[0] == "75.00"
    spend(live, org, token, 201, 70)
    live.sandbox.post("disputes", payment_intent=begun["payment_intent"]["id"], amount=7_500)
    live.flush()
    [wallet] = live.get(f"/api/wallets/{org}", token=token)["wallets"]
    assert (wallet["balance"], wallet["owed"], wallet["is_blocked"]) == ("0.00", "70.00", True)
    assert spend(live, org, token, 409, 1, key="k2")["code"] == "wallet_blocked"
    topped_up(live, org, token)
    [wallet] = live.get(f"/api/wallets/{org}", token=token)["wallets"]
    assert (wallet["balance"], wallet["owed"], wallet["is_blocked"]) == ("30.00", "0.00", False)


def test_a_top_up_of_which_no_event_came_is_found_by_the_sweep(live: Live, org: str, token: str) -> None:
    live.sandbox.post("misbehaviour", act="drop", share=1)
    topped_up(live, org, token)
    assert balance(live, org, token)[0] == "0.00"
    Payment.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert live.sweep()["sessions"] == 1
    assert balance(live, org, token)[0] == "100.00"
    assert live.sweep()["sessions"] == 0


# -- spending -----------------------------------------------------------------------------------------
def test_a_spend_needs_a_key_and_happens_once(live: Live, org: str, token: str) -> None:
    topped_up(live, org, token)
    assert spend(live, org, token, 400, 10, key="")["fields"].keys() == {"Idempotency-Key"}
    first, again = (spend(live, org, token, 201, "12.50") for _ in range(2))
    assert first == again
    assert (first["amount"], first["currency"], first["description"], first["reversed"]) == ("12.50", "USD", "hosting", "0.00")
    assert spend(live, org, token, 422, 13)["code"] == "idempotency_key_reused"
    assert spend(live, org, token, 409, "87.51", key="k2")["code"] == "insufficient_funds"
    assert balance(live, org, token)[0] == "87.50"


def test_a_hold_is_captured_in_part(live: Live, org: str, token: str) -> None:
    topped_up(live, org, token)
    body = {"amount": 40, "description": "a job", "expires_in_s": 3600}
    held = live.post(f"/api/wallets/{org}/holds", 201, body, token=token, key="h1")
    assert (held["state"], balance(live, org, token)[0]) == ("authorized", "60.00")
    capture = f"/api/wallets/{org}/holds/{held['id']}/capture"
    assert live.post(capture, 409, {"amount": "40.01"}, token=token)["code"] == "more_than_held"
    made = live.post(capture, 201, {"amount": 15}, token=token)
    assert (made["amount"], made["hold_id"], balance(live, org, token)[0]) == ("15.00", held["id"], "85.00")
    [shown] = live.get(f"/api/wallets/{org}/holds", token=token)["results"]
    assert (shown["state"], shown["captured"]) == ("captured", "15.00")


def test_spending_from_another_organization_is_not_found(live: Live, org: str, token: str) -> None:
    topped_up(live, org, token)
    eve = live.register("eve@example.org")
    assert spend(live, org, eve, 404, 1)["code"] == "not_found"
    made = spend(live, org, token, 201, 1)
    refused = live.post(f"/api/wallets/spends/{made['id']}/reverse", 403, {"reason": "mine"}, token=token, key="r")
    assert refused["success"] is False
    assert balance(live, org, token)[0] == "99.00"


# -- by itself ----------------------------------------------------------------------------------------
RULE = {"below": 20, "amount": 50, "daily_limit": 100}


def saved_card(live: Live, org: str, token: str, card: str = "pm_card_visa") -> PaymentMethod:
    """A top-up of 30 whose card is kept."""
    confirm(live, begin(live, org, token, amount=30, save_payment_method=True), card=card)
    return PaymentMethod.objects.get(is_default=True)


def rule(live: Live, org: str, token: str, status: int = 200, **change: Any) -> Any:
    answer = live.ask(
        "PATCH",
        f"/api/wallets/{org}",
        json={"auto_top_up": {**RULE, **change}},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_wallet_tops_itself_up_below_its_threshold_and_within_the_days_limit(live: Live, org: str, token: str) -> None:
    saved_card(live, org, token)
    rule(live, org, token)
    spend(live, org, token, 201, 11)
    live.flush()
    assert balance(live, org, token)[0] == "69.00"
    spend(live, org, token, 201, 60, key="k2")
    live.flush()
    assert balance(live, org, token)[0] == "59.00"
    spend(live, org, token, 201, 50, key="k3")
    live.flush()
    live.sweep()
    assert (balance(live, org, token)[0], TopUp.objects.filter(is_automatic=True).count()) == ("9.00", 2)
    [told] = Notice.objects.filter(kind="top_up_failed")
    assert told.facts["reason"] == "daily_limit"


@pytest.mark.parametrize("age_minutes", [2, 24 * 60])
def test_an_automatic_top_up_whose_answer_is_lost_charges_once(
    live: Live, org: str, token: str, settings: Any, age_minutes: int
) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    saved_card(live, org, token)
    rule(live, org, token)
    live.sandbox.post("faults", method="POST", path="/v1/payment_intents$", status="drop_response", count=1)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    spend(live, org, token, 201, 11)
    with pytest.raises(AssertionError, match="StripeUnavailable"):
        live.flush()
    assert balance(live, org, token)[0] == "19.00"
    TopUp.objects.update(created_at=F("created_at") - timedelta(minutes=age_minutes))
    StripeCall.objects.update(created_at=F("created_at") - timedelta(minutes=age_minutes))
    live.sweep()
    assert balance(live, org, token)[0] == "69.00"
    assert len(live.sandbox.objects("charge")) == 2


def default_card(live: Live, org: str, token: str, card: str) -> PaymentMethod:
    """Another card, saved and made the default."""
    customer = Organization.objects.get(pk=org).stripe_customer
    made = live.sandbox.stripe("POST", f"/v1/payment_methods/{card}/attach", customer=customer)
    live.flush()
    method = PaymentMethod.objects.get(stripe_id=made["id"])
    live.post(f"/api/payments/methods/{method.pk}/set-default", 200, {}, token=token)
    live.flush()
    return method


def test_a_declined_automatic_top_up_pauses_and_is_told_once(live: Live, org: str, token: str) -> None:
    saved_card(live, org, token)
    default_card(live, org, token, "pm_card_chargeCustomerFail")
    rule(live, org, token)
    spend(live, org, token, 201, 11)
    live.flush()
    live.sweep()
    spend(live, org, token, 201, 1, key="k2")
    live.flush()
    wallet = Wallet.objects.get()
    assert (balance(live, org, token)[0], wallet.top_up_paused_at is None) == ("18.00", False)
    assert "declined" in wallet.top_up_paused_reason
    assert list(Notice.objects.filter(kind__startswith="top_up").values_list("kind", flat=True)) == ["top_up_failed"]
    assert (TopUp.objects.filter(is_automatic=True).count(), len(live.sandbox.objects("charge"))) == (1, 2)
    default_card(live, org, token, "pm_card_visa")
    rule(live, org, token)
    live.flush()
    assert balance(live, org, token)[0] == "68.00"


def test_where_the_bank_wants_its_holder_a_person_finishes_the_same_payment(live: Live, org: str, token: str) -> None:
    saved_card(live, org, token)
    default_card(live, org, token, "pm_card_authenticationRequired")
    rule(live, org, token)
    spend(live, org, token, 201, 11)
    live.flush()
    [told] = Notice.objects.exclude(kind="topped_up")
    assert told.kind == "authentication_needed"
    payment = told.facts["payment"]
    assert live.post(f"/api/payments/{payment}/client-secret", 200, {}, token=token)["payment_id"] == payment
    intent = Payment.objects.get(pk=payment).payment_intent
    live.sandbox.stripe("POST", f"/v1/payment_intents/{intent}/confirm", payment_method="pm_card_visa", return_url=live.url)
    live.flush()
    wallet = Wallet.objects.get()
    assert (balance(live, org, token)[0], wallet.top_up_paused_at) == ("69.00", None)
    assert TopUp.objects.filter(is_automatic=True).count() == 1


def test_money_that_was_given_back_is_not_taken_again_by_itself(live: Live, org: str, token: str) -> None:
    saved_card(live, org, token)
    rule(live, org, token)
    live.sandbox.post("refunds", payment_intent=Payment.objects.get().payment_intent, amount=2_500)
    live.flush()
    live.sweep()
    assert (balance(live, org, token)[0], TopUp.objects.filter(is_automatic=True).count()) == ("5.00", 0)
    spend(live, org, token, 201, 1)
    live.flush()
    assert (balance(live, org, token)[0], TopUp.objects.filter(is_automatic=True).count()) == ("54.00", 1)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"below": 0}, "auto_top_up.below"),
        ({"amount": "0.01"}, "auto_top_up.amount"),
        ({"daily_limit": 49}, "auto_top_up.daily_limit"),
        ({"daily_limit": "1.005"}, "auto_top_up.daily_limit"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_name(live: Live, org: str, token: str, change: Any, field: str) -> None:
    saved_card(live, org, token)
    assert list(rule(live, org, token, 400, **change)["fields"]) == [field]
    assert Wallet.objects.get().top_up_below_minor is None


def test_settings_of_which_a_part_is_refused_stay_as_they_are(live: Live, org: str, token: str) -> None:
    asked = {"low_balance": 7, "auto_top_up": RULE}
    answer = live.ask("PATCH", f"/api/wallets/{org}", json=asked, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["code"]) == (409, "no_payment_method")
    assert not Wallet.objects.exists()
    live.ask("PATCH", f"/api/wallets/{org}", json={"low_balance": 5}, headers={"Authorization": f"Bearer {token}"})
    live.ask("PATCH", f"/api/wallets/{org}", json=asked, headers={"Authorization": f"Bearer {token}"})
    assert Wallet.objects.get().low_balance_minor == 500


def test_without_a_saved_method_nothing_tops_itself_up(live: Live, org: str, token: str) -> None:
    assert rule(live, org, token, 409)["code"] == "no_payment_method"
