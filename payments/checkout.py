"""Starting a payment: commit our row and the call's parameters, then open the Stripe session or intent.

    with transaction.atomic(durable=True):
        payment, is_new = checkout.open_payment(...)
        if is_new: checkout.insert_subject(payment, the product's row), checkout.plan_call(...)
    answer = checkout.open_at_stripe(payment, checkout.SESSION)  # network, outside any transaction

Whatever happens to the answer, the next try sends the same call under the same key, and Stripe makes nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from accounts.models import Organization, User
from conventions.errors import DomainError
from conventions.log_context import about
from conventions.scrubbing import scrubbed
from conventions.storable import storable
from payments import ledger, stripe_gateway
from payments.errors import IdempotencyKeyExpired, IdempotencyKeyReused, StripeRefused, StripeUnavailable
from payments.fulfilment import PaymentChange, fulfilment_of
from payments.models import Payment, StripeCall
from payments.money import Money
from payments.states import earliest, payment_status

# Stripe keeps an idempotency key for at least 24 hours; an hour is left for clocks.
KEY_LIVES = timedelta(hours=23)
CLOCKS_DIFFER = timedelta(minutes=5)
SESSION, INTENT, REFUND = "checkout.sessions.create", "payment_intents.create", "refunds.create"
SUBSCRIPTION = "subscriptions.create"
SESSION_ID = re.compile(r"cs_(test|live)_[A-Za-z0-9]{1,200}")
LONGEST_ERROR = 2000
# What is kept of an answer; never a client secret.
KEPT = ("id", "url", "expires_at", "status")


@dataclass(frozen=True, kw_only=True)
class Idempotency:
    """A client's Idempotency-Key; `scope` says whose."""

    scope: str
    key: str


def fingerprint(request: Mapping[str, Any]) -> str:
    """A digest of what was asked, the same however it was written."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


def open_payment(
    *,
    purpose: str,
    destination: str,
    money: Money,
    via: str,
    returns_from: str | None = None,
    user: User | None = None,
    organization: Organization | None = None,
    customer_email: str = "",
    customer_name: str = "",
    idempotency: Idempotency | None = None,
    request: Mapping[str, Any] | None = None,
    is_listed_price: bool = False,
) -> tuple[Payment, bool]:
    """The payment for this request and whether it is new; call it in the transaction that makes the product's row.

    `request` is what was asked besides the money; a price that we set (`is_listed_price`) was not asked for, and one that
    was changed meanwhile makes no other request of the same one. Raises IdempotencyKeyReused when the key was used for
    something else.
    """
    ledger.open_accounts([ledger.stripe_account(money.currency)])
    payment = Payment(
        purpose=purpose,
        destination_id=destination,
        returns_from_id=returns_from,
        amount_minor=money.amount_minor,
        currency=money.currency,
        via=via,
        user=user,
        organization=organization,
        customer_email=customer_email.strip().lower(),
        customer_name=customer_name,
        livemode=settings.STRIPE_LIVE_MODE,
    )
    if idempotency is None:
        payment.save(force_insert=True)
        return payment, True
    payment.idempotency_scope, payment.idempotency_key = idempotency.scope, idempotency.key
    asked = {} if is_listed_price else {"amount_minor": money.amount_minor, "currency": money.currency}
    payment.request_fingerprint = fingerprint({**(request or {}), **asked})
    # Of two at once, one inserts; the other waits for it here and then finds its row.
    Payment.objects.bulk_create([payment], ignore_conflicts=True)
    known = Payment.objects.get(idempotency_scope=idempotency.scope, idempotency_key=idempotency.key)
    if known.request_fingerprint != payment.request_fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key was used for another request. Use a new one.")
    return known, known.pk == payment.pk


def insert_subject(payment: Payment, row: Model) -> None:
    """Insert the product's row of a new payment, and let the payment name it; in the transaction of `open_payment`."""
    payment.subject_id = row.pk
    payment.save(update_fields=["subject_id"])
    row.save(force_insert=True)


