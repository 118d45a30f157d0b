"""Fresh rows of pricing; a later state is reached by the real operation."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from accounts.models import User
from payments import checkout, ledger
from payments.models import LedgerAccount, Payment
from payments.money import Money
from pricing.hours import adjust
from pricing.models import HourLot, PlanPrice, PricingPlan
from pricing.purchasing import insert_purchase, revenue_account

BASIC = Money(7500, "eur")


def make_plan(*, hundredths: int = 500, days: int | None = 30, price: Money = BASIC, **fields: Any) -> PricingPlan:
    plan_type = "package" if days else "subscription"
    name = fields.pop("name", f"Plan {PricingPlan.objects.count() + 1}")
    plan = PricingPlan.objects.create(name=name, plan_type=plan_type, hours_hundredths=hundredths, validity_days=days, **fields)
    PlanPrice.objects.create(plan=plan, currency=price.currency, amount_minor=price.amount_minor, is_default=True)
    return plan


def pending_purchase(plan: PricingPlan, *, user: User | None = None, email: str = "ada@example.org") -> Payment:
    """A committed purchase that nobody has paid yet."""
    price = plan.prices.get(is_default=True)
    account = revenue_account("plans", price.currency)
    ledger.open_accounts([account], kind=LedgerAccount.Kind.INCOME)
    payment, _ = checkout.open_payment(
        purpose="plan",
        destination=account,
        money=price.money,
        via=Payment.Via.INTENT,
        user=user,
        customer_email=user.email if user else email,
    )
    promised = {"hours_hundredths": plan.hours_hundredths, "validity_days": plan.validity_days}
    insert_purchase(payment, plan=plan, name=plan.name, **promised)
    return payment


def give_hours(student: User, hundredths: int, *, actor: User, expires_at: datetime | None = None) -> HourLot:
    lot = adjust(student=student, hundredths=hundredths, actor=actor, reason="for a test", expires_at=expires_at)
    assert lot is not None
    return lot
