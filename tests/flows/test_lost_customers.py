"""A customer that was deleted in Stripe's dashboard: forgotten with its cards, and the next need makes another, once."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from djstripe import models as djstripe

from accounts.models import Organization, User
from payments import mirror
from payments.models import MirrorGap, Payment, StripeCall, Transfer
from pricing.models import Subscription
from tests.flows.test_methods import METHODS, listed, make_default, organization, save, set_up, shown
from tests.flows.test_subscriptions import SUBSCRIPTION, monthly
from tests.flows.test_subscriptions import begin as subscribe
from tests.flows.test_subscriptions import confirm as pay_first_month
from tests.flows.test_wallets import begin, confirm, rule, spend, topped_up
from tests.live import Live, bearer
from wallets.models import Notice, PaymentMethod, TopUp, Wallet

PORTAL = f"{SUBSCRIPTION}portal/"


@pytest.fixture
def admin(live: Live) -> str:
    """The token of the owner of an organization."""
    token = live.register("ada@example.org", name="Ada")
    live.post("/api/organizations", 201, {"name": "Food bank"}, token=token)
    return token


def delete_customer(live: Live, customer: str, *, told: bool) -> None:
    """What staff do in Stripe's dashboard; with `told`, its events arrive."""
    if not told:
        live.sandbox.post("misbehaviour", act="drop", share=1)
    assert live.sandbox.stripe("DELETE", f"/v1/customers/{customer}")["deleted"] is True
    live.flush()
    live.sandbox.http.delete(f"{live.sandbox.url}/_sandbox/misbehaviour", timeout=9)
    live.sandbox.advance(1)


def lose(live: Live, *, told: bool) -> str:
    """The organization's customer that is deleted."""
    customer = str(Organization.objects.get().stripe_customer)
    delete_customer(live, customer, told=told)
    return customer


def customers(live: Live) -> list[str]:
    """Those that are not deleted."""
    return [one["id"] for one in live.sandbox.objects("customer") if not one.get("deleted")]


def calls() -> list[tuple[str, bool]]:
    """The keys of the calls that made customers, without their owner, and whether that customer is known to be gone."""
    made = StripeCall.objects.filter(operation="customers.create").order_by("attempt")
    return [(call.key.partition(":")[2], bool(call.answer and call.answer.get("deleted"))) for call in made]


MADE_ANEW = [("customers.create:1", True), ("customers.create:2", False)]


# -- told by an event -----------------------------------------------------------------------------------
def test_a_deleted_customer_is_forgotten_with_its_cards_and_the_next_need_makes_another(live: Live, admin: str) -> None:
    for card in ("pm_card_visa", "pm_card_mastercard"):
        save(live, admin, card)
    gone = lose(live, told=True)
    assert (Organization.objects.get().stripe_customer, listed(live, admin), customers(live)) == (None, [], [])
    assert PaymentMethod.objects.filter(detached_at=None).count() == PaymentMethod.objects.filter(is_default=True).count() == 0
    save(live, admin, "pm_card_amex")
    [new] = customers(live)
    assert (Organization.objects.get().stripe_customer, new != gone, calls()) == (new, True, MADE_ANEW)
    assert shown(live, admin) == [("amex", "0005", True)]
    topped_up(live, organization(), admin, amount=20, payment_method_id=listed(live, admin)[0]["id"])
    assert (TopUp.objects.get().state, customers(live)) == ("paid", [new])


def test_a_deletion_told_twice_and_late_leaves_the_new_customer_alone(live: Live, admin: str) -> None:
    save(live, admin)
    gone = lose(live, told=True)
    save(live, admin, "pm_card_amex")
    [event] = {one["event"] for one in live.sandbox.deliveries() if one["type"] == "customer.deleted"}
    live.sandbox.post(f"events/{event}/resend")
    live.flush()
    [new] = customers(live)
    assert (Organization.objects.get().stripe_customer, new != gone) == (new, True)
    assert shown(live, admin) == [("amex", "0005", True)]


