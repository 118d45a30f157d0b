"""Saved payment methods, from the page that saves a card to the day on which it is removed, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Membership, Organization, User
from payments.models import StripeCall
from tests.live import Live, bearer
from wallets import expiring_cards
from wallets.models import Notice, NoticeDelivery, PaymentMethod

METHODS = "/api/payments/methods"
INTENT = "/api/payments/create-intent"


@pytest.fixture
def admin(live: Live) -> str:
    """The token of the owner of an organization."""
    token = live.register("ada@example.org", name="Ada")
    live.post("/api/organizations", 201, {"name": "Food bank"}, token=token)
    return token


def organization() -> str:
    return str(Organization.objects.get().pk)


def set_up(live: Live, token: str, status: int = 200, *, key: str = "") -> Any:
    return live.post(f"{METHODS}/setup-intent", status, {"organization_id": organization()}, token=token, key=key)


def save(live: Live, token: str, card: str = "pm_card_visa", *, flush: bool = True) -> str:
    """Save a card as stripe.js does; Stripe's id of it."""
    begun = set_up(live, token)["setup_intent"]
    confirmed = live.sandbox.stripe("POST", f"/v1/setup_intents/{begun['id']}/confirm", payment_method=card, return_url=live.url)
    if confirmed["status"] == "requires_action":
        confirmed = live.sandbox.post(f"setup_intents/{begun['id']}/authenticate", passed=True)
    assert confirmed["status"] == "succeeded", confirmed
    live.sandbox.advance(1)  # Stripe's times are whole seconds: what comes next comes later
    if flush:
        live.flush()
    return str(confirmed["payment_method"])


def listed(live: Live, token: str) -> list[Any]:
    return list(live.get(METHODS, token=token, organization_id=organization())["payment_methods"])


def make_default(live: Live, token: str, method: str, status: int = 200) -> Any:
    return live.post(f"{METHODS}/{method}/set-default", status, {}, token=token)


def remove(live: Live, token: str, method: str) -> int:
    return live.ask("DELETE", f"{METHODS}/{method}", headers=bearer(token)).status_code


def shown(live: Live, token: str) -> list[tuple[str, str, bool]]:
    return [(one["brand"], one["last4"], one["is_default"]) for one in listed(live, token)]


def stripes_default(live: Live) -> str | None:
    [customer] = [one for one in live.sandbox.objects("customer") if one["metadata"].get("owner", "").startswith("org_")]
    return customer["invoice_settings"]["default_payment_method"]


# -- saving and showing -------------------------------------------------------------------------------
def test_a_saved_card_is_listed_and_the_first_one_is_the_default(live: Live, admin: str) -> None:
    assert listed(live, admin) == []
    save(live, admin)
    [card] = listed(live, admin)
    assert set(card) == {"id", "type", "brand", "last4", "exp_month", "exp_year", "is_default"}
    assert (card["id"][:7], card["type"], card["brand"], card["last4"]) == ("method_", "card", "visa", "4242")
    save(live, admin, "pm_card_mastercard")
    assert shown(live, admin) == [("visa", "4242", True), ("mastercard", "4444", False)]


def test_a_card_that_asks_for_3d_secure_is_saved_once_it_was_passed(live: Live, admin: str) -> None:
    save(live, admin, "pm_card_authenticationRequiredOnSetup")
    assert shown(live, admin) == [("visa", "3155", True)]


def test_the_same_card_saved_twice_is_shown_once_and_removed_whole(live: Live, admin: str) -> None:
    first, again = save(live, admin), save(live, admin)
    save(live, admin, "pm_card_mastercard")
    assert first != again
    assert shown(live, admin) == [("visa", "4242", True), ("mastercard", "4444", False)]
    assert remove(live, admin, listed(live, admin)[0]["id"]) == 204
    live.flush()
    assert shown(live, admin) == [("mastercard", "4444", True)]
    assert [one["customer"] for one in live.sandbox.objects("payment_method")][:2] == [None, None]


def test_a_setup_intent_is_for_charging_later_and_its_secret_is_kept_nowhere(live: Live, admin: str) -> None:
    begun = set_up(live, admin)
    assert begun["client_secret"] == begun["setup_intent"]["client_secret"]
    [intent] = live.sandbox.objects("setup_intent")
    assert (intent["id"], intent["usage"]) == (begun["setup_intent"]["id"], "off_session")
    assert begun["client_secret"] not in str(list(StripeCall.objects.values_list("params", "answer")))


