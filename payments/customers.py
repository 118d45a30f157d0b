"""The Stripe customer of a person or organization: made on first need, once."""

from __future__ import annotations

from accounts.models import Organization, User
from payments import checkout

CUSTOMER = "customers.create"


def stripe_customer_of(owner: User | Organization) -> str:
    """The id (cus_…), made at Stripe where there is none. Calls Stripe: never inside a transaction.

    Of two at once, both send the same call under the same idempotency key, so that Stripe makes one customer.
    Raises the errors of Stripe.
    """
    if owner.stripe_customer:
        return str(owner.stripe_customer)
    params = {"name": owner.name, "metadata": {"owner": owner.pk}}
    if isinstance(owner, User):
        params["email"] = owner.email
    answer = checkout.call_once(owner.pk, CUSTOMER, params)
    # Not type(owner): the user of a session is a wrapper around the row.
    owner.__class__.objects.filter(pk=owner.pk, stripe_customer=None).update(stripe_customer=answer["id"])
    owner.refresh_from_db(fields=["stripe_customer"])
    return str(owner.stripe_customer)
