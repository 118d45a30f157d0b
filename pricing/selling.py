"""Selling a product by Embedded Checkout (https://docs.stripe.com/checkout/embedded/quickstart)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import User
from conventions.errors import InvalidInput, NotFound
from payments import checkout, ledger, stripe_gateway
from payments.asking import ask_and_settle
from payments.checkout import SESSION_ID, Idempotency
from payments.models import LedgerAccount, Payment
from payments.states import FINAL
from pricing.errors import ProductNotOnSale
from pricing.models import Product, PurchaseTransaction
from pricing.purchasing import insert_purchase, revenue_account

DEFAULT_SKU = "hero-me-feelings"
# Checkout's states by ours, for when Stripe need not or cannot be asked.
SHOWN = {"paid": "complete", "processing": "complete", "expired": "expired", "canceled": "expired"}


def sell(
    *, sku: str | None, customer_email: str, metadata: Mapping[str, str], user: User | None, idempotency: Idempotency | None
) -> str:
    """Commit a pending purchase, open an embedded Checkout Session, answer its client secret.

    Without a `sku` it is DEFAULT_SKU's product. Raises InvalidInput (product), ProductNotOnSale, IdempotencyKeyReused, and
    the errors of Stripe; after those, the same call with the same Idempotency-Key goes on where it stopped.
    """
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
            _write_down(product, payment, metadata)
    answer = checkout.open_at_stripe(payment, checkout.SESSION)
    session = answer if "client_secret" in answer else stripe_gateway.retrieve_session(answer["id"])
    return str(session["client_secret"])


def _write_down(product: Product, payment: Payment, metadata: Mapping[str, str]) -> None:
    insert_purchase(payment, product=product, name=product.name, metadata=dict(metadata))
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
    session = None if payment.status in FINAL else ask_and_settle(stripe_gateway.retrieve_session, session_id)
    return str(session["status"]) if session else SHOWN.get(payment.status, "open")
