"""A person's data held by payments: the protocol of `settings.PERSON_DATA`."""

from __future__ import annotations

from typing import Any

from accounts.models import User
from payments.models import Payment


def address_proved(user: User) -> None:
    """Nothing: payments belong to whoever was signed in, products decide on guests."""


def export(user: User) -> dict[str, Any]:
    payments = Payment.objects.filter(user=user).order_by("created_at")
    return {
        "payments": [
            {
                "id": payment.pk,
                "purpose": payment.purpose,
                "amount": str(payment.money),
                "currency": payment.currency.upper(),
                "status": payment.status,
                "customer_email": payment.customer_email,
                "customer_name": payment.customer_name,
                "created_at": payment.created_at.isoformat(),
            }
            for payment in payments.iterator(chunk_size=500)
        ]
    }


def erase(user: User) -> None:
    Payment.objects.filter(user=user).update(customer_email="", customer_name="", receipt_url="")
