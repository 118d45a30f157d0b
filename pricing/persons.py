"""A person's data held by pricing: the protocol of `settings.PERSON_DATA`."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from payments.money import Money
from payments.persons import ERASED_DOMAIN
from pricing import ending
from pricing.hour_amounts import hours_text
from pricing.models import HourConsumption, HourLot, PurchaseTransaction, RenewalFailure, Subscription

AT_ONCE = 100


def address_proved(user: User) -> None:
    """What was bought as a guest under the address that the user has now proved becomes theirs."""
    PurchaseTransaction.objects.filter(email=user.email, user=None).update(user=user)
    HourLot.objects.filter(email=user.email, student=None).update(student=user)


def proved_users() -> QuerySet[User]:
    return User.objects.filter(email_proved_at__isnull=False, is_active=True)


def hand_over_waiting() -> int:
    """Guests' hours whose address was proved in the moment in which they were granted; returns of how many people."""
    waiting = HourLot.objects.filter(student=None).exclude(email="").values("email")
    owners = list(proved_users().filter(email__in=waiting)[:AT_ONCE])
    for user in owners:
        address_proved(user)
    return len(owners)


def export(user: User) -> dict[str, Any]:
    purchases = PurchaseTransaction.objects.filter(user=user).order_by("created_at")
    sessions = HourConsumption.objects.filter(student=user).order_by("created_at")
    lots = HourLot.objects.filter(student=user).order_by("created_at")
    subscriptions = Subscription.objects.filter(user=user).select_related("plan", "paid_plan").order_by("created_at")
    failures = RenewalFailure.objects.filter(subscription__user=user).order_by("created_at")
    return {
        "purchases": [
            {
                "id": purchase.pk,
                "name": purchase.name,
                "amount": str(purchase.money),
                "currency": purchase.currency.upper(),
                "hours": hours_text(purchase.hours_hundredths),
                "state": purchase.state,
                "email": purchase.email,
                "metadata": purchase.metadata,
                "created_at": purchase.created_at.isoformat(),
                "paid_at": purchase.paid_at and purchase.paid_at.isoformat(),
            }
            for purchase in purchases.iterator(chunk_size=500)
        ],
        "hour_lots": [
            {
                "id": lot.pk,
                "granted": hours_text(lot.granted_hundredths),
                "remaining": hours_text(lot.remaining_hundredths),
                "expires_at": lot.expires_at and lot.expires_at.isoformat(),
            }
            for lot in lots.iterator(chunk_size=500)
        ],
        "sessions": [
            {
                "id": session.pk,
                "session_reference": session.session_reference,
                "hours": hours_text(session.hours_hundredths),
                "created_at": session.created_at.isoformat(),
                "reversed_at": session.reversed_at and session.reversed_at.isoformat(),
            }
            for session in sessions.iterator(chunk_size=500)
        ],
        "subscriptions": [_subscription(one) for one in subscriptions.iterator(chunk_size=500)],
        "failed_renewals": [
            {
                "subscription": failure.subscription_id,
                "invoice": failure.invoice,
                "attempt": failure.attempt,
                "amount": str(Money(failure.amount_minor, failure.currency)),
                "currency": failure.currency.upper(),
                "created_at": failure.created_at.isoformat(),
                "next_attempt_at": failure.next_attempt_at and failure.next_attempt_at.isoformat(),
                "told_at": failure.sent_at and failure.sent_at.isoformat(),
            }
            for failure in failures.iterator(chunk_size=500)
        ],
    }


def _subscription(subscription: Subscription) -> dict[str, Any]:
    agreed = subscription.agreed_price
    return {
        "id": subscription.pk,
        "plan": subscription.plan.name,
        "paid_plan": subscription.plan_now.name,
        "hours": hours_text(subscription.agreed_hundredths),
        "amount": str(agreed) if agreed else None,
        "currency": subscription.currency.upper(),
        "state": subscription.state,
        "current_period_end": subscription.current_period_end and subscription.current_period_end.isoformat(),
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "created_at": subscription.created_at.isoformat(),
        "ended_at": subscription.ended_at and subscription.ended_at.isoformat(),
    }


def erase(user: User) -> None:
    """Personal fields go; hours, amounts and the books stay. Subscriptions are ended at Stripe once this has committed."""
    ending.end_for_erased.enqueue()
    PurchaseTransaction.objects.filter(user=user).update(email=f"{user.pk}{ERASED_DOMAIN}", metadata={})
    HourLot.objects.filter(student=user).update(email=f"{user.pk}{ERASED_DOMAIN}")
