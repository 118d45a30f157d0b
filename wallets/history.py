"""An organization's top-ups as payments: what was tried, what came of it, and whether it can still be finished."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from payments import stripe_gateway
from payments.asking import ask_and_settle
from payments.models import Payment
from payments.money import Money
from payments.states import FINAL
from wallets.models import TopUp


def top_ups_of(organization_id: str) -> QuerySet[TopUp]:
    return TopUp.objects.filter(organization=organization_id).select_related("payment")


def followed(payment_id: str) -> TopUp:
    """The top-up of a payment, settled first where Stripe may know more than we do. Calls Stripe: never inside a
    transaction."""
    made = TopUp.objects.select_related("payment").get(payment=payment_id)
    if made.payment.status in FINAL or made.payment.payment_intent is None:
        return made
    if ask_and_settle(stripe_gateway.retrieve_intent, made.payment.payment_intent) is None:
        return made
    # Read again even where nothing changed here: the webhook may have been first while we asked.
    return TopUp.objects.select_related("payment").get(payment=payment_id)


def shown(made: TopUp) -> dict[str, Any]:
    payment = made.payment
    return {
        "id": payment.pk,
        "status": made.state if payment.paid_at else payment.status,
        "amount": str(payment.money),
        "refunded": str(Money(payment.refunded_minor, payment.currency)),
        "currency": payment.currency.upper(),
        "created_at": made.created_at,
        "paid_at": payment.paid_at,
        "receipt_url": payment.receipt_url or None,
        "failure_message": (payment.failure_message or None) if not payment.paid_at else None,
        "is_automatic": made.is_automatic,
        "can_be_finished": can_be_finished(payment),
    }


def can_be_finished(payment: Payment) -> bool:
    """Whether a page may go on with it: the bank wants to ask, or another card may be tried."""
    return payment.payment_intent is not None and payment.status in {"open", "failed"}
