"""Invoices of a subscription as tests need them: only the fields that our code reads, with Stripe's names.

Their full published shape is judged in tests/contract, on what the sandbox sends.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from accounts.models import User
from payments import checkout, ledger
from payments.inbox import Envelope, open_envelope
from payments.models import LedgerAccount, Payment
from payments.tests.stripe_objects import BORN
from pricing.models import PricingPlan, PurchaseTransaction, Subscription
from pricing.purchasing import insert_purchase, revenue_account
from pricing.subscribing import metadata_of

MONTH_S = 30 * 86_400
_numbers = itertools.count(1)


def pending_subscription(plan: PricingPlan, *, user: User) -> Subscription:
    """Committed, and Stripe's answer to it was lost: neither its id nor its first invoice's is known."""
    price = plan.prices.get(is_default=True)
    account = revenue_account("plans", price.currency)
    ledger.open_accounts([account], kind=LedgerAccount.Kind.INCOME)
    payment, _ = checkout.open_payment(
        purpose="plan", destination=account, money=price.money, via=Payment.Via.INTENT, user=user, customer_email=user.email
    )
    subscription = Subscription.objects.create(user=user, plan=plan, currency=price.currency)
    insert_purchase(payment, plan=plan, subscription=subscription, name=plan.name, hours_hundredths=plan.hours_hundredths)
    return subscription


class InvoiceStory:
    """One invoice's life at Stripe: the events about it and about the money that pays it, with ids of its own."""

    def __init__(self, subscription: Subscription, *, month: int = 0, amount: int | None = None) -> None:
        number = next(_numbers)
        first = PurchaseTransaction.objects.filter(subscription=subscription).earliest("created_at")
        self.number, self.month, self.plan = number, month, subscription.plan
        self.metadata = metadata_of(subscription, subscription.plan, payment=first.payment_id)
        self.subscription_id = subscription.stripe_id or f"sub_{subscription.pk}"
        self.invoice_id, self.intent_id, self.charge_id = f"in_s{number}", f"pi_s{number}", f"ch_s{number}"
        self.amount = first.amount_minor if amount is None else amount
        self.currency = subscription.currency
        self.at = BORN + month * MONTH_S
        self.period_end = self.at + MONTH_S
        self._events = itertools.count(1)

    def event(self, kind: str, subject: dict[str, Any], at: int) -> Envelope:
        body = {
            "id": f"evt_s{self.number}_{next(self._events)}",
            "object": "event",
            "api_version": "2026-08-26.dahlia",
            "created": self.at + at,
            "livemode": False,
            "type": kind,
            "data": {"object": subject},
        }
        return open_envelope(json.dumps(body))

    # -- objects ------------------------------------------------------------------------------------
    def invoice(self, status: str = "paid", **fields: Any) -> dict[str, Any]:
        return {
            "id": self.invoice_id,
            "object": "invoice",
            "status": status,
            "billing_reason": "subscription_cycle" if self.month else "subscription_create",
            "amount_due": self.amount,
            "amount_paid": self.amount if status == "paid" else 0,
            "currency": self.currency,
            "customer": "cus_1",
            "customer_email": "ada@example.org",
            "customer_name": "Ada",
            "attempt_count": 1,
            "next_payment_attempt": None,
            "status_transitions": {"paid_at": self.at + 5 if status == "paid" else None},
            "parent": {"subscription_details": {"subscription": self.subscription_id, "metadata": self.metadata}},
            "lines": {"data": [{"period": {"start": self.at, "end": self.period_end}, "parent": {}}]},
        } | fields

    def invoice_payment(self) -> dict[str, Any]:
        return {
            "id": f"inpay_s{self.number}",
            "object": "invoice_payment",
            "invoice": self.invoice_id,
            "status": "paid",
            "amount_paid": self.amount,
            "currency": self.currency,
            "payment": {"type": "payment_intent", "payment_intent": self.intent_id},
        }

    def money(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {
            "object": kind,
            "status": "succeeded",
            "amount": self.amount,
            "currency": self.currency,
            "customer": "cus_1",
            "metadata": {},
            "created": self.at + 3,
        } | fields

    def intent(self) -> dict[str, Any]:
        return self.money("payment_intent", id=self.intent_id, latest_charge=self.charge_id, receipt_email="ada@example.org")

    def charge(self, *, refunded: int = 0) -> dict[str, Any]:
        paid = {"paid": True, "captured": True, "amount_refunded": refunded, "payment_intent": self.intent_id}
        return self.money("charge", id=self.charge_id, billing_details={}, receipt_url="https://pay.example/r", **paid)

    def subscription(self, status: str, **fields: Any) -> dict[str, Any]:
        return {
            "id": self.subscription_id,
            "object": "subscription",
            "status": status,
            "metadata": self.metadata,
            "cancel_at_period_end": False,
            "ended_at": None,
            "items": {"data": [{"id": "si_1", "current_period_end": self.period_end}]},
        } | fields

    # -- what Stripe sends ----------------------------------------------------------------------------
    def paid(self) -> list[Envelope]:
        return [
            self.event("charge.succeeded", self.charge(), 3),
            self.event("payment_intent.succeeded", self.intent(), 4),
            self.event("invoice_payment.paid", self.invoice_payment(), 5),
            self.event("invoice.paid", self.invoice(), 5),
            self.event("customer.subscription.updated", self.subscription("active"), 6),
        ]

    def refunded(self, amount: int) -> Envelope:
        refund = {
            "id": f"re_s{self.number}",
            "object": "refund",
            "amount": amount,
            "currency": self.currency,
            "payment_intent": self.intent_id,
            "charge": self.charge_id,
            "status": "succeeded",
            "metadata": {},
            "created": self.at + 100,
        }
        return self.event("refund.created", refund, 100)
