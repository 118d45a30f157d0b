"""A person's data held by payments: the protocol of `settings.PERSON_DATA`."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat

from accounts.models import User
from payments.models import Payment, StripeCall

# What stands in place of an erased address: known, so that nothing Stripe tells later brings the person back.
ERASED_DOMAIN = "@erased.invalid"
ERASED_NAME = "Erased"


def address_proved(user: User) -> None:
    """Nothing: payments belong to whoever was signed in, products decide on guests."""


def _of(user: User) -> QuerySet[Payment]:
    """Made while signed in, or as a guest under an address that the user has proved."""
    own = Q(user=user)
    if user.email_proved_at:
        own |= Q(customer_email=user.email)
    return Payment.objects.filter(own)


def export(user: User) -> dict[str, Any]:
    payments = _of(user).order_by("created_at")
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
    """Names and addresses go, also from the calls to Stripe that are kept; amounts and the books stay."""
    payments = list(_of(user).values_list("pk", flat=True))
    for call in StripeCall.objects.filter(subject_id__in=payments).iterator(chunk_size=500):
        call.params = {name: value for name, value in call.params.items() if name != "customer_email"}
        call.save(update_fields=["params"])
    Payment.objects.filter(pk__in=payments).update(
        customer_email=Concat(F("id"), Value(ERASED_DOMAIN)), customer_name=ERASED_NAME, receipt_url=""
    )