def test_the_same_key_makes_one_setup_intent(live: Live, admin: str) -> None:
    first, again = set_up(live, admin, key="a"), set_up(live, admin, key="a")
    assert again == first
    assert len(live.sandbox.objects("setup_intent")) == 1
    assert set_up(live, admin, key="b") != first


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"status": 500, "stage": "before"}, 502, "stripe_unavailable"),
        ({"status": "drop_response"}, 502, "stripe_unavailable"),
        ({"status": 429, "stage": "before"}, 429, "stripe_busy"),
        ({"status": "hang", "seconds": 2}, 504, "stripe_timeout"),
    ],
)
def test_a_sick_stripe_is_told_and_the_same_key_goes_on(
    live: Live, admin: str, settings: Any, fault: Any, status: int, code: str
) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES, settings.STRIPE_READ_TIMEOUT_S = 0, 1
    live.sandbox.post("faults", method="POST", path="/v1/setup_intents$", **fault)
    assert set_up(live, admin, status, key="a")["code"] == code
    assert set_up(live, admin, key="a") == set_up(live, admin, key="a")
    assert len(live.sandbox.objects("setup_intent")) == 1


def test_a_card_kept_by_a_top_up_is_listed_and_pays_the_next_one(live: Live, admin: str) -> None:
    body = {"organization_id": organization(), "amount": 20, "currency": "eur"}
    first = live.post(INTENT, 200, {**body, "save_payment_method": True}, token=admin)
    confirm = {"payment_method": "pm_card_visa", "return_url": live.url}
    live.sandbox.stripe("POST", f"/v1/payment_intents/{first['payment_intent']['id']}/confirm", **confirm)
    live.flush()
    [card] = listed(live, admin)
    assert (card["last4"], card["is_default"]) == ("4242", True)
    second = live.post(INTENT, 200, {**body, "payment_method_id": card["id"]}, token=admin)["payment_intent"]
    live.sandbox.stripe("POST", f"/v1/payment_intents/{second['id']}/confirm", return_url=live.url)
    live.flush()
    assert [one["status"] for one in live.sandbox.objects("payment_intent")] == ["succeeded", "succeeded"]


# -- choosing and removing ----------------------------------------------------------------------------
def test_a_default_is_chosen_here_and_at_stripe(live: Live, admin: str) -> None:
    save(live, admin)
    mastercard = save(live, admin, "pm_card_mastercard")
    chosen = make_default(live, admin, listed(live, admin)[1]["id"])["payment_method"]
    assert (chosen["brand"], chosen["is_default"], stripes_default(live)) == ("mastercard", True, mastercard)
    live.flush()
    assert shown(live, admin) == [("mastercard", "4444", True), ("visa", "4242", False)]


def test_a_default_that_was_chosen_in_the_dashboard_is_followed(live: Live, admin: str) -> None:
    save(live, admin)
    amex = save(live, admin, "pm_card_amex")
    customer = live.sandbox.objects("customer")[-1]["id"]
    live.sandbox.stripe("POST", f"/v1/customers/{customer}", **{"invoice_settings[default_payment_method]": amex})
    live.flush()
    assert shown(live, admin) == [("amex", "0005", True), ("visa", "4242", False)]


def test_removing_the_default_leaves_the_newest_other_one(live: Live, admin: str) -> None:
    for card in ("pm_card_visa", "pm_card_mastercard", "pm_card_amex"):
        save(live, admin, card)
    first = listed(live, admin)[0]["id"]
    assert remove(live, admin, first) == 204
    assert shown(live, admin) == [("amex", "0005", True), ("mastercard", "4444", False)]
    [amex] = [one["id"] for one in live.sandbox.objects("payment_method") if one["card"]["brand"] == "amex"]
    assert stripes_default(live) == amex
    live.flush()
    assert shown(live, admin) == [("amex", "0005", True), ("mastercard", "4444", False)]
    assert remove(live, admin, first) == 204
    assert make_default(live, admin, first, 404)["code"] == "not_found"


