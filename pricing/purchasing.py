"""Buying a plan's hours: from a click to the client secret with which the page confirms the payment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction

from accounts.models import User
from conventions.errors import InvalidInput
from payments import checkout, ledger
from payments.checkout import Idempotency
from payments.models import LedgerAccount, Payment
from payments.money import check_currency
from pricing.errors import PlanNotOnSale
from pricing.models import PlanPrice, PricingPlan, PurchaseTransaction


@dataclass(frozen=True, kw_only=True)
class Buyer:
    """Who buys: a signed-in user, or a guest with a name and an address."""

    user: User | None
    name: str
    email: str


@dataclass(frozen=True, kw_only=True)
class PurchaseStarted:
    client_secret: str
    payment_intent_id: str
    purchase: PurchaseTransaction


def plan_on_sale(plan_id: int, *, retry_of: Idempotency | None = None) -> PricingPlan:
    """Raises InvalidInput where there is no such plan, PlanNotOnSale where it is not sold any more. A retry gets its first
    answer, whatever has become of the plan since."""
    plan = PricingPlan.objects.filter(pk=plan_id).first()
    if plan is None:
        raise InvalidInput("There is no such plan.", field="plan_id", code="unknown_plan")
    if not plan.is_active and not (retry_of and checkout.is_used(retry_of)):
        raise PlanNotOnSale(f"“{plan.name}” is not on sale any more.")
    return plan


def price_of(plan: PricingPlan, currency: str | None) -> PlanPrice:
    """The plan's price in a currency, or its default. Raises InvalidInput naming the currencies it is sold in, and
    PlanNotOnSale where it has no price at all."""
    prices = {price.currency: price for price in plan.prices.select_related("plan").order_by("currency")}
    if not prices:
        raise PlanNotOnSale(f"“{plan.name}” has no price yet.")
    if currency is None:
        return next((price for price in prices.values() if price.is_default), next(iter(prices.values())))
    code = check_currency(currency)
    if code not in prices:
        offered = ", ".join(name.upper() for name in prices)
        message = f"“{plan.name}” is not sold in {code.upper()}, but in {offered}."
        raise InvalidInput(message, field="currency", code="currency_not_offered")
    return prices[code]


def revenue_account(kind: str, currency: str) -> str:
    return f"revenue:{kind}:{currency}"


def insert_purchase(payment: Payment, **bought: Any) -> None:
    """The pending purchase of a new payment, in the transaction of `checkout.open_payment`; `bought` are the columns that
    say of what: plan (and subscription) or product, and what was promised."""
    purchase = PurchaseTransaction(
        payment=payment,
        user=payment.user,
        email=payment.customer_email,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        **bought,
    )
    checkout.insert_subject(payment, purchase)


def buy_package(*, plan: PricingPlan, price: PlanPrice, buyer: Buyer, idempotency: Idempotency | None) -> PurchaseStarted:
    """Commit a pending purchase, then open its PaymentIntent. Raises IdempotencyKeyReused and the errors of Stripe;
    after those, the same call with the same Idempotency-Key goes on where it stopped."""
    money = price.money
    account = revenue_account("plans", money.currency)
    with transaction.atomic(durable=True):
        ledger.open_accounts([account], kind=LedgerAccount.Kind.INCOME)
        payment, is_new = checkout.open_payment(
            purpose="plan",
            destination=account,
            money=money,
            via=Payment.Via.INTENT,
            user=buyer.user,
            customer_email=buyer.email,
            customer_name=buyer.name,
            idempotency=idempotency,
            request=_asked(plan, price, buyer),
            is_listed_price=True,
        )
        if is_new:
            _write_down(plan, payment)
    intent = checkout.open_intent(payment)
    purchase = PurchaseTransaction.objects.select_related("payment", "plan").get(payment=payment)
    return PurchaseStarted(client_secret=intent["client_secret"], payment_intent_id=intent["id"], purchase=purchase)


def _asked(plan: PricingPlan, price: PlanPrice, buyer: Buyer) -> dict[str, Any]:
    """What makes two requests the same one. Who is logged in did not write name and address into it."""
    guest = None if buyer.user else {"name": buyer.name, "email": buyer.email}
    return {"plan_id": plan.pk, "currency": price.currency, "guest": guest}


def _write_down(plan: PricingPlan, payment: Payment) -> None:
    promised = {"hours_hundredths": plan.hours_hundredths, "validity_days": plan.validity_days}
    insert_purchase(payment, plan=plan, name=plan.name, **promised)
    params = {
        "amount": payment.amount_minor,
        "currency": payment.currency,
        "automatic_payment_methods": {"enabled": True},
        "receipt_email": payment.customer_email,
        "description": f"{plan.name} ({plan.hours_included} hours)",
        "metadata": checkout.stripe_metadata(payment),
    }
    checkout.plan_call(payment.pk, checkout.INTENT, params)