def is_used(idempotency: Idempotency) -> bool:
    """Whether this key has opened a payment before."""
    return Payment.objects.filter(idempotency_scope=idempotency.scope, idempotency_key=idempotency.key).exists()


def stripe_metadata(payment: Payment) -> dict[str, str]:
    """What every session and intent carries, so that an event finds its payment even if our answer was lost."""
    return {"payment": payment.pk, "purpose": payment.purpose, "subject": payment.subject_id}


def session_params(
    payment: Payment, *, item_name: str, item_description: str, success_path: str, cancel_path: str, submit_type: str
) -> dict[str, Any]:
    """A hosted Checkout Session for one line (https://docs.stripe.com/api/checkout/sessions/create)."""
    metadata = stripe_metadata(payment)
    product: dict[str, Any] = {"name": item_name[:250]}
    if item_description:
        product["description"] = item_description[:500]
    params: dict[str, Any] = {
        "mode": "payment",
        "ui_mode": "hosted_page",
        "submit_type": submit_type,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {"currency": payment.currency, "unit_amount": payment.amount_minor, "product_data": product},
            }
        ],
        "client_reference_id": payment.pk,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata, "description": item_name[:1000]},
        "success_url": f"{settings.FRONTEND_URL}{success_path}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{settings.FRONTEND_URL}{cancel_path}",
    }
    if payment.customer_email:
        params["customer_email"] = payment.customer_email
    return params


def give_up(payment: Payment) -> bool:
    """Nothing can come of a payment whose session or intent was never opened: cancel it, and tell its product.
    False where something came of it meanwhile."""
    return cancel(
        Payment.objects.filter(pk=payment.pk, status="open", checkout_session=None, payment_intent=None), at=timezone.now()
    )


def cancel(payments: QuerySet[Payment], *, at: datetime) -> bool:
    """Cancel those of these payments that are not paid, and tell their products. False where there is none.

    Should one of them turn out to be paid all the same, it counts as paid.
    """
    with transaction.atomic():
        locked = list(payments.filter(paid_at=None).select_for_update(of=("self",)).order_by("pk"))
        for payment in locked:
            payment.canceled_at = earliest(payment.canceled_at, at)
            payment.status = payment_status(payment)
            payment.save(update_fields=["status", "canceled_at"])
            fulfilment = fulfilment_of(payment.purpose)
            if fulfilment is not None:
                change = PaymentChange(payment=payment, became_paid=False, refunded_delta_minor=0, disputed_delta_minor=0)
                fulfilment.settle([change])
    return bool(locked)


def plan_call(subject_id: str, operation: str, params: Mapping[str, Any], *, attempt: int = 1) -> StripeCall:
    """Write down a call before it is sent, in the transaction that commits what it is for."""
    return StripeCall.objects.create(
        key=f"{subject_id}:{operation}:{attempt}", operation=operation, subject_id=subject_id, attempt=attempt, params=params
    )


