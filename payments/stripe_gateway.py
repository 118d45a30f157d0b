"""The only file that calls Stripe.

Every function answers plain dicts as Stripe sent them, and raises only the errors of `payments.errors`. Never call
it inside a transaction: a slow network would hold locks on money.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, cast

import requests
import stripe
from django.conf import settings

from payments.errors import CardDeclined, StripeBusy, StripeRefused, StripeTimeout, StripeUnavailable
from payments.measured_client import MeasuredClient

logger = logging.getLogger(__name__)

Json = dict[str, Any]
MOST_PAGES = 50
MOST_TYPES = 20  # of events that a list can be asked for
# https://docs.stripe.com/error-codes
AMOUNT_CODES = frozenset({"amount_too_small", "amount_too_large", "invalid_charge_amount"})
PAID_SESSION = ["payment_intent.latest_charge"]
PAGE = 100  # the most that Stripe gives at once
PATIENCE_TRIES, LONGEST_PAUSE_S = 8, 60


@lru_cache(maxsize=8)
def _client(key: str, api_base: str | None, retries: int, timeout: tuple[int, int]) -> stripe.StripeClient:
    return stripe.StripeClient(
        key,
        stripe_version=settings.STRIPE_API_VERSION,
        base_addresses={"api": api_base} if api_base else None,
        max_network_retries=retries,  # a StripeClient retries nothing unless told
        http_client=MeasuredClient(timeout=timeout),
    )


def client() -> stripe.StripeClient:
    timeout = (settings.STRIPE_CONNECT_TIMEOUT_S, settings.STRIPE_READ_TIMEOUT_S)
    return _client(settings.STRIPE_SECRET_KEY, settings.STRIPE_API_BASE, settings.STRIPE_MAX_NETWORK_RETRIES, timeout)


# -- calls that make something: always with a key that was committed before ---------------------------
CREATE: dict[str, Callable[[stripe.StripeClient], Callable[..., Any]]] = {
    "checkout.sessions.create": lambda c: c.v1.checkout.sessions.create,
    "payment_intents.create": lambda c: c.v1.payment_intents.create,
    "refunds.create": lambda c: c.v1.refunds.create,
    "customers.create": lambda c: c.v1.customers.create,
    "prices.create": lambda c: c.v1.prices.create,
    "setup_intents.create": lambda c: c.v1.setup_intents.create,
    "subscriptions.create": lambda c: c.v1.subscriptions.create,
}


def create(operation: str, params: Mapping[str, Any], *, idempotency_key: str) -> Json:
    """Carry out one of `CREATE`; sent again with the same key and parameters it makes nothing new."""
    return _call(lambda: CREATE[operation](client())(dict(params), {"idempotency_key": idempotency_key}))


# -- calls that look ------------------------------------------------------------------------------
def retrieve_session(session: str) -> Json:
    return _call(lambda: client().v1.checkout.sessions.retrieve(session, {"expand": PAID_SESSION}))


def retrieve_intent(intent: str) -> Json:
    return _call(lambda: client().v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]}))


def find_intent(*, customer: str, our_payment: str) -> Json | None:
    """The intent that a lost call made, known by the payment in its metadata."""
    for found in _pages(client().v1.payment_intents.list, {"customer": customer}, must_be_whole=True):
        if (found.get("metadata") or {}).get("payment") == our_payment:
            return found
    return None


def retrieve_charge(charge: str) -> Json:
    return _call(lambda: client().v1.charges.retrieve(charge))


def list_refunds(*, payment_intent: str) -> Iterator[Json]:
    return _pages(client().v1.refunds.list, {"payment_intent": payment_intent})


def retrieve_refund(refund: str) -> Json:
    return _call(lambda: client().v1.refunds.retrieve(refund))


def find_refund(*, our_id: str, payment_intent: str) -> Json | None:
    """The refund that a lost call made, known by the id of ours in its metadata."""
    refunds = _pages(client().v1.refunds.list, {"payment_intent": payment_intent}, must_be_whole=True)
    return next((refund for refund in refunds if (refund.get("metadata") or {}).get("refund") == our_id), None)


def find_sessions(*, client_reference_ids: Collection[str], created_after: datetime, created_before: datetime) -> dict[str, Json]:
    """The sessions that lost calls made, by their reference, looked for among those made in that time.

    Raises StripeUnavailable when there are too many to read: not found among some is not known to be absent.
    """
    wanted, found = set(client_reference_ids), dict[str, Json]()
    made = {"gte": int(created_after.timestamp()), "lte": int(created_before.timestamp())}
    for session in _pages(client().v1.checkout.sessions.list, {"created": made}, must_be_whole=True):
        if session.get("client_reference_id") in wanted:
            found[session["client_reference_id"]] = session
            if len(found) == len(wanted):
                break
    return found


# -- subscriptions -----------------------------------------------------------------------------------
def retrieve_subscription(subscription: str, *, expand: Sequence[str] = ()) -> Json:
    return _call(lambda: client().v1.subscriptions.retrieve(subscription, {"expand": list(expand)}))


def update_subscription(subscription: str, changes: Mapping[str, Any]) -> Json:
    """Says how things shall be, so that sending it twice changes nothing more."""
    return _call(lambda: client().v1.subscriptions.update(subscription, cast(Any, dict(changes))))


def cancel_subscription(subscription: str) -> Json:
    """End it now. One that has ended already is refused."""
    return _call(lambda: client().v1.subscriptions.cancel(subscription))


def find_subscription(*, customer: str, our_payment: str) -> Json | None:
    """The subscription that a lost call made, known by the payment in its metadata."""
    for found in _pages(client().v1.subscriptions.list, {"customer": customer, "status": "all"}):
        if (found.get("metadata") or {}).get("payment") == our_payment:
            return found
    return None


def retrieve_invoice(invoice: str) -> Json:
    return _call(lambda: client().v1.invoices.retrieve(invoice, {"expand": ["payments"]}))


def invoice_paid_by(intent: str) -> Json | None:
    """The invoice that an intent pays, with its payments; None for money that no invoice asked for."""
    filters: Any = {"payment": {"type": "payment_intent", "payment_intent": intent}, "limit": 1}
    found = _call(lambda: client().v1.invoice_payments.list(filters))["data"]
    return retrieve_invoice(str(found[0]["invoice"])) if found else None


def open_portal(*, customer: str, return_url: str) -> str:
    """The address of Stripe's own page for a customer's cards, invoices and subscriptions; good for some minutes."""
    answer = _call(lambda: client().v1.billing_portal.sessions.create({"customer": customer, "return_url": return_url}))
    return str(answer["url"])


# -- saved payment methods -----------------------------------------------------------------------------
def retrieve_setup_intent(intent: str) -> Json:
    return _call(lambda: client().v1.setup_intents.retrieve(intent))


def list_methods(*, customer: str) -> list[Json]:
    """All that are attached to the customer, of every type; some of them would say nothing of the others."""
    return list(_pages(client().v1.payment_methods.list, {"customer": customer}, must_be_whole=True))


def detach_method(method: str) -> Json:
    """For ever: Stripe attaches no method twice. One that is not attached is refused."""
    return _call(lambda: client().v1.payment_methods.detach(method))


def set_default_method(method: str, *, customer: str) -> Json:
    """What invoices charge. Says how things shall be, so that sending it twice changes nothing more."""
    settings_: Any = {"default_payment_method": method}
    return _call(lambda: client().v1.customers.update(customer, {"invoice_settings": settings_}))


# -- the account's webhook endpoints: for `stripe_setup` -------------------------------------------------
def list_webhook_endpoints() -> list[Json]:
    return list(_pages(client().v1.webhook_endpoints.list, {}, must_be_whole=True))


def create_webhook_endpoint(params: Mapping[str, Any]) -> Json:
    """The endpoint with its `secret`, which Stripe shows this once. (The SDK makes a key for its own retries; a second
    endpoint after a lost answer is seen by `stripe_setup --check`.)"""
    return _call(lambda: client().v1.webhook_endpoints.create(cast(Any, dict(params))))


def update_webhook_endpoint(endpoint: str, params: Mapping[str, Any]) -> Json:
    return _call(lambda: client().v1.webhook_endpoints.update(endpoint, cast(Any, dict(params))))


def delete_webhook_endpoint(endpoint: str) -> Json:
    return _call(lambda: client().v1.webhook_endpoints.delete(endpoint))


def has_events(*, types: Collection[str], created_after: int, delivered: bool) -> bool:
    """Whether any of these happened since (Unix seconds) and reached every endpoint, or has not reached one yet."""
    wanted = sorted(types)
    for start in range(0, len(wanted), MOST_TYPES):
        some = wanted[start : start + MOST_TYPES]
        filters = {"types": some, "created": {"gt": created_after}, "delivery_success": delivered, "limit": 1}
        if _call(partial(client().v1.events.list, cast(Any, filters)))["data"]:
            return True
    return False


def _pages(fetch: Callable[..., Any], filters: Json, *, must_be_whole: bool = False) -> Iterator[Json]:
    """All objects of a list, at most MOST_PAGES pages of a hundred."""
    params = {**filters, "limit": 100}
    for _ in range(MOST_PAGES):
        answer = _call(partial(fetch, params))
        yield from answer["data"]
        if not answer["has_more"]:
            return
        params = {**params, "starting_after": answer["data"][-1]["id"]}
    logger.warning("a list at Stripe has more than %s pages; the rest was not read", MOST_PAGES)
    if must_be_whole:
        raise StripeUnavailable("Stripe lists more objects than can be looked through. Please start again.")


# -- any object, as the mirror wants it ---------------------------------------------------------------
SERVICES: dict[str, Callable[[stripe.StripeClient], Any]] = {
    "checkout.session": lambda c: c.v1.checkout.sessions,
    "payment_intent": lambda c: c.v1.payment_intents,
    "charge": lambda c: c.v1.charges,
    "refund": lambda c: c.v1.refunds,
    "dispute": lambda c: c.v1.disputes,
    "balance_transaction": lambda c: c.v1.balance_transactions,
    "customer": lambda c: c.v1.customers,
    "payment_method": lambda c: c.v1.payment_methods,
    "payout": lambda c: c.v1.payouts,
}


def retrieve(kind: str, object_id: str, *, expand: Sequence[str] = ()) -> Json:
    params = {"expand": list(expand)} if expand else {}
    return _call(lambda: SERVICES[kind](client()).retrieve(object_id, params))


def retrieve_account() -> Json:
    """The account that our key belongs to."""
    return _call(lambda: client().v1.accounts.retrieve_current())


def list_page(kind: str, *, after: str, expand: Sequence[str], limit: int) -> tuple[list[Json], bool]:
    """The objects listed after the one with that id (from the newest on), and whether more follow."""
    params: Json = {"limit": limit} | ({"starting_after": after} if after else {})
    params |= {"expand": [f"data.{path}" for path in expand]} if expand else {}
    answer = _call(lambda: SERVICES[kind](client()).list(params))
    return answer["data"], bool(answer["has_more"])


# -- whole lists, however long: what reconcile reads -------------------------------------------------
# What is expanded is what `facts` needs: without its charge an intent does not say when it was paid.
LISTS: dict[str, tuple[Callable[[stripe.StripeClient], Callable[..., Any]], list[str]]] = {
    "events": (lambda c: c.v1.events.list, []),
    "sessions": (lambda c: c.v1.checkout.sessions.list, ["data.payment_intent.latest_charge"]),
    "intents": (lambda c: c.v1.payment_intents.list, ["data.latest_charge"]),
    "charges": (lambda c: c.v1.charges.list, []),
    "refunds": (lambda c: c.v1.refunds.list, []),
    "disputes": (lambda c: c.v1.disputes.list, []),
    "balance_transactions": (lambda c: c.v1.balance_transactions.list, ["data.source"]),
    "payouts": (lambda c: c.v1.payouts.list, []),
}


def pages(
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    after: str | None = None,
    on_pause: Callable[[str], None] = logger.warning,
    **filters: Any,
) -> Iterator[list[Json]]:
    """The objects of one of `LISTS` made from `since` on and before `until`, newest first, a hundred at a time.

    Goes on `after` the object with that id. There is no end but the list's: only one page is held at a time. Waits where
    Stripe limits our rate or fails for a moment, and says so by `on_pause`; raises when it goes on for minutes.
    """
    fetch, expand = LISTS[name][0](client()), LISTS[name][1]
    made = {"gte": since and int(since.timestamp()), "lt": until and int(until.timestamp())}
    params: Json = {**filters, "limit": PAGE}
    params |= {"created": bounds} if (bounds := {k: v for k, v in made.items() if v is not None}) else {}
    params |= {"expand": expand} if expand else {}
    params |= {"starting_after": after} if after else {}
    while True:
        answer = _patiently(partial(fetch, params), on_pause)
        if answer["data"]:
            yield answer["data"]
        if not answer["has_more"]:
            return
        params = {**params, "starting_after": answer["data"][-1]["id"]}


def _patiently(send: Callable[[], Any], on_pause: Callable[[str], None]) -> Json:
    """Send a look until it succeeds: pauses as long as Stripe asks for, else 1, 2, 4 … seconds, each told beforehand."""
    for attempt in range(PATIENCE_TRIES - 1):
        try:
            return _call(send)
        except (StripeBusy, StripeUnavailable) as error:
            if isinstance(error.__cause__, stripe.AuthenticationError | stripe.PermissionError):
                raise
            asked = error.retry_after_s if isinstance(error, StripeBusy) else 0
            pause_s = min(max(asked, 2**attempt), LONGEST_PAUSE_S)
            trouble = "Stripe limits our rate" if isinstance(error, StripeBusy) else "Stripe does not answer"
            on_pause(f"{trouble}; trying again in {pause_s} s")
            time.sleep(pause_s)
    return _call(send)


# -- errors -----------------------------------------------------------------------------------------
def _call(send: Callable[[], Any]) -> Json:
    """Send, and turn Stripe's errors into ours: what Stripe says for people is passed on, the rest is logged."""
    try:
        answer: Json = send().last_response.data
        return answer
    except stripe.CardError as error:
        said: Json = cast(Json, error.json_body or {}).get("error", {})
        decline_code = said.get("decline_code") or error.code
        declined = CardDeclined(error.user_message or "The card was declined.", extra={"decline_code": decline_code})
        declined.intent = (said.get("payment_intent") or {}).get("id")
        raise declined from error
    except stripe.RateLimitError as error:
        logger.warning("Stripe limits our rate: %s", error)
        busy = StripeBusy("The payment service is busy. Please try again in a few seconds.")
        asked = str((error.headers or {}).get("Retry-After", ""))
        busy.retry_after_s = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 4 else busy.retry_after_s
        raise busy from error
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
        misconfigured = StripeUnavailable("The payment service is not set up correctly. Please tell us.")
        misconfigured.is_forbidden = isinstance(error, stripe.PermissionError)
        raise misconfigured from error
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
