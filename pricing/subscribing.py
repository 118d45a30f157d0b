"""Subscribing to a plan: the subscription at Stripe, and the first payment's client secret.

https://docs.stripe.com/billing/subscriptions/build-subscriptions?payment-ui=elements: the subscription is made incomplete,
its first invoice is open, and the page confirms that invoice's payment.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import User
from conventions.errors import InvalidInput, NotFound
from payments import checkout, customers, ledger, stripe_gateway
from payments.checkout import Idempotency
from payments.customers import stripe_customer_of
from payments.errors import StripeRefused
from payments.facts import moment
from payments.invoice_facts import FIRST
from payments.models import LedgerAccount, Payment
from pricing.errors import AlreadySubscribed, MonthTurning, NotRunning
from pricing.following import learn
from pricing.models import PlanPrice, PricingPlan, PurchaseTransaction, Subscription
from pricing.prices import stripe_price_of
from pricing.purchasing import PurchaseStarted, insert_purchase, price_of, revenue_account

FIRST_PAYMENT = ["latest_invoice.confirmation_secret", "latest_invoice.payments"]
TURNING = timedelta(minutes=5)  # more than a change takes


def subscribe(*, plan: PricingPlan, price: PlanPrice, user: User, idempotency: Idempotency | None) -> PurchaseStarted:
    """Commit a subscription and its first purchase, then open it at Stripe. One that waits for its first payment is gone
    on with. Raises AlreadySubscribed, IdempotencyKeyReused and the errors of Stripe."""
    waiting = Subscription.objects.filter(user=user, plan=plan, state=Subscription.State.INCOMPLETE).first()
    if waiting is not None and (idempotency is None or not checkout.is_used(idempotency)):
        if waiting.currency != price.currency:
            raise AlreadySubscribed(f"This subscription waits for its first payment, in {waiting.currency.upper()}.")
        return _go_on(waiting)
    customer, stripe_price = stripe_customer_of(user), stripe_price_of(price)
    account = revenue_account("plans", price.currency)
    try:
        with transaction.atomic(durable=True):
            ledger.open_accounts([account], kind=LedgerAccount.Kind.INCOME)
            payment, is_new = checkout.open_payment(
                purpose="plan",
                destination=account,
                money=price.money,
                via=Payment.Via.INTENT,
                user=user,
                customer_email=user.email,
                customer_name=user.name,
                idempotency=idempotency,
                request={"plan_id": plan.pk, "currency": price.currency},
                is_listed_price=True,
            )
            if is_new:
                _write_down(plan, price, payment, customer=customer, stripe_price=stripe_price)
    except IntegrityError as error:
        raise _already(user, plan) from error
    purchase = PurchaseTransaction.objects.select_related("subscription").get(payment=payment)
    assert purchase.subscription is not None
    return _go_on(purchase.subscription)


def _already(user: User, plan: PricingPlan) -> Exception:
    if not Subscription.objects.running().filter(user=user, plan=plan).exists():
        return AlreadySubscribed("Two requests came at once. Please try again.")
    return AlreadySubscribed(f"You are subscribed to “{plan.name}” already.")


def _write_down(plan: PricingPlan, price: PlanPrice, payment: Payment, *, customer: str, stripe_price: str) -> None:
    subscription = Subscription(user=payment.user, plan=plan, currency=price.currency)
    subscription.save(force_insert=True)
    insert_purchase(payment, plan=plan, subscription=subscription, name=plan.name, hours_hundredths=plan.hours_hundredths)
    params = {
        "customer": customer,
        "items": [{"price": stripe_price}],
        "payment_behavior": "default_incomplete",
        "payment_settings": {"save_default_payment_method": "on_subscription"},
        "metadata": metadata_of(subscription, plan, payment=payment.pk),
        "expand": FIRST_PAYMENT,
    }
    checkout.plan_call(payment.pk, checkout.SUBSCRIPTION, params)


def metadata_of(subscription: Subscription, plan: PricingPlan, *, payment: str) -> dict[str, str]:
    """What Stripe copies onto every invoice when it is finalized: so an invoice says itself which plan it pays for, and how
    many hours were agreed for it, however late it comes. `payment` is the first invoice's; renewals make their own."""
    return {"purpose": "plan", "subject": f"{subscription.pk}:{plan.pk}:{plan.hours_hundredths}", "payment": payment}


def _go_on(subscription: Subscription) -> PurchaseStarted:
    """Open the subscription at Stripe, or look at it, for the client secret of its first payment."""
    purchase = (
        PurchaseTransaction.objects.select_related("payment", "plan").filter(subscription=subscription).earliest("created_at")
    )
    if subscription.stripe_id:
        answer = stripe_gateway.retrieve_subscription(subscription.stripe_id, expand=FIRST_PAYMENT)
    else:
        try:
            answer = customers.send(subscription.user, checkout.latest_call(purchase.payment_id, checkout.SUBSCRIPTION))
        except StripeRefused:
            with transaction.atomic():
                checkout.give_up(purchase.payment)
                Subscription.objects.filter(pk=subscription.pk, stripe_id=None).update(
                    state=Subscription.State.INCOMPLETE_EXPIRED
                )
            raise
        if not isinstance(answer.get("latest_invoice"), Mapping):
            answer = stripe_gateway.retrieve_subscription(answer["id"], expand=FIRST_PAYMENT)
    invoice = answer["latest_invoice"]
    intent = _intent_of(invoice)
    with transaction.atomic():
        learn(subscription.pk, answer)
        if invoice["billing_reason"] == FIRST:
            _know_first_invoice(purchase, invoice, intent)
    secret = (invoice.get("confirmation_secret") or {}).get("client_secret")
    if answer["status"] in Subscription.ENDED:
        raise NotRunning("The first payment of this subscription was not made in time. Please subscribe again.")
    if not secret:
        raise AlreadySubscribed("The first payment of this subscription is made already.")
    return PurchaseStarted(client_secret=secret, payment_intent_id=intent or "", purchase=purchase)


