"""A plan's price as Stripe keeps it, for subscriptions: made on first need, and anew when the amount was changed."""

from __future__ import annotations

from payments import checkout
from pricing.models import PlanPrice

PRICE = "prices.create"


def stripe_price_of(price: PlanPrice) -> str:
    """The id (price_…) of a monthly Price of exactly this amount. Calls Stripe: never inside a transaction.

    A Price's amount can never change (https://docs.stripe.com/api/prices), so that who subscribed before a change goes on
    paying what was agreed.
    """
    if price.stripe_price and price.stripe_price_minor == price.amount_minor:
        return price.stripe_price
    params = {
        "currency": price.currency,
        "unit_amount": price.amount_minor,
        "recurring": {"interval": "month"},
        "product_data": {"name": price.plan.name},
        "metadata": {"plan": str(price.plan_id)},
    }
    answer = checkout.call_once(f"planprice_{price.pk}:{price.amount_minor}", PRICE, params)
    price.stripe_price, price.stripe_price_minor = answer["id"], price.amount_minor
    PlanPrice.objects.filter(pk=price.pk, amount_minor=price.amount_minor).update(
        stripe_price=price.stripe_price, stripe_price_minor=price.stripe_price_minor
    )
    return price.stripe_price
