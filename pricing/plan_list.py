"""The public list of plans: read by every visitor, so kept for an hour, and dropped when a saved plan commits."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.core.cache import cache

from pricing.list_token import list_token
from pricing.models import PricingPlan

KEPT_S = 3600


def listed_plans() -> tuple[list[dict[str, Any]], str]:
    """The plans on sale as JSON, in display order, and their ETag."""
    key = f"pricing:list:{list_token()}"
    kept: tuple[list[dict[str, Any]], str] | None = cache.get(key)
    if kept is None:
        plans = [_shown(plan) for plan in PricingPlan.objects.on_sale().prefetch_related("prices")]
        digest = hashlib.sha256(json.dumps(plans).encode()).hexdigest()[:32]
        kept = (plans, f'"{digest}"')
        cache.set(key, kept, KEPT_S)
    return kept


def _shown(plan: PricingPlan) -> dict[str, Any]:
    prices = sorted(plan.prices.all(), key=lambda price: (not price.is_default, price.currency))
    default = prices[0]
    default.plan = plan
    by_currency = {price.currency: str(price.money) for price in prices}
    return {
        "id": plan.pk,
        "name": plan.name,
        "description": plan.description,
        "plan_type": plan.plan_type,
        "hours_included": plan.hours_included,
        "price_eur": by_currency.get("eur"),
        "validity_days": plan.validity_days,
        "is_featured": plan.is_featured,
        "price_per_hour": f"{default.per_hour().decimal.normalize():f}",
        "currency": default.currency.upper(),
        "prices": by_currency,
    }
