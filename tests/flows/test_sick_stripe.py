"""Stripe fails, limits, hangs, or loses its answer while a session is made: a clear refusal, and one session in the end."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest
import requests

from donations.models import Donation
from payments.models import Payment, StripeCall
from tests.live import Live, a_campaign

GIVE = "/api/donations/create-checkout-session/"
CREATE = r"/v1/checkout/sessions$"
RETRIEVE = r"/v1/checkout/sessions/cs_"


@pytest.fixture(autouse=True)
def _impatient(settings) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 0
    settings.STRIPE_READ_TIMEOUT_S = 1


def sessions(live: Live) -> list[Any]:
    return live.sandbox.objects("checkout.session")


ILLNESSES = [
    pytest.param({"status": 500, "stage": "before"}, 502, "stripe_unavailable", 0, id="500 before the work"),
    pytest.param({"status": 500, "stage": "after"}, 502, "stripe_unavailable", 1, id="500 after the work"),
    pytest.param({"status": 503, "stage": "before"}, 502, "stripe_unavailable", 0, id="503"),
    pytest.param({"status": 429, "stage": "before"}, 429, "stripe_busy", 0, id="429"),
    pytest.param({"status": "hang", "seconds": 3}, 504, "stripe_timeout", 0, id="silence"),
    pytest.param({"status": "drop_response"}, 502, "stripe_unavailable", 1, id="the answer is lost"),
    pytest.param({"status": "delay", "seconds": 2}, 504, "stripe_timeout", 1, id="the answer comes too late"),
]


@pytest.mark.parametrize(("fault", "status", "code", "made"), ILLNESSES)
def test_failure_is_told_and_the_retry_makes_one_session(
    live: Live, fault: dict[str, Any], status: int, code: str, made: int
) -> None:
    campaign = a_campaign()
    live.sandbox.post("faults", method="POST", path=CREATE, **fault)
    gift = {"campaign_id": campaign, "email": "ada@example.org"}
    answer = live.ask("POST", GIVE, json={"amount": 25, **gift}, headers={"Idempotency-Key": "a"})
    refused = answer.json()
    assert (answer.status_code, refused["success"], refused["code"]) == (status, False, code)
    assert set(refused) == {"success", "error", "code"}
    assert "v1" not in refused["error"]
    assert (status == 429) == ("Retry-After" in answer.headers)
    time.sleep(2.1 if fault["status"] == "delay" else 0)
    assert len(sessions(live)) == made
    started = live.give(key="a", **gift)
    assert [session["id"] for session in sessions(live)] == [started["session_id"]]
    assert (Payment.objects.count(), Donation.objects.count()) == (1, 1)
    live.pay(started)
    assert live.total(campaign) == ("25.00", 1, 1)


def test_each_try_after_a_500_goes_under_a_new_key(live: Live) -> None:
    """Stripe keeps a 500 under its idempotency key and would replay it for ever."""
    live.sandbox.post("faults", method="POST", path=CREATE, status=500, stage="before", count=2)
    live.give(502, key="a")
    live.give(502, key="a")
    started = live.give(key="a")
    assert live.give(key="a") == started
    assert len(sessions(live)) == 1
    assert list(StripeCall.objects.order_by("attempt").values_list("attempt", "error_status")) == [(1, 500), (2, 500), (3, None)]


def test_retries_at_once_after_a_500_make_one_session(live: Live) -> None:
    live.sandbox.post("faults", method="POST", path=CREATE, status=500, stage="before")
    live.give(502, key="a")

    def again(_: int) -> tuple[int, Any]:
        answer = requests.post(live.url + GIVE, json={"amount": 25}, headers={"Idempotency-Key": "a"}, timeout=30)
        return answer.status_code, answer.json().get("session_id")

    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(again, range(6)))
    assert answers == {(200, sessions(live)[0]["id"])}
    assert len(sessions(live)) == 1


def test_payment_of_a_session_whose_answer_was_lost_is_recorded(live: Live) -> None:
    """The donor never saw the address, but whoever pays that session has given."""
    campaign = a_campaign()
    live.sandbox.post("faults", method="POST", path=CREATE, status="drop_response")
    live.give(502, campaign_id=campaign)
    lost = sessions(live)[0]["id"]
    live.pay({"session_id": lost}, email="ada@example.org")
    assert live.total(campaign) == ("25.00", 1, 1)
    assert Payment.objects.get().checkout_session == lost
    assert live.status({"session_id": lost}) == "completed"


def test_short_illness_is_healed_by_the_retries_within_one_request(live: Live, settings) -> None:
    settings.STRIPE_MAX_NETWORK_RETRIES = 2
    live.sandbox.post("faults", method="POST", path=CREATE, status="drop_response")
    live.sandbox.post("faults", method="POST", path=CREATE, status=503, stage="before")
    live.give()
    assert len(sessions(live)) == 1
    assert StripeCall.objects.get().answered_at is not None


def test_stripe_that_is_not_there_at_all(live: Live, settings) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    refused = live.give(502)
    assert refused["code"] == "stripe_unavailable"
    assert sessions(live) == []


def test_wrong_key_says_nothing_of_the_key(live: Live, settings, caplog) -> None:
    settings.STRIPE_SECRET_KEY = "sk_live_" + "q" * 24
    refused = live.give(502)
    assert refused["code"] == "stripe_unavailable"
    assert "sk_" not in str(refused)
    assert "q" * 24 not in caplog.text


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 429}, {"status": "hang", "seconds": 3}, {"status": "drop_response"}]
)
def test_success_page_answers_from_the_database_while_stripe_is_sick(live: Live, fault: dict[str, Any]) -> None:
    campaign = a_campaign()
    live.sandbox.post("misbehaviour", act="drop", share=1)
    started = live.give(campaign_id=campaign, email="ada@example.org")
    live.pay(started)
    live.sandbox.post("faults", method="GET", path=RETRIEVE, **fault)
    assert live.status(started) == "pending"
    assert live.status(started) == "completed"
    assert live.total(campaign) == ("25.00", 1, 1)


def test_hanging_stripe_blocks_no_other_request(live: Live) -> None:
    campaign = a_campaign()
    live.sandbox.post("faults", method="POST", path=CREATE, status="hang", seconds=3)
    with requests.Session() as other:
        giving = Thread(target=lambda: other.post(live.url + GIVE, json={"amount": 5}, timeout=9))
        giving.start()
        while live.sandbox.rules("faults"):
            time.sleep(0.01)
        began = time.monotonic()
        live.campaign(campaign)
        live.give(campaign_id=campaign)
        took_s = time.monotonic() - began
        giving.join()
    assert took_s < 0.9
