"""Every call that the project makes to Stripe, judged strictly by Stripe's published shape, and counted.

Each function of the gateway is reached by the flow that needs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.utils import timezone

from payments import stripe_gateway
from payments.models import Payment
from payments.refunds import request_refund, send_refund
from tests.contract.recording_proxy import Recording, recording
from tests.live import Live, a_campaign

EVERYTHING = {
    "amount": "12.34",
    "donor_name": "Ada",
    "email": "ada@example.org",
    "message": "Hello\nand thanks",
    "anonymous": True,
    "dedication": {"kind": "in_memory", "name": "Rosa & co"},
}


@pytest.fixture
def calls(live: Live, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    """What passes between the project and Stripe in this test."""
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    with recording(live.sandbox.url) as record:
        settings.STRIPE_API_BASE = record.url
        yield record


def made(calls: Recording) -> list[str]:
    """Method and path of each call, ids shortened; and not one may depart from the published shape."""
    assert calls.violations == []
    return [f"{call.method} {_short(call.path)} {call.status}" for call in calls.calls]


def _short(path: str) -> str:
    """`/v1/refunds/re_3yb5…` as `/v1/refunds/re`."""
    return re.sub(r"/([a-z]{2})_[^/]*", r"/\1", path)


def sent(calls: Recording, index: int) -> dict[str, list[str]]:
    return parse_qs(calls.calls[index].body.decode())


def test_gift_with_all_that_a_form_can_say_is_one_call(live: Live, calls: Recording) -> None:
    campaign = a_campaign(title="Clean water " * 16, summary="Wells & <pumps> for everyone. " * 9)
    live.pay(live.give(campaign_id=campaign, **EVERYTHING))
    assert made(calls) == ["POST /v1/checkout/sessions 200"]
    body = sent(calls, 0)
    assert body["line_items[0][price_data][unit_amount]"] == ["1234"]
    assert body["client_reference_id"] == body["metadata[payment]"] == [Payment.objects.get().pk]
    assert not {"message", "dedication", "Rosa", "Hello"} & set(str(body).replace("&", " ").split())


@pytest.mark.parametrize(("currency", "amount"), [("jpy", 500), ("kwd", "5.12"), ("isk", 1500), ("huf", 2000), ("eur", 5)])
def test_gift_in_any_currency_is_one_call(live: Live, calls: Recording, currency: str, amount: object) -> None:
    live.give(campaign_id=a_campaign(currency=currency), amount=amount)
    assert made(calls) == ["POST /v1/checkout/sessions 200"]


def test_success_page_looks_once_until_the_gift_is_settled(live: Live, calls: Recording) -> None:
    live.sandbox.post("misbehaviour", act="drop", share=1)
    started = live.give(email="ada@example.org")
    live.pay(started)
    assert [live.status(started) for _ in range(3)] == ["completed"] * 3
    assert made(calls) == ["POST /v1/checkout/sessions 200", "GET /v1/checkout/sessions/cs 200"]


def test_refund_is_one_call(live: Live, calls: Recording) -> None:
    live.give_and_pay()
    asked = request_refund(
        payment_id=Payment.objects.get().pk, amount_minor=700, reason="duplicate", note="for staff only", requested_by=None
    )
    send_refund(asked)
    send_refund(asked)
    live.flush()
    # charge.refunded may arrive before Stripe's answer is settled; then, and only then, the refunds are fetched.
    assert made(calls)[:2] == ["POST /v1/checkout/sessions 200", "POST /v1/refunds 200"]
    assert set(made(calls)[2:]) <= {"GET /v1/refunds 200"}
    assert sent(calls, 1)["amount"] == ["700"]
    assert "staff" not in calls.calls[1].body.decode()


def test_refunds_are_fetched_when_their_events_are_missing(live: Live, calls: Recording) -> None:
    started = live.give_and_pay()
    live.sandbox.post("misbehaviour", act="drop", share=1, types=["refund.created", "refund.updated"])
    live.sandbox.post("refunds", payment_intent=started["payment_intent"]["id"], amount=700)
    live.flush()
    assert made(calls) == ["POST /v1/checkout/sessions 200", "GET /v1/refunds 200"]


def test_lost_session_is_looked_for_after_a_500(live: Live, calls: Recording) -> None:
    live.sandbox.post("faults", method="POST", path="/v1/checkout/sessions$", status=500, stage="after")
    live.give(502, key="a")
    live.give(key="a")
    assert made(calls) == ["POST /v1/checkout/sessions 500", "GET /v1/checkout/sessions 200"]


def test_sweep_asks_how_old_sessions_ended(live: Live, calls: Recording) -> None:
    live.give()
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.sandbox.advance(24 * 3600 + 60)
    Payment.objects.update(created_at=timezone.now() - timedelta(days=2))
    live.sweep()
    assert Payment.objects.get().status == "expired"
    assert made(calls) == ["POST /v1/checkout/sessions 200", "GET /v1/checkout/sessions/cs 200"]


def test_sweep_fetches_the_intent_behind_a_refund_of_unknown_money(live: Live, calls: Recording, settings: Any) -> None:
    settings.PARKED_AFTER_S = 0
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.sandbox.post("payment_links/pay", amount=4200, email="ada@example.org")
    live.flush()
    live.sandbox.http.delete(f"{live.sandbox.url}/_sandbox/misbehaviour", timeout=9)
    live.sandbox.post("refunds", charge=live.sandbox.objects("charge")[0]["id"], amount=700)
    live.sandbox.post("misbehaviour", act="drop", share=1)
    live.flush()
    live.sweep()
    payment = Payment.objects.get()
    assert (payment.purpose, payment.amount_minor, payment.refunded_minor) == ("unmatched", 4200, 700)
    assert set(made(calls)) <= {"GET /v1/payment_intents/pi 200", "GET /v1/refunds 200"}
    assert "GET /v1/payment_intents/pi 200" in made(calls)


def test_charge_alone_can_be_fetched(live: Live, calls: Recording) -> None:
    """For money that has no intent, as charges made before 2019 have none."""
    live.give_and_pay()
    charge = stripe_gateway.retrieve_charge(live.sandbox.objects("charge")[0]["id"])
    assert charge["amount"] == 2500
    assert made(calls) == ["POST /v1/checkout/sessions 200", "GET /v1/charges/ch 200"]


def test_intent_can_be_made(calls: Recording) -> None:
    params = {"amount": 2500, "currency": "usd", "automatic_payment_methods": {"enabled": True}, "metadata": {"payment": "pay_1"}}
    made_one = stripe_gateway.create("payment_intents.create", params, idempotency_key="pay_1:payment_intents.create:1")
    again = stripe_gateway.create("payment_intents.create", params, idempotency_key="pay_1:payment_intents.create:1")
    assert again["id"] == made_one["id"]
    assert made(calls) == ["POST /v1/payment_intents 200"] * 2


def test_every_call_names_the_pinned_version_and_creations_a_key(live: Live, calls: Recording, settings: Any) -> None:
    live.give(key="a")
    [call] = live.sandbox.objects("checkout.session")
    assert call["id"] == Payment.objects.get().checkout_session
    answer = live.sandbox.stripe("GET", "/v1/checkout/sessions/" + call["id"])
    assert answer["object"] == "checkout.session"
    assert settings.STRIPE_API_VERSION == "2026-08-26.dahlia"
    assert made(calls) == ["POST /v1/checkout/sessions 200"]
