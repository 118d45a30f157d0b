"""People who asked to be forgotten are forgotten by the mirror too."""

from __future__ import annotations

from django.db.models import QuerySet
from djstripe import models as djstripe

from payments.models import Payment


def forget(payments: QuerySet[Payment], *, customer: str | None = None) -> None:
    """Delete what the mirror holds of a customer and of these payments, refunds and disputes included; call it in the
    transaction that erases the person, before the payments' addresses go."""
    names = names_of(payments) | ({customer} if customer else set())
    methods = djstripe.PaymentIntent.objects.filter(id__in=names, payment_method__isnull=False)
    named = list(methods.values_list("payment_method_id", flat=True))
    for model in (djstripe.Session, djstripe.Charge, djstripe.PaymentIntent, djstripe.PaymentMethod, djstripe.Customer):
        model.objects.filter(id__in=[*names, *named]).delete()


def names_of(payments: QuerySet[Payment]) -> set[str]:
    """Stripe's ids that the payments themselves know."""
    columns = ("checkout_session", "payment_intent", "charge", "stripe_customer")
    return {name for row in payments.values_list(*columns) for name in row if name}
