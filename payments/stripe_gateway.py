"""The only file that calls Stripe.

Every function answers plain dicts as Stripe sent them, and raises only the errors of `payments.errors`. Never call
it inside a transaction: a slow network would hold locks on money.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import requests
import stripe
from django.conf import settings

from payments.errors import CardDeclined, StripeBusy, StripeRefused, StripeTimeout, StripeUnavailable

logger = logging.getLogger(__name__)

Json = dict[str, Any]
MOST_PAGES = 50
# https://docs.stripe.com/error-codes
AMOUNT_CODES = frozenset({"amount_too_small", "amount_too_large", "invalid_charge_amount"})
PAID_SESSION = ["payment_intent.latest_charge"]


@lru_cache(maxsize=8)
def _client(key: str, api_base: str | None, retries: int, timeout: tuple[int, int]) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": api_base} if api_base else None,
        max_network_retries=retries,  # a StripeClient retries nothing unless told
        http_client=stripe.RequestsClient(timeout=timeout),
    )


def client() -> stripe.StripeClient:
    timeout = (settings.STRIPE_CONNECT_TIMEOUT_S, settings.STRIPE_READ_TIMEOUT_S)
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_MAX_NETWORK_RETRIES, timeout)


# -- calls that make something: always with a key that was committed before ---------------------------
CREATE: dict[str, Callable[[stripe.StripeClient], Callable[..., Any]]] = {
    "checkout.sessions.create": lambda c: c.v1.checkout.sessions.create,
    "payment_intents.create": lambda c: c.v1.payment_intents.create,
    "refunds.create": lambda c: c.v1.refunds.create,
}


def create(operation: str, params: Mapping[str, Any], *, idempotency_key: str) -> Json:
    """Carry out one of `CREATE`; sent again with the same key and parameters it makes nothing new."""
    return _call(lambda: CREATE[operation](client())(dict(params), {"idempotency_key": idempotency_key}))


# -- calls that look ------------------------------------------------------------------------------
def retrieve_session(session: str) -> Json:
    return _call(lambda: client().v1.checkout.sessions.retrieve(session, {"expand": PAID_SESSION}))


def retrieve_intent(intent: str) -> Json:
    return _call(lambda: client().v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]}))


def retrieve_charge(charge: str) -> Json:
    return _call(lambda: client().v1.charges.retrieve(charge))


def list_refunds(*, payment_intent: str) -> Iterator[Json]:
    return _pages(client().v1.refunds.list, {"payment_intent": payment_intent})


def retrieve_refund(refund: str) -> Json:
    return _call(lambda: client().v1.refunds.retrieve(refund))


def find_refund(*, our_id: str, payment_intent: str) -> Json | None:
    """The refund that a lost call made, known by the id of ours in its metadata."""
    refunds = list_refunds(payment_intent=payment_intent)
    return next((refund for refund in refunds if (refund.get("metadata") or {}).get("refund") == our_id), None)


def find_session(*, client_reference_id: str, created_after: int) -> Json | None:
    """The session that a lost call made, looked for among those made since `created_after` (Unix seconds)."""
    for session in _pages(client().v1.checkout.sessions.list, {"created": {"gte": created_after}}):
        if session.get("client_reference_id") == client_reference_id:
            return session
    return None


def _pages(fetch: Callable[..., Any], filters: Json) -> Iterator[Json]:
    """All objects of a list, at most MOST_PAGES pages of a hundred."""
    params = {**filters, "limit": 100}
    for _ in range(MOST_PAGES):
        answer = _call(partial(fetch, params))
        yield from answer["data"]
        if not answer["has_more"]:
            return
        params = {**params, "starting_after": answer["data"][-1]["id"]}
    logger.warning("a list at Stripe has more than %s pages; the rest was not read", MOST_PAGES)


# -- errors -----------------------------------------------------------------------------------------
def _call(send: Callable[[], Any]) -> Json:
    """Send, and turn Stripe's errors into ours: what Stripe says for people is passed on, the rest is logged."""
    try:
        answer: Json = send().last_response.data
        return answer
    except stripe.CardError as error:
        decline_code = getattr(error.error, "decline_code", None)
        raise CardDeclined(
            error.user_message or "The card was declined.", extra={"decline_code": decline_code or error.code}
        ) from error
    except stripe.RateLimitError as error:
        logger.warning("Stripe limits our rate: %s", error)
        raise StripeBusy("The payment service is busy. Please try again in a few seconds.") from error
    except stripe.APIConnectionError as error:
        logger.warning("Stripe cannot be reached: %s", error)
        if isinstance(error.__cause__, requests.exceptions.Timeout):
            raise StripeTimeout("The payment service did not answer in time. Please try again.") from error
        raise StripeUnavailable("The payment service cannot be reached. Please try again.") from error
    except stripe.IdempotencyError as error:
        logger.error("Stripe knows our idempotency key with other parameters: %s", error)
        raise StripeUnavailable("The payment could not be prepared. Please start again.") from error
    except (stripe.AuthenticationError, stripe.PermissionError) as error:
        logger.critical("Stripe refuses our key: %s. Check STRIPE_SECRET_KEY.", error)
        raise StripeUnavailable("The payment service is not set up correctly. Please tell us.") from error
    except stripe.InvalidRequestError as error:
        logger.error("Stripe refuses our request: %s (%s, %s)", error, error.code, error.param)
        refused = StripeRefused(error.user_message or "The payment service refused this request.")
        refused.code = error.code or StripeRefused.code
        if refused.code in AMOUNT_CODES:  # a minimum that our table does not know
            refused.fields = {"amount": [refused.message]}
        raise refused from error
    except stripe.StripeError as error:
        logger.error("Stripe failed: %s (status %s)", error, error.http_status)
        unavailable = StripeUnavailable("The payment service has a problem. Please try again.")
        unavailable.stripe_status = error.http_status
        raise unavailable from error
