"""The calls behind saved payment methods, judged strictly by Stripe's published shape, and what off-session charges answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from accounts.models import Organization
from payments.models import StripeCall
from tests.contract.recording_proxy import Recording, recording
from tests.contract.test_project_requests import sent
from tests.flows.test_methods import METHODS, listed, make_default, remove, save, set_up
from tests.live import Live
from wallets.models import PaymentMethod


@pytest.fixture
def calls(live: Live, settings: Any) -> Iterator[Recording]:
    """What passes between the project and Stripe in this test."""
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    with recording(live.sandbox.url) as record:
        settings.STRIPE_API_BASE = record.url
        yield record


@pytest.fixture
def admin(live: Live) -> str:
    token = live.register("ada@example.org", name="Ada")
    live.post("/api/organizations", 201, {"name": "Bread & <roses>"}, token=token)
    return token


def made(calls: Recording, *, after: int = 0) -> list[str]:
    """Method and path of each call, ids shortened; and not one may depart from the published shape."""
    assert calls.violations == []
    return [f"{call.method} {re.sub(r'/(pm|cus|seti)_[^/]*', '/{}', call.path)} {call.status}" for call in calls.calls[after:]]


def test_saving_a_method_makes_the_customer_once(live: Live, calls: Recording, admin: str) -> None:
    set_up(live, admin)
    begun = set_up(live, admin, key="a")
    set_up(live, admin, key="a")
    create = "POST /v1/setup_intents 200"
    assert made(calls) == ["POST /v1/customers 200", create, create, "GET /v1/setup_intents/{} 200"]
    body, organization = sent(calls, 1), Organization.objects.get()
    assert (body["usage"], body["customer"]) == (["off_session"], [organization.stripe_customer])
    assert (body["metadata[organization]"], body["automatic_payment_methods[enabled]"]) == ([organization.pk], ["true"])
    assert begun["client_secret"] not in str(list(StripeCall.objects.values_list("params", "answer")))


def test_choosing_is_one_call_and_removing_two(live: Live, calls: Recording, admin: str) -> None:
    save(live, admin)
    save(live, admin, "pm_card_mastercard")
    visa, mastercard = (one["id"] for one in listed(live, admin))
    before = len(calls.calls)
    make_default(live, admin, mastercard)
    assert made(calls, after=before) == ["POST /v1/customers/{} 200"]
    chosen = PaymentMethod.objects.get(pk=mastercard).stripe_id
    assert sent(calls, before) == {"invoice_settings[default_payment_method]": [chosen]}
    assert remove(live, admin, mastercard) == 204
    assert made(calls, after=before + 1) == ["POST /v1/payment_methods/{}/detach 200", "POST /v1/customers/{} 200"]
    assert remove(live, admin, visa) == 204
    assert made(calls, after=before + 3) == ["POST /v1/payment_methods/{}/detach 200"]


def test_what_is_gone_at_stripe_is_looked_at(live: Live, calls: Recording, admin: str) -> None:
    live.sandbox.post("misbehaviour", act="drop", share=1, types=["payment_method.detached"])
    methods = [save(live, admin), save(live, admin, "pm_card_mastercard")]
    ids = [one["id"] for one in listed(live, admin)]
    for method in methods:
        live.sandbox.stripe("POST", f"/v1/payment_methods/{method}/detach")
    before = len(calls.calls)
    assert remove(live, admin, ids[0]) == 204
    make_default(live, admin, ids[1], 404)
    look = "GET /v1/payment_methods/{} 200"
    assert made(calls, after=before) == [
        "POST /v1/payment_methods/{}/detach 400", look, "POST /v1/customers/{} 400",  # what became the default: not told
        "POST /v1/customers/{} 400", "GET /v1/customers/{} 200", look,  # is it the customer that is gone, or the method?
    ]  # fmt: skip
    assert live.get(METHODS, token=admin, organization_id=Organization.objects.get().pk) == {"payment_methods": []}


def test_the_sweep_asks_for_the_list_and_the_default(live: Live, calls: Recording, admin: str) -> None:
    save(live, admin)
    before = len(calls.calls)
    live.sweep()
    told = "POST /v1/customers/{} 200"
    assert made(calls, after=before) == ["GET /v1/customers/{} 200", "GET /v1/payment_methods 200", told]
    live.sweep()
    assert len(calls.calls) == before + 3


def test_a_deleted_customer_costs_one_look_and_a_new_one(live: Live, calls: Recording, admin: str) -> None:
    set_up(live, admin)
    before = len(calls.calls)
    live.sandbox.post("misbehaviour", act="drop", share=1, types=["customer.deleted"])
    live.sandbox.stripe("DELETE", f"/v1/customers/{Organization.objects.get().stripe_customer}")
    set_up(live, admin)
    create = "POST /v1/setup_intents"
    anew = [f"{create} 400", "GET /v1/customers/{} 200", "POST /v1/customers 200", f"{create} 200"]
    assert made(calls, after=before) == anew
    set_up(live, admin)
    assert made(calls, after=before + 4) == [f"{create} 200"]
    assert sent(calls, before + 3)["customer"] == [Organization.objects.get().stripe_customer]


# -- the sandbox ------------------------------------------------------------------------------------
@pytest.fixture
def customer(client: stripe.StripeClient) -> str:
    return client.v1.customers.create({"name": "Food bank"}).id


def charge(client: stripe.StripeClient, customer: str, method: str) -> stripe.PaymentIntent:
    """As an automatic top-up does."""
    automatic: Any = {"enabled": True}
    return client.v1.payment_intents.create(
        {
            "amount": 2000,
            "currency": "eur",
            "customer": customer,
            "payment_method": method,
            "automatic_payment_methods": automatic,
            "off_session": True,
            "confirm": True,
        }
    )


def test_a_card_set_up_from_the_page_is_charged_without_its_holder(
    client: stripe.StripeClient, proxy: Recording, customer: str
) -> None:
    automatic: Any = {"enabled": True}
    begun = client.v1.setup_intents.create({"customer": customer, "usage": "off_session", "automatic_payment_methods": automatic})
    client.v1.setup_intents.confirm(begun.id, {"payment_method": "pm_card_visa", "return_url": "http://127.0.0.1:8000/x"})
    done = client.v1.setup_intents.retrieve(begun.id)
    assert charge(client, customer, str(done.payment_method)).status == "succeeded"
    assert (proxy.violations, len(proxy.calls)) == ([], 5)


@pytest.mark.parametrize(
    ("card", "code"),
    [
        ("authenticationRequiredOnSetup", "authentication_required"),
        ("authenticationRequired", "authentication_required"),
        ("chargeCustomerFail", "card_declined"),
    ],
)
def test_an_attached_card_that_is_refused_has_the_published_shape(
    client: stripe.StripeClient, proxy: Recording, customer: str, card: str, code: str
) -> None:
    method = client.v1.payment_methods.attach(f"pm_card_{card}", {"customer": customer}).id
    with pytest.raises(stripe.CardError) as caught:
        charge(client, customer, method)
    assert (caught.value.http_status, caught.value.code) == (402, code)
    assert (proxy.violations, len(proxy.calls)) == ([], 3)


def test_a_cards_life_from_its_first_payment_to_its_end(
    client: stripe.StripeClient, proxy: Recording, sandbox_url: str, customer: str
) -> None:
    params: Any = {"amount": 2000, "currency": "eur", "customer": customer, "payment_method": "pm_card_visa", "confirm": True,
                   "payment_method_types": ["card"], "setup_future_usage": "off_session"}  # fmt: skip
    method = str(client.v1.payment_intents.create(params).payment_method)
    client.v1.customers.update(customer, {"invoice_settings": {"default_payment_method": method}})
    client.v1.payment_methods.update(method, {"card": {"exp_month": 3, "exp_year": 2044}})
    act = f"{sandbox_url}/_sandbox/payment_methods/{method}"
    requests.post(f"{act}/renew_card", json={"exp_month": 2, "exp_year": 2045}, timeout=20)
    requests.post(f"{act}/expire_card", timeout=20)
    with pytest.raises(stripe.CardError) as caught:
        charge(client, customer, method)
    client.v1.payment_methods.list({"customer": customer})
    client.v1.payment_methods.detach(method)
    told = {str(event.type) for event in client.v1.events.list({"limit": 100}).data}
    life = {f"payment_method.{kind}" for kind in ("attached", "updated", "automatically_updated", "detached")}
    assert (caught.value.code, told & {*life, "customer.updated"}) == ("expired_card", {*life, "customer.updated"})
    assert (proxy.violations, len(proxy.calls)) == ([], 8)
