"""Starting a payment: whatever happens to the answer, nothing is made twice and nobody is told what is not so."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
import responses
from django.db import connection
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from donations.models import Donation
from donations.tests.factories import CampaignFactory, pending_donation
from payments import checkout, stripe_gateway
from payments.models import Payment, StripeCall

STRIPE = "http://127.0.0.1:9/v1"
SESSIONS = f"{STRIPE}/checkout/sessions"
PATH = "/api/donations/create-checkout-session/"
ANSWER = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "url": "https://checkout.stripe.com/c/1",
    "client_secret": "s",
}
FAILURE = {"error": {"type": "api_error", "message": "An unknown error occurred."}}

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign(db: None) -> Campaign:
    return CampaignFactory(title="A well", summary="Water for all")


def give(body: dict[str, Any], key: str = "", **extra: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return Client(raise_request_exception=False).post(PATH, body, content_type="application/json", headers=headers, **extra)


def sent(stripe: responses.RequestsMock) -> list[tuple[str, str, dict[str, str]]]:
    """Method, idempotency key and parameters of every request."""
    told = []
    for call in stripe.calls:
        body = call.request.body or ""
        params = dict(parse_qsl(body.decode() if isinstance(body, bytes) else str(body)))
        told.append((str(call.request.method), call.request.headers.get("Idempotency-Key", ""), params))
    return told


def test_a_gift_is_committed_with_its_call_before_stripe_is_asked(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    seen: list[tuple[int, int, bool]] = []

    def look(request: Any) -> tuple[int, dict[str, str], str]:
        seen.append((Donation.objects.count(), StripeCall.objects.filter(answered_at=None).count(), connection.in_atomic_block))
        return 200, {}, '{"id": "cs_test_1", "url": "https://checkout.stripe.com/c/1"}'

    stripe.add_callback(responses.POST, SESSIONS, look)
    answer = give({"amount": 25, "campaign_id": campaign.pk, "donor_name": "Ada", "email": "Ada@Example.org"})
    payment, call = Payment.objects.get(), StripeCall.objects.get()
    assert answer.json() == {"url": ANSWER["url"], "session_id": "cs_test_1", "donation_id": Donation.objects.get().pk}
    assert seen[0][:2] == (1, 1)
    ((method, key, params),) = sent(stripe)
    assert (method, key) == ("POST", f"{payment.pk}:checkout.sessions.create:1")
    assert {name: params[name] for name in sorted(params)} == {
        "cancel_url": "http://127.0.0.1:8000/cancel",
        "client_reference_id": payment.pk,
        "customer_email": "ada@example.org",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][product_data][description]": "Water for all",
        "line_items[0][price_data][product_data][name]": "Donation to A well",
        "line_items[0][price_data][unit_amount]": "2500",
        "line_items[0][quantity]": "1",
        "metadata[payment]": payment.pk,
        "metadata[purpose]": "donation",
        "metadata[subject]": payment.subject_id,
        "mode": "payment",
        "payment_intent_data[description]": "Donation to A well",
        "payment_intent_data[metadata][payment]": payment.pk,
        "payment_intent_data[metadata][purpose]": "donation",
        "payment_intent_data[metadata][subject]": payment.subject_id,
        "submit_type": "donate",
        "success_url": "http://127.0.0.1:8000/success?session_id={CHECKOUT_SESSION_ID}",
        "ui_mode": "hosted_page",
    }
    assert (payment.checkout_session, payment.status) == ("cs_test_1", "open")
    assert call.answer == {"id": "cs_test_1", "url": ANSWER["url"]}


def test_no_client_secret_is_kept(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, json=ANSWER)
    give({"amount": 25, "campaign_id": campaign.pk})
    assert "client_secret" not in (StripeCall.objects.get().answer or {})


def test_the_same_key_and_body_give_the_same_answer_and_ask_stripe_once(
    stripe: responses.RequestsMock, campaign: Campaign
) -> None:
    stripe.post(SESSIONS, json=ANSWER)
    body = {"amount": "25.00", "campaign_id": campaign.pk}
    first, second = give(body, "key-1"), give(body, "key-1")
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert (Payment.objects.count(), Donation.objects.count(), len(stripe.calls)) == (1, 1, 1)


def test_the_same_key_with_another_body_is_refused(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, json=ANSWER)
    give({"amount": 25, "campaign_id": campaign.pk}, "key-1")
    answer = give({"amount": 26, "campaign_id": campaign.pk}, "key-1")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (Payment.objects.count(), Donation.objects.count(), len(stripe.calls)) == (1, 1, 1)


def test_an_amount_written_otherwise_is_the_same_request(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, json=ANSWER)
    told = [give({"amount": a, "campaign_id": campaign.pk}, "key-1").status_code for a in (25, "25", "25.00", 25.0)]
    assert told == [200, 200, 200, 200]


def test_a_retry_gets_its_first_answer_whatever_became_of_the_campaign(
    stripe: responses.RequestsMock, campaign: Campaign
) -> None:
    stripe.post(SESSIONS, json=ANSWER)
    body = {"amount": 25, "campaign_id": campaign.pk}
    first = give(body, "key-1")
    Campaign.objects.update(state="paused", minimum_minor=10_000)
    assert (give(body, "key-1").status_code, give(body, "key-1").json()) == (200, first.json())
    late = give(body, "key-2")
    assert (late.status_code, late.json()["code"]) == (409, "campaign_not_live")
    odd = give(body | {"amount": -25}, "key-1")
    assert (odd.status_code, odd.json()["code"]) == (400, "amount_too_small")
    assert (Payment.objects.count(), StripeCall.objects.count(), len(stripe.calls)) == (1, 1, 1)


def test_a_refused_session_leaves_payment_and_gift_abandoned(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, json={"error": {"type": "invalid_request_error", "message": "No."}}, status=400)
    assert give({"amount": 25, "campaign_id": campaign.pk}).status_code == 400
    assert (Payment.objects.get().status, Donation.objects.get().state) == ("canceled", "abandoned")


def test_two_clients_may_use_the_same_key(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, json=ANSWER)
    stripe.post(SESSIONS, json=ANSWER | {"id": "cs_test_2"})
    body = {"amount": 25, "campaign_id": campaign.pk}
    told = [give(body, "key-1", REMOTE_ADDR=address).json()["session_id"] for address in ("192.0.2.1", "192.0.2.2")]
    assert told == ["cs_test_1", "cs_test_2"]
    assert Payment.objects.count() == 2


@pytest.mark.parametrize("key", ["x" * 256, "ключ", "a\x7fb"])
def test_a_key_that_cannot_be_one_is_refused(key: str, campaign: Campaign) -> None:
    answer = give({"amount": 25, "campaign_id": campaign.pk}, key)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["Idempotency-Key"])
    assert Payment.objects.count() == 0


def test_after_a_timeout_the_next_try_sends_the_same_under_the_same_key(
    stripe: responses.RequestsMock, campaign: Campaign
) -> None:
    stripe.post(SESSIONS, body=requests.exceptions.ReadTimeout())
    stripe.post(SESSIONS, json=ANSWER)
    body = {"amount": 25, "campaign_id": campaign.pk}
    lost, answered = give(body, "key-1"), give(body, "key-1")
    assert (lost.status_code, lost.json()["code"]) == (504, "stripe_timeout")
    assert (answered.status_code, answered.json()["session_id"]) == (200, "cs_test_1")
    first, second = sent(stripe)
    assert first == second
    assert (Payment.objects.count(), StripeCall.objects.count()) == (1, 1)


def test_after_a_stored_500_the_session_that_was_made_all_the_same_is_found(
    stripe: responses.RequestsMock, campaign: Campaign
) -> None:
    stripe.post(SESSIONS, json=FAILURE, status=500)
    body = {"amount": 25, "campaign_id": campaign.pk}
    assert give(body, "key-1").status_code == 502
    made = ANSWER | {"client_reference_id": Payment.objects.get().pk}
    others = [{"id": "cs_test_9", "client_reference_id": None}, {"id": "cs_test_8", "client_reference_id": "pay_other"}]
    stripe.get(SESSIONS, json={"data": [*others, made], "has_more": False})
    assert give(body, "key-1").json()["session_id"] == "cs_test_1"
    assert [method for method, _, _ in sent(stripe)] == ["POST", "GET"]
    assert (Payment.objects.get().checkout_session, StripeCall.objects.get().attempt) == ("cs_test_1", 1)


def test_after_a_stored_500_that_made_nothing_a_new_attempt_has_a_new_key(
    stripe: responses.RequestsMock, campaign: Campaign
) -> None:
    stripe.post(SESSIONS, json=FAILURE, status=500)
    stripe.get(SESSIONS, json={"data": [], "has_more": False})
    stripe.post(SESSIONS, json=ANSWER)
    body = {"amount": 25, "campaign_id": campaign.pk}
    assert [give(body, "key-1").status_code for _ in range(2)] == [502, 200]
    first, _, third = sent(stripe)
    assert (first[1][-2:], third[1][-2:], first[2]) == (":1", ":2", third[2])
    assert Payment.objects.count() == 1


def test_a_409_of_stripe_is_sent_again_under_the_same_key(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, json={"error": {"type": "invalid_request_error", "code": "idempotency_key_in_use"}}, status=409)
    stripe.post(SESSIONS, json=ANSWER)
    body = {"amount": 25, "campaign_id": campaign.pk}
    assert [give(body, "key-1").status_code for _ in range(2)] == [502, 200]
    assert sent(stripe)[0] == sent(stripe)[1]


def test_a_call_older_than_its_key_is_never_sent_again(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, body=requests.exceptions.ConnectionError())
    body = {"amount": 25, "campaign_id": campaign.pk}
    assert give(body, "key-1").json()["code"] == "stripe_unavailable"
    StripeCall.objects.update(created_at=timezone.now() - timedelta(hours=23, minutes=1))
    answer = give(body, "key-1")
    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_expired")
    assert len(stripe.calls) == 1


def test_an_answer_that_is_known_is_given_however_old_it_is(stripe: responses.RequestsMock, campaign: Campaign) -> None:
    stripe.post(SESSIONS, json=ANSWER)
    body = {"amount": 25, "campaign_id": campaign.pk}
    give(body, "key-1")
    StripeCall.objects.update(created_at=timezone.now() - timedelta(days=3))
    assert give(body, "key-1").json()["session_id"] == "cs_test_1"


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_the_same_request_sixteen_times_at_once_is_one_payment(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []

    def create(operation: str, params: Any, *, idempotency_key: str) -> dict[str, Any]:
        keys.append(idempotency_key)
        return ANSWER

    monkeypatch.setattr(stripe_gateway, "create", create)
    monkeypatch.setattr("conventions.rate_limits.seconds_over_limit", lambda request, group: 0)
    answers: list[tuple[int, str]] = []
    barrier = threading.Barrier(16)

    def go() -> None:
        barrier.wait()
        answer = give({"amount": 25, "campaign_id": campaign.pk}, "key-1")
        answers.append((answer.status_code, answer.content.decode()))
        connection.close()

    run_all([go] * 16)
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1
    assert (Payment.objects.count(), Donation.objects.count(), StripeCall.objects.count(), len(set(keys))) == (1, 1, 1, 1)


def run_all(targets: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=target) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_planned_call_is_planned_once(campaign: Campaign) -> None:
    payment = pending_donation(campaign=campaign).payment
    assert checkout.plan_call(payment.pk, "checkout.sessions.create", {}).key == f"{payment.pk}:checkout.sessions.create:1"
    assert checkout.latest_call(payment.pk, "checkout.sessions.create").attempt == 1
