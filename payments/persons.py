"""A person's data held by payments: the protocol of `settings.PERSON_DATA`."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Concat

from accounts.models import User
from payments.mirror_erasure import forget, names_of
from payments.models import Dispute, Payment, Refund, StripeCall

# What stands in place of an erased person: known, so that nothing Stripe tells later brings them back.
ERASED_DOMAIN = "@erased.invalid"
ERASED_NAME = "Erased"
# What calls to Stripe say of a person: sessions, intents and customers.
PERSONAL_PARAMS = frozenset({"customer_email", "receipt_email", "email", "name"})


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
    # Locked before anything that follows from them, and in the order in which settlement locks them.
    payments = list(_of(user).order_by("pk").select_for_update().values_list("pk", flat=True))
    for call in StripeCall.objects.filter(subject_id__in=[*payments, user.pk]).iterator(chunk_size=500):
        call.params = {name: value for name, value in call.params.items() if name not in PERSONAL_PARAMS}
        call.save(update_fields=["params"])
    forget(Payment.objects.filter(pk__in=payments), customer=user.stripe_customer)
    user.stripe_customer = None
    user.save(update_fields=["stripe_customer"])
    Payment.objects.filter(pk__in=payments).update(
        customer_email=Concat(F("id"), Value(ERASED_DOMAIN)), customer_name=ERASED_NAME, receipt_url=""
    )


def erased_ids(ids: list[str]) -> set[str]:
    """Those of Stripe's ids that belong to payments of people who were erased, the customer that Stripe made of them
    included: what Stripe still has of them is not fetched again."""
    named = Q(checkout_session__in=ids) | Q(payment_intent__in=ids) | Q(charge__in=ids) | Q(stripe_customer__in=ids)
    found = names_of(Payment.objects.filter(named, customer_email__endswith=ERASED_DOMAIN))
    for model in (Refund, Dispute):
        of_erased = model._default_manager.filter(stripe_id__in=ids, payment__customer_email__endswith=ERASED_DOMAIN)
        found |= {str(stripe_id) for stripe_id in of_erased.values_list("stripe_id", flat=True)}
    return found