def _know_first_invoice(purchase: PurchaseTransaction, invoice: Mapping[str, Any], intent: str | None) -> None:
    """Keep the ids of the first invoice with its payment, and what it asks for: credit at Stripe may have lowered it."""
    payment = Payment.objects.select_for_update().get(pk=purchase.payment_id)
    due = invoice["amount_due"]
    if due == 0 and invoice["status"] == "paid":
        checkout.cancel(Payment.objects.filter(pk=payment.pk), at=timezone.now())
        return
    payment.payment_intent, payment.invoice = payment.payment_intent or intent, payment.invoice or invoice["id"]
    columns = ["payment_intent", "invoice"]
    if payment.paid_at is None and due != payment.amount_minor:
        payment.amount_minor = purchase.amount_minor = due
        purchase.save(update_fields=["amount_minor"])
        columns.append("amount_minor")
    payment.save(update_fields=columns)
    purchase.payment = payment


def _intent_of(invoice: Mapping[str, Any]) -> str | None:
    payments = (invoice.get("payments") or {}).get("data") or []
    return next((p["payment"]["payment_intent"] for p in payments if p["payment"].get("payment_intent")), None)


# -- what the subscriber may change -------------------------------------------------------------------
def own(user: User, subscription_id: str) -> Subscription:
    """Raises NotFound for what is not one's own, NotRunning for what has ended or was not begun: of a subscription that
    waits for its first payment Stripe changes nothing, and ends it by itself within a day."""
    subscription = Subscription.objects.filter(pk=subscription_id, user=user).select_related("plan", "paid_plan").first()
    if subscription is None:
        raise NotFound("There is no such subscription.")
    if not subscription.is_running or not subscription.stripe_id:
        raise NotRunning("This subscription has ended.")
    if subscription.state == Subscription.State.INCOMPLETE:
        raise NotRunning("The first payment of this subscription has not been made. Make it first.")
    return subscription


def cancel_at_period_end(subscription: Subscription, *, cancel: bool) -> Subscription:
    """End with the paid month, or go on after all. Stripe is asked; our row follows what it answers."""
    return _changed(subscription, {"cancel_at_period_end": cancel})


def change_plan(subscription: Subscription, plan: PricingPlan) -> Subscription:
    """Swap the price: Stripe puts what is left of this month into the next invoice, as credit for the old plan and charge
    for the new one (https://docs.stripe.com/billing/subscriptions/prorations); that invoice brings the new plan's hours.
    This month's were granted when it was paid. Raises InvalidInput for a plan that cannot be changed to,
    AlreadySubscribed, MonthTurning.
    """
    if plan.plan_type != PricingPlan.Type.SUBSCRIPTION:
        raise InvalidInput("That plan is a package, not a subscription.", field="plan_id", code="not_a_subscription")
    if plan.pk == subscription.plan_id:
        raise AlreadySubscribed(f"You are subscribed to “{plan.name}” already.")
    price = price_of(plan, subscription.currency)
    others = Subscription.objects.running().filter(user=subscription.user_id, plan=plan).exclude(pk=subscription.pk)
    if others.exists():
        raise AlreadySubscribed(f"You are subscribed to “{plan.name}” already.")
    _refuse_while_the_month_turns(subscription)
    first = PurchaseTransaction.objects.filter(subscription=subscription).earliest("created_at")
    changes = {
        "items": [{"id": subscription.stripe_item, "price": stripe_price_of(price)}],
        "metadata": metadata_of(subscription, plan, payment=first.payment_id),
        "proration_behavior": "create_prorations",
    }
    return _changed(subscription, changes)


def _refuse_while_the_month_turns(subscription: Subscription) -> None:
    """A renewal's invoice is a draft for an hour: billed by the price that was, and with the metadata that are when it is
    finalized (https://docs.stripe.com/billing/invoices/subscription). Changed meanwhile, a month of one plan would be sold
    at the price of the other."""
    theirs = stripe_gateway.retrieve_subscription(str(subscription.stripe_id), expand=["latest_invoice"])
    latest, end = theirs["latest_invoice"], moment(theirs["items"]["data"][0]["current_period_end"])
    is_draft = latest is not None and latest["status"] == "draft" and latest["auto_advance"]
    if is_draft or timedelta() <= end - timezone.now() < TURNING:
        raise MonthTurning("A new month is beginning, and its invoice is being made. Please try again in an hour or two.")


def _changed(subscription: Subscription, changes: Mapping[str, Any]) -> Subscription:
    answer = stripe_gateway.update_subscription(str(subscription.stripe_id), changes)
    with transaction.atomic():
        learn(subscription.pk, answer)
    subscription.refresh_from_db()
    return subscription


def portal_url(user: User, *, return_url: str) -> str:
    """Stripe's own page for cards, invoices and ending a subscription."""
    return customers.with_customer(user, lambda customer: stripe_gateway.open_portal(customer=customer, return_url=return_url))
