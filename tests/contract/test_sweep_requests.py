"""What the sweep asks Stripe for when calls and nudges got lost, against the sandbox, judged by the published shape."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django_tasks_db.models import DBTaskResult

from donations.models import Donation
from payments import sweeping
from payments.models import Payment, Refund, StripeCall
from tests.contract.recording_proxy import Recording, recording
from tests.live import Live


@pytest.fixture
def calls(live: Live, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recording]:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    monkeypatch.setattr(sweeping, "SESSION_LIVES", timedelta(0))
    with recording(live.sandbox.url) as record:
        settings.STRIPE_API_BASE = record.url
        yield record
    # An answer that was dropped, as these tests ask for, has no shape.
    assert [told for told in record.violations if not told.endswith("the connection was dropped")] == []


def asked(calls: Recording) -> list[str]:
    shortened = [re.sub(r"/([a-z]{2})_[^/]*", r"/\1", call.path) for call in calls.calls]
    return [f"{call.method} {path} {call.status}" for call, path in zip(calls.calls, shortened, strict=True)]


def test_a_session_whose_answer_was_lost_is_found_and_can_be_paid(live: Live, calls: Recording) -> None:
    live.sandbox.post("faults", method="POST", path="/v1/checkout/sessions$", status="drop_response")
    live.give(502, email="ada@example.org")
    assert Payment.objects.get().checkout_session is None
    assert live.sweep()["lost_sessions"] == 1
    [session] = live.sandbox.objects("checkout.session")
    assert (Payment.objects.get().checkout_session, Payment.objects.get().status) == (session["id"], "open")
    assert asked(calls)[1:3] == ["GET /v1/checkout/sessions 200", "GET /v1/checkout/sessions/cs 200"]
    assert live.sweep()["lost_sessions"] == 0
    live.pay({"session_id": session["id"]})
    assert Donation.objects.get().state == "paid"


def test_a_session_that_stripe_never_made_is_given_up_and_not_made(live: Live, calls: Recording) -> None:
    live.sandbox.post("faults", method="POST", path="/v1/checkout/sessions$", status="hang", seconds=0)
    live.give(502, email="ada@example.org")
    assert live.sweep()["lost_sessions"] == 1
    assert (Payment.objects.get().status, Donation.objects.get().state) == ("canceled", "abandoned")
    assert live.sandbox.objects("checkout.session") == []
    assert (len([line for line in asked(calls) if line.startswith("POST")]), StripeCall.objects.count()) == (1, 1)


def test_a_refund_of_which_only_the_charge_told_and_whose_task_was_lost_is_fetched(live: Live, calls: Recording) -> None:
    paid = live.give_and_pay()
    live.sandbox.post("misbehaviour", act="drop", share=1, types=["refund.created", "refund.updated"])
    live.sandbox.post("refunds", payment_intent=paid["payment_intent"]["id"], amount=700)
    live.sandbox.post("deliveries/flush", timeout_s=20)
    DBTaskResult.objects.all().delete()
    assert (Payment.objects.get().refunded_minor, Payment.objects.get().seen_refunded_minor) == (0, 700)
    assert live.sweep()["fetched_refunds"] == 1
    assert (Payment.objects.get().refunded_minor, Refund.objects.get().status) == (700, "succeeded")
    assert asked(calls)[-1] == "GET /v1/refunds 200"