def test_a_removal_whose_answer_was_lost_is_finished_by_trying_again(live: Live, admin: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    save(live, admin)
    live.sandbox.post("misbehaviour", act="drop", share=1, types=["payment_method.detached"])
    live.sandbox.post("faults", method="POST", path="/detach$", status="drop_response")
    card = listed(live, admin)[0]["id"]
    assert remove(live, admin, card) == 502
    assert [one["customer"] for one in live.sandbox.objects("payment_method")] == [None]
    assert [one["id"] for one in listed(live, admin)] == [card]
    assert remove(live, admin, card) == 204
    assert listed(live, admin) == []


def test_members_see_methods_and_change_none(live: Live, admin: str) -> None:
    save(live, admin)
    token = live.register("bob@example.org")
    Membership.objects.create(organization=Organization.objects.get(), user=User.objects.get(email="bob@example.org"))
    card = listed(live, token)[0]["id"]
    assert set_up(live, token, 403)["code"] == make_default(live, token, card, 403)["code"] == "not_an_admin"
    assert remove(live, token, card) == 403
    stranger = live.register("eve@example.org")
    assert live.get(METHODS, 404, token=stranger, organization_id=organization())["code"] == "not_found"
    assert make_default(live, stranger, card, 404) == make_default(live, stranger, card[:-1] + "0", 404)
    assert (remove(live, stranger, card), shown(live, admin)) == (404, [("visa", "4242", True)])


def test_a_users_own_card_is_no_organizations(live: Live, admin: str) -> None:
    set_up(live, admin)  # the organization is a customer, and has no card
    customer = live.sandbox.stripe("POST", "/v1/customers", email="ada@example.org")["id"]
    live.sandbox.stripe("POST", "/v1/payment_methods/pm_card_visa/attach", customer=customer)
    live.flush()
    assert (listed(live, admin), PaymentMethod.objects.count()) == ([], 0)


# -- what happens elsewhere ---------------------------------------------------------------------------
@pytest.mark.parametrize("misbehaviour", [{"act": "duplicate", "share": 1}, {"act": "reorder", "count": 40, "window": 8}])
def test_webhooks_in_any_order_and_number_end_in_the_same_list(live: Live, admin: str, misbehaviour: Any) -> None:
    live.sandbox.post("misbehaviour", **misbehaviour)
    visa = save(live, admin, flush=False)
    mastercard, amex = (save(live, admin, f"pm_card_{name}", flush=False) for name in ("mastercard", "amex"))
    customer = live.sandbox.objects("customer")[-1]["id"]
    live.sandbox.stripe("POST", f"/v1/customers/{customer}", **{"invoice_settings[default_payment_method]": mastercard})
    live.sandbox.post(f"payment_methods/{amex}/renew_card", exp_month=7, exp_year=2044)
    live.sandbox.advance(1)
    live.sandbox.stripe("POST", f"/v1/payment_methods/{visa}/detach")
    live.flush()
    assert shown(live, admin) == [("mastercard", "4444", True), ("amex", "0005", False)]
    assert [(one["exp_month"], one["exp_year"]) for one in listed(live, admin)][1] == (7, 2044)


def test_lost_events_are_found_by_the_sweep_once_a_day(live: Live, admin: str) -> None:
    visa = save(live, admin)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    save(live, admin, "pm_card_mastercard")
    live.sandbox.stripe("POST", f"/v1/payment_methods/{visa}/detach")
    live.flush()
    assert shown(live, admin) == [("visa", "4242", True)]
    assert live.sweep()["methods_refreshed"] == 1
    assert shown(live, admin) == [("mastercard", "4444", True)]
    [mastercard] = [one for one in live.sandbox.objects("payment_method") if one["customer"]]
    assert (stripes_default(live), live.sweep()["methods_refreshed"]) == (mastercard["id"], 0)


def test_admins_are_told_once_of_a_card_that_ends_and_not_of_one_that_was_renewed(
    live: Live, admin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring_cards, "TELL_BEFORE", timedelta(days=32))  # this month's end, on whatever day
    visa, mastercard = save(live, admin), save(live, admin, "pm_card_mastercard")
    today = timezone.now()
    for method in (visa, mastercard):
        dates = {"card[exp_month]": today.month, "card[exp_year]": today.year}
        live.sandbox.stripe("POST", f"/v1/payment_methods/{method}", **dates)
    live.sandbox.advance(1)
    live.sandbox.post(f"payment_methods/{mastercard}/renew_card")
    live.flush()
    assert [live.sweep()["cards_expiring"] for _ in range(2)] == [1, 0]
    notice = Notice.objects.get()
    assert (notice.kind, notice.facts["last4"], notice.facts["exp_year"]) == ("card_expiring", "4242", today.year)
    assert NoticeDelivery.objects.get().user.email == "ada@example.org"
