"""Plans as the pages offer them: in the currency that was chosen, where they are sold in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from payments.money import Money
from pricing.hour_amounts import hours_text
from pricing.models import PricingPlan
from website.presets import whole


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """A plan at one price, ready for a template."""

    plan: PricingPlan
    price: Money
    per_hour_money: Money

    @property
    def shown_price(self) -> str:
        return whole(self.price)

    @property
    def per_hour(self) -> str:
        return whole(self.per_hour_money)

    @property
    def hours(self) -> str:
        return short_hours(self.plan.hours_hundredths)

    @property
    def is_subscription(self) -> bool:
        return self.plan.plan_type == PricingPlan.Type.SUBSCRIPTION


def short_hours(hundredths: int) -> str:
    """ "5", "1.5" and "1.25", as people write hours."""
    return hours_text(hundredths).rstrip("0").rstrip(".")


def plans_on_sale() -> list[PricingPlan]:
    """With their prices, in display order: two queries."""
    return list(PricingPlan.objects.on_sale().prefetch_related("prices"))


def currencies(plans: Sequence[PricingPlan]) -> list[str]:
    return sorted({price.currency for plan in plans for price in plan.prices.all()})


def chosen_currency(asked: str, plans: Sequence[PricingPlan]) -> str | None:
    """What was asked for, where anything is sold in it; else the first plan's default. None where nothing is sold."""
    code = asked.lower() if re.fullmatch(r"[A-Za-z]{3}", asked) else ""
    if code in currencies(plans):
        return code
    return next((price.currency for plan in plans for price in plan.prices.all() if price.is_default), None)


def offer(plan: PricingPlan, currency: str | None) -> Offer:
    """At the price in this currency, or at the plan's default price."""
    prices = sorted(plan.prices.all(), key=lambda price: (price.currency != currency, not price.is_default))
    price = prices[0]
    price.plan = plan  # the same row; without it the price would fetch it again
    return Offer(plan=plan, price=price.money, per_hour_money=price.per_hour())
