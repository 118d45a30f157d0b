"""Topping up: from an amount to the client secret with which the page confirms the payment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import transaction

from accounts.models import User
from payments import checkout, stripe_gateway
from payments.checkout import Idempotency
from payments.customers import stripe_customer_of
from payments.models import Payment
from payments.money import Money
from wallets import lost_customers
from wallets.models import PaymentMethod, TopUp, Wallet


@dataclass(frozen=True, kw_only=True)
class TopUpStarted:
    """`intent` as Stripe answered it, with its client secret."""

    payment: Payment
    intent: Mapping[str, Any]


def top_up(
    *,
    wallet: Wallet,
    money: Money,
    method: PaymentMethod | None,
    save_method: bool,
    user: User,
    idempotency: Idempotency | None,
) -> TopUpStarted:
    """Commit a pending top-up, then open its PaymentIntent; the page confirms it.

    Raises InvalidInput (amount), IdempotencyKeyReused and the errors of Stripe; after those, the same call with the same
    Idempotency-Key goes on where it stopped and makes no second intent.
    """
    money.check_chargeable()
    customer = stripe_customer_of(wallet.organization)
    with transaction.atomic(durable=True):
        payment, is_new = open_payment(
            wallet,
            money,
            user=user,
            idempotency=idempotency,
            request={"wallet": wallet.pk, "method": method.pk if method else "", "save_method": save_method},
        )
        if is_new:
            params = intent_params(wallet, payment, customer)
            params |= {"receipt_email": user.email}
            params |= {"payment_method": method.stripe_id} if method else {}
            params |= {"setup_future_usage": "off_session"} if save_method else {}
            write_down(wallet, payment, params, started_by=user)
    intent = checkout.open_intent(payment, sending=partial(lost_customers.send, wallet.organization))
    return TopUpStarted(payment=payment, intent=intent)


def open_payment(
    wallet: Wallet,
    money: Money,
    *,
    user: User | None = None,
    idempotency: Idempotency | None = None,
    request: Mapping[str, Any] | None = None,
) -> tuple[Payment, bool]:
    """The payment of a top-up: into the wallet; what is asked back later comes from what the organization owes."""
    return checkout.open_payment(
        purpose="wallet",
        destination=wallet.account,
        returns_from=wallet.receivable,
        money=money,
        via=Payment.Via.INTENT,
        user=user,
        organization=wallet.organization,
        customer_email=user.email if user else "",
        idempotency=idempotency,
        request=request,
    )


def write_down(
    wallet: Wallet, payment: Payment, params: Mapping[str, Any], *, started_by: User | None, is_automatic: bool = False
) -> TopUp:
    """The rows of a new payment, and the call that is to be sent after they are committed."""
    made = TopUp(
        organization=wallet.organization,
        wallet=wallet,
        payment=payment,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        is_automatic=is_automatic,
        started_by=started_by,
    )
    checkout.insert_subject(payment, made)
    checkout.plan_call(payment.pk, checkout.INTENT, {**params, "metadata": checkout.stripe_metadata(payment)})
    return made


def intent_params(wallet: Wallet, payment: Payment, customer: str) -> dict[str, Any]:
    """https://docs.stripe.com/api/payment_intents/create"""
    return {
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "customer": customer,
        "automatic_payment_methods": {"enabled": True},
        "description": f"Top-up of {wallet.organization.name}"[:1000],
    }


def client_secret_of(payment: Payment) -> str | None:
    """The secret with which a page goes on with a payment that is not at its end; None where it is, or was never opened.

    Calls Stripe: never inside a transaction.
    """
    if payment.payment_intent is None or payment.paid_at or payment.canceled_at:
        return None
    return str(stripe_gateway.retrieve_intent(payment.payment_intent)["client_secret"])
