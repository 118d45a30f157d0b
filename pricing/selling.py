"""Selling a product by Embedded Checkout (https://docs.stripe.com/checkout/embedded/quickstart)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import User
from conventions.errors import InvalidInput, NotFound
from payments import checkout, ledger, stripe_gateway
from payments.checkout import SESSION_ID, Idempotency
from payments.errors import StripeBusy, StripeRefused, StripeUnavailable
from payments.models import LedgerAccount, Payment
from payments.settlement import settle_objects
from pricing.errors import ProductNotOnSale
from pricing.models import Product, PurchaseTransaction
from pricing.purchasing import revenue_account

logger = logging.getLogger(__name__)

DEFAULT_SKU = "hero-me-feelings"
# Checkout's states by ours, for when Stripe cannot be asked.
SHOWN = {"paid": "complete", "processing": "complete", "expired": "expired", "canceled": "expired"}


def sell(
    *, sku: str | None, customer_email: str, metadata: Mapping[str, str], user: User | None, idempotency: Idempotency | None
) -> str:
    """Commit a pending purchase, open an embedded Checkout Session, answer its client secret."""
    product = Product.objects.filter(sku=sku or DEFAULT_SKU).first()
    if product is None:
        raise InvalidInput("There is no such product.", field="product", code="unknown_product")
    if not product.is_active and not (idempotency and checkout.is_used(idempotency)):  # a retry gets its first answer
        raise ProductNotOnSale(f"“{product.name}” is not on sale any more.")
    account = revenue_account("products", product.currency)
    with transaction.atomic(durable=True):
        ledger.open_accounts([account], kind=LedgerAccount.Kind.INCOME)
        payment, is_new = checkout.open_payment(
            purpose="product",
            destination=account,
            money=product.money,
            via=Payment.Via.CHECKOUT,
            user=user,
            customer_email=customer_email or (user.email if user else ""),
            idempotency=idempotency,
            request={"product": product.sku, "customer_email": customer_email, "metadata": dict(metadata)},
            is_listed_price=True,
        )
        if is_new:
            _write_down(product, payment, user, metadata)
    try:
        answer = checkout.send(checkout.latest_call(payment.pk, checkout.SESSION))
    except StripeRefused:
        checkout.give_up(payment)
        raise
    session = answer if "client_secret" in answer else stripe_gateway.retrieve_session(answer["id"])
    return str(session["client_secret"])


def _write_down(product: Product, payment: Payment, user: User | None, metadata: Mapping[str, str]) -> None:
    purchase = PurchaseTransaction(
        product=product,
        user=user,
        email=payment.customer_email,
        payment=payment,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        name=product.name,
        metadata=dict(metadata),
    )
    payment.subject_id = purchase.pk
    payment.save(update_fields=["subject_id"])
    purchase.save(force_insert=True)
    # Ours last: what a caller writes can never pose as the payment it is for.
    marks = {**metadata, **checkout.stripe_metadata(payment)}
    params: dict[str, Any] = {
        "mode": "payment",
        "ui_mode": "embedded_page",  # called `embedded` before 2026-03-25
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": product.currency,
                    "unit_amount": product.amount_minor,
                    "product_data": {"name": product.name, "description": product.description or product.name},
                },
            }
        ],
        "client_reference_id": payment.pk,
        "metadata": marks,
        "payment_intent_data": {"metadata": checkout.stripe_metadata(payment), "description": product.name},
        "return_url": f"{settings.FRONTEND_URL}/hero-me?session_id={{CHECKOUT_SESSION_ID}}",
        "redirect_on_completion": "if_required",
    }
    if payment.customer_email:
        params["customer_email"] = payment.customer_email
    checkout.plan_call(payment.pk, checkout.SESSION, params)


def session_state(session_id: str) -> str:
    """open, complete or expired, as Stripe says; settles what it hears. Raises InvalidInput for what is no session id,
    NotFound for one that sold no product of ours."""
    if not SESSION_ID.fullmatch(session_id):
        raise InvalidInput("That is not a checkout session id.", field="session_id", code="malformed_session_id")
    purchase = PurchaseTransaction.objects.select_related("payment").filter(payment__checkout_session=session_id).first()
    if purchase is None:
        raise NotFound("There is no such session.")
    payment = purchase.payment
    if payment.status in {"paid", "expired", "canceled"}:
        return SHOWN[payment.status]
    try:
        session = stripe_gateway.retrieve_session(session_id)
    except (StripeUnavailable, StripeBusy, StripeRefused) as error:
        logger.warning("session %s is answered from our database: %s", session_id, error)
        return SHOWN.get(payment.status, "open")
    settle_objects([session])
    return str(session["status"])