def call_once(subject_id: str, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a call unless it was planned before, and send it: of two at once, both send the same one."""
    return send(plan_once(subject_id, operation, params))


def plan_once(subject_id: str, operation: str, params: Mapping[str, Any], *, attempt: int = 1) -> StripeCall:
    """The latest call for this, planned here where there is none of that attempt yet: of two at once, both get the same."""
    key = f"{subject_id}:{operation}:{attempt}"
    planned = StripeCall(key=key, operation=operation, subject_id=subject_id, attempt=attempt, params=dict(params))
    StripeCall.objects.bulk_create([planned], ignore_conflicts=True)
    return latest_call(subject_id, operation)


def latest_call(subject_id: str, operation: str) -> StripeCall:
    return StripeCall.objects.filter(subject_id=subject_id, operation=operation).order_by("-attempt")[0]


def send(call: StripeCall) -> dict[str, Any]:
    """Send a planned call, or give the answer that it got before. Returns Stripe's answer, or what was kept of it.

    Raises the errors of `payments.errors`; after StripeUnavailable and StripeTimeout the same call may be sent again.
    """
    if call.answered_at and call.answer:
        return dict(call.answer)
    key_expired = timezone.now() - call.created_at > KEY_LIVES
    if key_expired and call.operation == SESSION:
        raise IdempotencyKeyExpired("This request is more than a day old. Please start again with a new Idempotency-Key.")
    if key_expired or (call.error_status and call.error_status >= 500):
        if found := _find_lost(call):
            keep_answer(call, found)
            return found
        call = _next_attempt(call)
    try:
        with about(**{"refund_id" if call.operation == REFUND else "payment_id": call.subject_id}):
            answer = stripe_gateway.create(call.operation, call.params, idempotency_key=call.key)
    except DomainError as error:
        status = error.stripe_status if isinstance(error, StripeUnavailable) else error.status
        StripeCall.objects.filter(pk=call.pk).update(
            error_status=status, error=storable(scrubbed(f"{error.code}: {error}"), LONGEST_ERROR)
        )
        raise
    keep_answer(call, answer)
    return answer


def open_at_stripe(payment: Payment, operation: str, *, sending: Callable[[StripeCall], dict[str, Any]] = send) -> dict[str, Any]:
    """Send the payment's planned SESSION or INTENT, or give the answer that it got before; a payment that Stripe refuses
    is given up. Returns Stripe's answer, or what was kept of it; raises as `send` does."""
    try:
        return sending(latest_call(payment.pk, operation))
    except StripeRefused:
        give_up(payment)
        raise


def open_intent(payment: Payment, *, sending: Callable[[StripeCall], dict[str, Any]] = send) -> Mapping[str, Any]:
    """The payment's intent with its client secret, which is never stored: on a repeated request Stripe is asked."""
    answer = open_at_stripe(payment, INTENT, sending=sending)
    return answer if "client_secret" in answer else stripe_gateway.retrieve_intent(answer["id"])


def _find_lost(call: StripeCall) -> dict[str, Any] | None:
    """What a call may have made although its key is of no use any more: expired, or stored at Stripe with a 500."""
    if call.operation == SESSION:
        found = stripe_gateway.find_sessions(
            client_reference_ids={call.subject_id},
            created_after=call.created_at - CLOCKS_DIFFER,
            created_before=timezone.now() + CLOCKS_DIFFER,
        )
        return found.get(call.subject_id)
    if call.operation == REFUND:
        return stripe_gateway.find_refund(our_id=call.subject_id, payment_intent=call.params["payment_intent"])
    if call.operation == INTENT and "customer" in call.params:
        return stripe_gateway.find_intent(customer=call.params["customer"], our_payment=call.subject_id)
    if call.operation == SUBSCRIPTION:
        return stripe_gateway.find_subscription(customer=call.params["customer"], our_payment=call.subject_id)
    return None


def _next_attempt(call: StripeCall) -> StripeCall:
    """The same call under a new key; of two at once, both get the same one."""
    return plan_once(call.subject_id, call.operation, call.params, attempt=call.attempt + 1)


def keep_answer(call: StripeCall, answer: Mapping[str, Any]) -> None:
    """Remember what the call made. The id goes to the payment at once, so that a person who comes back finds it."""
    call.answered_at = timezone.now()
    call.answer = {name: answer[name] for name in KEPT if answer.get(name) is not None}
    call.error, call.error_status = "", None
    column = {SESSION: "checkout_session", INTENT: "payment_intent"}.get(call.operation)
    with transaction.atomic():
        if column:
            Payment.objects.filter(pk=call.subject_id, **{f"{column}__isnull": True}).update(**{column: answer["id"]})
            if customer := call.params.get("customer"):
                Payment.objects.filter(pk=call.subject_id, stripe_customer=None).update(stripe_customer=customer)
        call.save(update_fields=["answered_at", "answer", "error", "error_status"])