def test_automatic_top_ups_pause_are_told_once_and_go_on_with_a_new_card(live: Live, admin: str) -> None:
    org = organization()
    topped_up(live, org, admin)
    save(live, admin)
    rule(live, org, admin)
    lose(live, told=True)
    wallet = Wallet.objects.get()
    told = live.get(f"/api/wallets/{org}", token=admin)["wallets"][0]["auto_top_up"]["paused_reason"]
    assert (wallet.tops_up_by_itself, "removed at Stripe" in told, "save one again" in told) == (False, True, True)
    notice = Notice.objects.get(kind="top_up_failed")
    assert notice.facts["reason"] == told
    assert [told in str(sent.body) for sent in mail.outbox if "automatic top-up" in sent.subject] == [True]
    spend(live, org, admin, 201, 95)
    live.run_tasks()
    live.sweep()
    assert (TopUp.objects.filter(is_automatic=True).count(), Notice.objects.filter(kind="top_up_failed").count()) == (0, 1)
    save(live, admin, "pm_card_mastercard")
    rule(live, org, admin)
    live.run_tasks()
    live.flush()
    made = TopUp.objects.get(is_automatic=True)
    assert (made.state, [made.payment.stripe_customer]) == ("paid", customers(live))
    assert calls() == MADE_ANEW


# -- found out by a call ----------------------------------------------------------------------------------
def test_a_setup_intent_goes_on_with_a_new_customer(live: Live, admin: str) -> None:
    save(live, admin)
    gone = lose(live, told=False)
    assert (Organization.objects.get().stripe_customer, len(listed(live, admin))) == (gone, 1)
    begun = set_up(live, admin, key="a")
    assert set_up(live, admin, key="a") == begun
    [new] = customers(live)
    intents = [one for one in live.sandbox.objects("setup_intent") if one["id"] == begun["setup_intent"]["id"]]
    assert ([one["customer"] for one in intents], Organization.objects.get().stripe_customer) == ([new], new)
    assert (listed(live, admin), calls()) == ([], MADE_ANEW)


def test_a_top_up_goes_on_with_a_new_customer_and_is_credited_once(live: Live, admin: str) -> None:
    org = organization()
    topped_up(live, org, admin)
    gone = lose(live, told=False)
    begun = begin(live, org, admin, key="b", amount=7)
    assert begin(live, org, admin, key="b", amount=7) == begun
    confirm(live, begun)
    payment = Payment.objects.get(pk=begun["payment_id"])
    assert (payment.status, [payment.stripe_customer], gone in customers(live)) == ("paid", customers(live), False)
    assert live.get(f"/api/wallets/{org}", token=admin)["balance"] == "107.00"
    assert (Transfer.objects.filter(key__startswith="paid:").count(), len(live.sandbox.objects("payment_intent"))) == (2, 2)


def test_a_top_up_by_a_card_that_went_with_its_customer_is_refused_by_name(live: Live, admin: str) -> None:
    org = organization()
    save(live, admin)
    [card] = listed(live, admin)
    lose(live, told=False)
    refused = begin(live, org, admin, 409, payment_method_id=card["id"])
    assert (refused["code"], "Please save one again." in refused["error"]) == ("customer_gone", True)
    assert (listed(live, admin), Payment.objects.get().status, live.sandbox.objects("payment_intent")) == ([], "canceled", [])
    begin(live, org, admin)
    assert (len(customers(live)), calls()) == (1, MADE_ANEW)


def test_choosing_a_card_that_went_with_its_customer_forgets_all_of_them(live: Live, admin: str) -> None:
    for card in ("pm_card_visa", "pm_card_mastercard"):
        save(live, admin, card)
    second = listed(live, admin)[1]["id"]
    lose(live, told=False)
    assert make_default(live, admin, second, 404)["code"] == "not_found"
    assert (listed(live, admin), Organization.objects.get().stripe_customer) == ([], None)


def test_an_automatic_charge_finds_it_out_charges_nothing_and_is_told_once(live: Live, admin: str) -> None:
    org = organization()
    topped_up(live, org, admin)
    save(live, admin)
    rule(live, org, admin)
    lose(live, told=False)
    spend(live, org, admin, 201, 95)
    live.run_tasks()
    for _ in range(2):
        live.sweep()
    made = TopUp.objects.get(is_automatic=True)
    assert (made.state, made.payment.status, Wallet.objects.get().tops_up_by_itself) == ("abandoned", "canceled", False)
    assert (listed(live, admin), Organization.objects.get().stripe_customer) == ([], None)
    assert Notice.objects.filter(kind="top_up_failed").count() == 1
    assert len(live.sandbox.objects("payment_intent")) == 1


def test_the_sweep_finds_out_where_nobody_calls(live: Live, admin: str) -> None:
    save(live, admin)
    lose(live, told=False)
    assert live.sweep()["methods_refreshed"] == 1
    assert (listed(live, admin), Organization.objects.get().stripe_customer) == ([], None)
    assert live.sweep()["methods_refreshed"] == 0


