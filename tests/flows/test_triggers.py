"""`stripe trigger` of Stripe's own command-line program: money that this system never asked for, in every shape.

Each event is triggered by the calls that the program makes, and, where it is installed, by the program itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from payments.models import Dispute, Payment, StripeEvent, Transfer
from tests.live import Live

STRIPE = shutil.which("stripe")
TELLS_NO_ONE = {"STRIPE_CLI_TELEMETRY_OPTOUT": "1", "DO_NOT_TRACK": "1", "HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9",
                "NO_PROXY": "127.0.0.1"}  # fmt: skip


def by_program(live: Live, event: str, home: Path) -> None:
    env = os.environ | TELLS_NO_ONE | {"HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    command = [str(STRIPE), "trigger", event, "--api-base", live.sandbox.url, "--api-key", "sk_test_" + "c" * 24]
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def by_calls(live: Live, event: str, home: Path) -> None:
    CALLS[event](live)


def _intent(live: Live, method: str, amount: int) -> Any:
    return live.sandbox.stripe(
        "POST",
        "/v1/payment_intents",
        **{"amount": amount, "currency": "usd", "confirm": "true", "payment_method": method, "payment_method_types[]": "card"},
    )


def _session(live: Live, currency: str = "usd") -> str:
    product = live.sandbox.stripe("POST", "/v1/products", name="myproduct", description="(created by Stripe CLI)")
    price = live.sandbox.stripe("POST", "/v1/prices", product=product["id"], unit_amount=1500, currency=currency)
    lines = {"line_items[0][price]": price["id"], "line_items[0][quantity]": 2}
    params = {
        "mode": "payment",
        "success_url": "https://example.com/success",
        "cancel_url": "https://example.com/cancel",
        **lines,
    }
    if currency == "eur":
        params["payment_method_types[]"] = "sepa_debit"
    return str(live.sandbox.stripe("POST", "/v1/checkout/sessions", **params)["id"])


def _pay_page(live: Live, session: str, **method: str) -> None:
    billing = {"billing_details[email]": "stripe@example.com", "billing_details[name]": "Jenny Rosen"}
    made = live.sandbox.stripe("POST", "/v1/payment_methods", **billing, **method)
    live.sandbox.stripe("GET", f"/v1/payment_pages/{session}")
    live.sandbox.stripe("POST", f"/v1/payment_pages/{session}/confirm", payment_method=made["id"], expected_amount=3000)


def _debit(live: Live, iban: str) -> None:
    _pay_page(live, _session(live, "eur"), type="sepa_debit", **{"sepa_debit[iban]": iban})


CALLS: dict[str, Callable[[Live], Any]] = {
    "payment_intent.succeeded": lambda live: _intent(live, "pm_card_visa", 2000),
    "payment_intent.payment_failed": lambda live: _intent(live, "pm_card_chargeDeclined", 2000),
    "charge.refunded": lambda live: live.sandbox.stripe(
        "POST", "/v1/refunds", payment_intent=_intent(live, "pm_card_visa", 100)["id"]
    ),
    "charge.dispute.created": lambda live: _intent(live, "pm_card_createDisputeInquiry", 100),
    "checkout.session.completed": lambda live: _pay_page(live, _session(live), type="card", **{"card[token]": "tok_visa"}),
    "checkout.session.async_payment_succeeded": lambda live: _debit(live, "AT611904300234573201"),
    "checkout.session.async_payment_failed": lambda live: _debit(live, "IT60X0542811101000000123456"),
    "checkout.session.expired": lambda live: live.sandbox.stripe("POST", f"/v1/checkout/sessions/{_session(live)}/expire"),
}
# Debit, credit, amount, in the order of posting.
POSTED: dict[str, list[tuple[str, str, int]]] = {
    "payment_intent.succeeded": [("stripe:usd", "unmatched:usd", 2000)],
    "payment_intent.payment_failed": [],
    "charge.refunded": [("stripe:usd", "unmatched:usd", 100), ("unmatched:usd", "stripe:usd", 100)],
    "charge.dispute.created": [("stripe:usd", "unmatched:usd", 100)],
    "checkout.session.completed": [("stripe:usd", "unmatched:usd", 3000)],
    "checkout.session.async_payment_succeeded": [("stripe:eur", "unmatched:eur", 3000)],
    "checkout.session.async_payment_failed": [],
    "checkout.session.expired": [],
}
WITH_PROGRAM = pytest.param(
    by_program, id="program", marks=pytest.mark.skipif(STRIPE is None, reason="the Stripe CLI is not installed")
)


@pytest.mark.parametrize("trigger", [pytest.param(by_calls, id="calls"), WITH_PROGRAM])
@pytest.mark.parametrize("event", CALLS)
def test_triggered_event_reaches_us_and_its_money_is_found(
    live: Live, settings: Any, tmp_path: Path, event: str, trigger: Callable[[Live, str, Path], None]
) -> None:
    trigger(live, event, tmp_path)
    live.sandbox.advance(3601)  # delayed debits settle
    live.flush()
    assert {delivery["http_status"] for delivery in live.sandbox.deliveries()} == {200}
    assert StripeEvent.objects.filter(type=event).count() == 1
    assert set(StripeEvent.objects.values_list("state", flat=True)) <= {"ignored", "parked"}
    assert Payment.objects.count() == 0
    settings.PARKED_AFTER_S = 0
    live.sweep()
    live.run_tasks()
    posted = Transfer.objects.order_by("posted_at", "pk").values_list("debit_id", "credit_id", "amount_minor")
    assert list(posted) == POSTED[event]
    assert set(StripeEvent.objects.values_list("state", flat=True)) <= {"ignored", "applied"}
    assert Dispute.objects.count() == (event == "charge.dispute.created")
    assert live.receipts() == []
