"""What Stripe tells of subscriptions: the follower of `settings.STRIPE_FOLLOWERS`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from payments import checkout
from payments.facts import moment
from payments.following import Happened
from payments.models import Payment
from pricing import invoices, renewal_mails
from pricing.models import PricingPlan, Subscription

# Of two events of the same second, the one further down the road was the later one.
RANK = ("incomplete", "trialing", "active", "past_due", "unpaid", "paused", "incomplete_expired", "canceled")
INCOMPLETE = Subscription.State.INCOMPLETE


def follow(happened: Sequence[Happened]) -> None:
    for one in happened:
        subject = one.event["data"]["object"]
        if one.type.startswith("customer.subscription."):
            _follow_subscription(subject, at=one.created_at)
        elif one.type == "invoice.payment_failed":
            renewal_mails.payment_failed(subject)
        elif one.type == "invoice.paid":
            invoices.grant_free(subject)


def _follow_subscription(theirs: Mapping[str, Any], *, at: datetime) -> None:
    found = Subscription.objects.select_for_update().filter(stripe_id=theirs["id"]).first()
    if found is None:
        ours = agreed_with(theirs).subscription
        found = Subscription.objects.select_for_update().filter(pk=ours, stripe_id=None).first()
    if found is not None and _is_news(found, theirs, at=at):
        found.seen_at = at
        _take_over(found, theirs)


def learn(subscription_id: str, answer: Mapping[str, Any]) -> None:
    """Take over what Stripe answered just now; call it in a transaction.

    Events are compared with each other by Stripe's clock, never with ours: an answer leaves `seen_at` alone.
    """
    found = Subscription.objects.select_for_update().get(pk=subscription_id)
    if found.is_running:
        _take_over(found, answer)


def agreed_with(subscription: Mapping[str, Any]) -> invoices.Agreed:
    return invoices.agreed_in((subscription.get("metadata") or {}).get("subject", ""))


def _is_news(ours: Subscription, theirs: Mapping[str, Any], *, at: datetime) -> bool:
    """The latest word counts, whatever order the events come in; but nothing comes after the end, nor before the
    beginning what we have seen going on already."""
    if not ours.is_running or (theirs["status"] == INCOMPLETE and ours.state != INCOMPLETE):
        return False
    if ours.seen_at is None:
        return True
    told, known = (at, RANK.index(theirs["status"])), (ours.seen_at, RANK.index(ours.state))
    return told >= known


def _take_over(ours: Subscription, theirs: Mapping[str, Any]) -> None:
    items = theirs["items"]["data"]
    ours.stripe_id, ours.state = theirs["id"], theirs["status"]
    ours.cancel_at_period_end = bool(theirs.get("cancel_at_period_end"))
    ours.ended_at = moment(theirs["ended_at"]) if theirs.get("ended_at") else None
    known_until = ours.current_period_end
    if items:
        ours.stripe_item = items[0]["id"]
        ours.current_period_end = moment(items[0]["current_period_end"])
        ours.amount_minor = (items[0].get("price") or {}).get("unit_amount") or ours.amount_minor
    agreed = agreed_with(theirs)
    if agreed.plan is not None and _may_become(ours, agreed.plan):
        if agreed.plan != ours.plan_id:
            _change(ours, agreed.plan, within_the_month=known_until == ours.current_period_end)
        ours.hours_hundredths = agreed.hundredths
    ours.save()
    if not ours.is_running:  # a first payment that was not made in time
        checkout.cancel(Payment.objects.filter(purchase__subscription=ours), at=ours.ended_at or timezone.now())


def _change(ours: Subscription, plan: int, *, within_the_month: bool) -> None:
    """To another plan, whose first month begins when the one that is paid ends. One that we hear of only after that end is
    in force already; one back to the plan of the paid month changes nothing of it."""
    paid = ours.plan_now
    is_news = within_the_month and ours.state != INCOMPLETE and paid.pk != plan
    ours.paid_plan, ours.changes_at = (paid, ours.current_period_end) if is_news else (None, None)
    ours.plan_id = plan


def _may_become(ours: Subscription, plan: int) -> bool:
    """Whether the plan exists, and no other running subscription of the same person is to it."""
    others = Subscription.objects.running().filter(user=ours.user_id, plan=plan).exclude(pk=ours.pk)
    return PricingPlan.objects.filter(pk=plan).exists() and not others.exists()
