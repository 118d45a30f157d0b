"""Paid invoices of subscriptions: each makes one purchase, and its hours, once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from payments import checkout, ledger
from payments.invoice_facts import from_invoice
from payments.models import LedgerAccount, Payment
from pricing import hours
from pricing.hour_amounts import MOST_HUNDREDTHS
from pricing.models import HourMovement, PricingPlan, PurchaseTransaction, Subscription
from pricing.purchasing import revenue_account


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreed:
    """What a subscription's metadata name: our row, its plan, and the hours that were agreed for a month of it."""

    subscription: str
    plan: int | None
    hundredths: int | None


def agreed_in(subject: str) -> Agreed:
    """`<subscription>:<plan>:<hundredths>`, as `subscribing.metadata_of` writes it; without hours where it is older than
    these, or where somebody wrote it by hand."""
    ours, plan, hundredths, *_ = [*subject.split(":"), "", ""]
    month = _number(hundredths)
    return Agreed(subscription=ours, plan=_number(plan), hundredths=month if month and month <= MOST_HUNDREDTHS else None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _named(subject: str) -> tuple[Subscription, PricingPlan, int] | None:
    """The subscription and plan that an invoice pays for, and the hundredths of hours of a month: those that were agreed,
    whatever the plan has now."""
    agreed = agreed_in(subject)
    subscription = Subscription.objects.select_related("user").filter(pk=agreed.subscription).first()
    plan = PricingPlan.objects.filter(pk=agreed.plan).first() if agreed.plan else None
    return (subscription, plan, agreed.hundredths or plan.hours_hundredths) if subscription and plan else None


def adopt(payment: Payment, subject: str) -> bool:
    """The purchase of a paid invoice whose metadata names a subscription of ours; False where it names none.

    An invoice that buys a new month grants the agreed hours until that month's end; a proration grants none.
    """
    named = _named(subject)
    if named is None or payment.invoice is None:
        return False
    subscription, plan, hundredths = named
    account = revenue_account("plans", payment.currency)
    ledger.open_accounts([account], kind=LedgerAccount.Kind.INCOME)
    purchase = PurchaseTransaction(
        plan=plan,
        subscription=subscription,
        user=subscription.user,
        email=subscription.user.email,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        name=plan.name,
        hours_hundredths=hundredths if payment.period_end else 0,
    )
    payment.subject_id, payment.destination_id = purchase.pk, account
    payment.user, payment.via = subscription.user, Payment.Via.INTENT
    payment.customer_email, payment.customer_name = subscription.user.email, subscription.user.name
    payment.save()
    purchase.payment = payment
    purchase.save(force_insert=True)
    return True


def grant_free(invoice: Mapping[str, Any]) -> None:
    """An invoice that credit of an earlier plan covered in full: nothing is paid, and the month's hours are due all the
    same. The movement's key grants them once."""
    seen = from_invoice(invoice)
    named = _named((seen.metadata or {}).get("subject", "")) if invoice["amount_paid"] == 0 and seen.period_end else None
    if named is None or invoice.get("status") != "paid":
        return
    subscription, _, hundredths = named
    key, now = f"grant:{invoice['id']}", timezone.now()
    if seen.payment:  # the first invoice: nothing will be paid
        checkout.cancel(Payment.objects.filter(pk=seen.payment, purchase__subscription=subscription), at=now)
    if HourMovement.objects.filter(key=key).exists():
        return
    hours.grant(
        student=subscription.user,
        hundredths=hundredths,
        key=key,
        at=now,
        expires_at=seen.period_end,
        reason="paid by credit",
    )
