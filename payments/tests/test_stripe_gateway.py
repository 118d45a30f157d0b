"""Every error of Stripe and of the network becomes one of ours; lists are read to their end."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import responses

from payments import stripe_gateway
from payments.errors import CardDeclined, StripeBusy, StripeRefused, StripeTimeout, StripeUnavailable

STRIPE = "http://127.0.0.1:9/v1"
SESSIONS = f"{STRIPE}/checkout/sessions"

pytestmark = pytest.mark.django_db  # every call is counted


def error(kind: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"type": kind, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "raised", "code", "extra"),
    [
        (402, error("card_error", code="card_declined", decline_code="lost_card", message="Declined."), CardDeclined,
         "card_declined", {"decline_code": "lost_card"}),
        (402, error("card_error", code="expired_card", message="Expired."), CardDeclined, "card_declined",
         {"decline_code": "expired_card"}),
        (429, error("invalid_request_error", code="rate_limit"), StripeBusy, "stripe_busy", {}),
        (429, error("invalid_request_error", code="lock_timeout"), StripeBusy, "stripe_busy", {}),
        (401, error("invalid_request_error", message="Invalid API Key"), StripeUnavailable, "stripe_unavailable", {}),
        (403, error("invalid_request_error", message="no"), StripeUnavailable, "stripe_unavailable", {}),
        (400, error("idempotency_error", message="other parameters"), StripeUnavailable, "stripe_unavailable", {}),
        (400, error("invalid_request_error", code="amount_too_small", param="amount", message="Too small."), StripeRefused,
         "amount_too_small", {}),
        (400, error("invalid_request_error", message="Bad."), StripeRefused, "stripe_refused", {}),
        (404, error("invalid_request_error", code="resource_missing"), StripeRefused, "resource_missing", {}),
        (500, error("api_error"), StripeUnavailable, "stripe_unavailable", {}),
        (503, error("api_error"), StripeUnavailable, "stripe_unavailable", {}),
        (200, "not JSON", StripeUnavailable, "stripe_unavailable", {}),
    ],
)  # fmt: skip
def test_every_error_of_stripe_becomes_one_of_ours(
    stripe: responses.RequestsMock, status: int, body: Any, raised: type[Exception], code: str, extra: dict[str, str]
) -> None:
    stripe.get(f"{SESSIONS}/cs_test_1", status=status, **({"json": body} if isinstance(body, dict) else {"body": body}))
    with pytest.raises(raised) as caught:
        stripe_gateway.retrieve_session("cs_test_1")
    assert (type(caught.value), caught.value.code, caught.value.extra) == (raised, code, extra)  # type: ignore[attr-defined]
    assert "sk_test" not in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (requests.exceptions.ConnectTimeout(), StripeTimeout),
        (requests.exceptions.ReadTimeout(), StripeTimeout),
        (requests.exceptions.ConnectionError(), StripeUnavailable),
        (requests.exceptions.ChunkedEncodingError(), StripeUnavailable),
        (requests.exceptions.SSLError(), StripeUnavailable),
    ],
)
def test_a_network_that_fails_is_told_as_timeout_or_unavailable(
    stripe: responses.RequestsMock, failure: Exception, raised: type[Exception]
) -> None:
    stripe.get(f"{SESSIONS}/cs_test_1", body=failure)
    with pytest.raises(StripeUnavailable) as caught:
        stripe_gateway.retrieve_session("cs_test_1")
    assert type(caught.value) is raised


def test_a_list_is_read_page_by_page(stripe: responses.RequestsMock) -> None:
    stripe.get(f"{STRIPE}/refunds", json={"data": [{"id": "re_1"}], "has_more": True})
    stripe.get(f"{STRIPE}/refunds", json={"data": [{"id": "re_2"}], "has_more": False})
    assert [refund["id"] for refund in stripe_gateway.list_refunds(payment_intent="pi_1")] == ["re_1", "re_2"]
    assert "starting_after=re_1" in str(stripe.calls[1].request.url)