def test_a_customer_that_stripe_has_never_heard_of_is_not_forgotten(live: Live, admin: str) -> None:
    """As with the key of another account: nothing may be lost by that."""
    save(live, admin)
    Organization.objects.update(stripe_customer="cus_ofanotheraccount")
    assert set_up(live, admin, 400)["code"] == "resource_missing"
    live.sweep()
    assert Organization.objects.get().stripe_customer == "cus_ofanotheraccount"
    assert (shown(live, admin), calls()) == ([("visa", "4242", True)], [("customers.create:1", False)])


# -- students ---------------------------------------------------------------------------------------------
@pytest.fixture
def student(live: Live) -> str:
    """The token of somebody who was subscribed until their customer was deleted."""
    token = live.register("bob@example.org")
    pay_first_month(live, subscribe(live, monthly(), token))
    return token


@pytest.mark.parametrize("told", [True, False], ids=["told", "found out"])
def test_a_students_deleted_customer_is_made_anew_too(live: Live, student: str, told: bool) -> None:
    gone = str(User.objects.get().stripe_customer)
    delete_customer(live, gone, told=told)
    assert User.objects.get().stripe_customer == (None if told else gone)
    assert live.post(PORTAL, 200, {}, token=student)["url"].startswith(live.sandbox.url)
    assert ([User.objects.get().stripe_customer], calls()) == (customers(live), MADE_ANEW)


def test_subscribing_goes_on_with_a_new_customer(live: Live, student: str) -> None:
    delete_customer(live, str(User.objects.get().stripe_customer), told=False)
    begun: Any = subscribe(live, monthly(), student)
    pay_first_month(live, begun)
    assert sorted(Subscription.objects.values_list("state", flat=True)) == ["active", "active"]  # of the first no event came
    assert [one["status"] for one in live.sandbox.objects("subscription")] == ["canceled", "active"]
    assert ([User.objects.get().stripe_customer], calls()) == (customers(live), MADE_ANEW)


def test_payments_of_a_deleted_customer_are_mirrored_all_the_same(live: Live, admin: str, settings: Any) -> None:
    settings.STRIPE_MIRROR = True
    topped_up(live, organization(), admin)
    gone = lose(live, told=True)
    assert mirror.catch_up() > 0
    charge = djstripe.Charge.objects.get()
    assert (charge.stripe_data["amount"], charge.customer.stripe_data["deleted"]) == (10_000, True)
    assert (charge.customer.id, MirrorGap.objects.count()) == (gone, 0)


# -- an organization of nobody -----------------------------------------------------------------------------
def erase(live: Live, token: str) -> None:
    answer = live.ask("DELETE", "/api/auth/me", json={"password": "correct horse battery"}, headers=bearer(token))
    assert answer.status_code == 204, answer.text


def attached(live: Live) -> list[bool]:
    """Of each method at Stripe, whether it is still somebody's."""
    return [one["customer"] is not None for one in live.sandbox.objects("payment_method")]


def test_cards_of_an_organization_whose_only_member_was_erased_are_detached_at_stripe(live: Live, admin: str) -> None:
    for card in ("pm_card_visa", "pm_card_mastercard"):
        save(live, admin, card)
    other = live.register("eve@example.org")
    kept = str(live.post("/api/organizations", 201, {"name": "Other"}, token=other)["id"])
    begun = live.post(f"{METHODS}/setup-intent", 200, {"organization_id": kept}, token=other)["setup_intent"]
    confirmed = {"payment_method": "pm_card_amex", "return_url": live.url}
    live.sandbox.stripe("POST", f"/v1/setup_intents/{begun['id']}/confirm", **confirmed)
    live.flush()
    erase(live, admin)
    assert attached(live) == [True, True, True]  # nothing was asked of Stripe within the erasure
    live.run_tasks()
    assert attached(live) == [False, False, True]
    live.flush()
    assert list(PaymentMethod.objects.filter(detached_at=None).values_list("organization", flat=True)) == [kept]
    assert StripeCall.objects.get(operation="payment_methods.detach").answer == {"status": "detached"}


def test_what_stripe_did_not_answer_is_detached_by_the_sweep(live: Live, admin: str, settings: Any) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    save(live, admin)
    live.sandbox.post("faults", method="POST", path="/detach$", status=500, stage="before")
    erase(live, admin)
    live.run_tasks()
    assert (attached(live), PaymentMethod.objects.filter(detached_at=None).count()) == ([True], 1)
    assert [live.sweep()["methods_detached"] for _ in range(2)] == [1, 0]
    assert (attached(live), PaymentMethod.objects.filter(detached_at=None).count()) == ([False], 0)
