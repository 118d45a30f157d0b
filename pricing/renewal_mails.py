"""The mail about a renewal that failed: once for each try of each invoice."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import timezone
from django_tasks import task

from conventions.failures import told
from payments.facts import moment
from payments.money import Money
from payments.persons import ERASED_DOMAIN
from pricing.models import RenewalFailure, Subscription

TRIES, AT_ONCE = 5, 100
TRY_AGAIN_AFTER, TOO_OLD = timedelta(minutes=5), timedelta(days=3)


def payment_failed(invoice: Mapping[str, Any]) -> None:
    """Write down that a renewal failed, and tell the subscriber after the commit. A first payment that fails is not
    told by mail: the person is looking at it."""
    if invoice.get("billing_reason") == "subscription_create":
        return
    details = (invoice.get("parent") or {}).get("subscription_details") or {}
    subscription = Subscription.objects.filter(stripe_id=details.get("subscription")).first()
    if subscription is None:
        return
    next_try = invoice.get("next_payment_attempt")
    failure, is_new = RenewalFailure.objects.get_or_create(
        invoice=invoice["id"],
        attempt=invoice.get("attempt_count") or 0,
        defaults={
            "subscription": subscription,
            "amount_minor": invoice["amount_due"],
            "currency": invoice["currency"],
            "next_attempt_at": moment(next_try) if next_try else None,
        },
    )
    if is_new:
        tell.enqueue(failure.pk)


@task()
def tell(failure_id: int) -> bool:
    """Send the mail unless somebody did or is doing it: claimed before it is sent."""
    claimed = RenewalFailure.objects.filter(pk=failure_id, claimed_at=None).update(claimed_at=timezone.now())
    if not claimed:
        return False
    failure = RenewalFailure.objects.select_related("subscription__user", "subscription__plan").get(pk=failure_id)
    subscriber = failure.subscription.user
    if subscriber.email.endswith(ERASED_DOMAIN):
        return False
    try:
        _mail(failure, subscriber.email).send()
    except Exception as error:  # noqa: BLE001  known not to have been sent: the sweep tries again
        RenewalFailure.objects.filter(pk=failure_id).update(claimed_at=None, last_error=told(error))
        return False
    RenewalFailure.objects.filter(pk=failure_id).update(sent_at=timezone.now(), last_error="")
    return True


def send_lost() -> int:
    """Mails whose nudge was lost or that could not be sent, at most AT_ONCE; returns how many went."""
    now = timezone.now()
    lost = RenewalFailure.objects.filter(claimed_at=None, created_at__lt=now - TRY_AGAIN_AFTER, created_at__gt=now - TOO_OLD)
    return sum(tell.func(pk) for pk in lost.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])


def _mail(failure: RenewalFailure, address: str) -> EmailMultiAlternatives:
    context = {
        "plan": failure.subscription.plan,
        "amount": Money(failure.amount_minor, failure.currency).display(),
        "next_attempt_at": failure.next_attempt_at,
        "site": settings.FRONTEND_URL,
    }
    mail = EmailMultiAlternatives(
        subject=f"The payment for {failure.subscription.plan.name} did not go through",
        body=render_to_string("mail/renewal_failed.txt", context),
        to=[address],
        headers={"Message-ID": f"<{failure.invoice}.{failure.attempt}@largesse.renewals>"},
    )
    mail.attach_alternative(render_to_string("mail/renewal_failed.html", context), "text/html")
    return mail
