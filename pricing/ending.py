"""Ending subscriptions that nobody will end: those of people who are gone, for nobody is billed who was erased, and those
that were begun and never opened at Stripe or never paid, which would stand in the way of a new one for ever."""

from __future__ import annotations

import logging

from django.db import transaction
from django.utils import timezone
from django_tasks import task

from conventions.errors import DomainError
from payments import checkout, stripe_gateway
from payments.errors import StripeRefused
from payments.models import Payment, StripeCall
from payments.persons import ERASED_DOMAIN
from pricing.following import learn
from pricing.models import Subscription

logger = logging.getLogger(__name__)

AT_ONCE = 100


@task()
def end_for_erased() -> int:
    """Cancel at Stripe what runs for people who were erased; returns how many. What fails is tried by the next sweep."""
    running = Subscription.objects.running().filter(user__email__endswith=ERASED_DOMAIN, stripe_id__isnull=False)
    ended = 0
    for subscription in running.order_by("pk")[:AT_ONCE]:
        try:
            answer = stripe_gateway.cancel_subscription(str(subscription.stripe_id))
        except DomainError as error:
            logger.warning("%s of somebody who was erased still runs: %s", subscription.pk, error)
            continue
        with transaction.atomic():
            learn(subscription.pk, answer)
        ended += 1
    return ended


def end_never_paid() -> int:
    """Subscriptions that wait for their first payment for longer than Stripe lets them; returns how many are ended now.

    One whose call was never answered is looked for at Stripe by our payment's id, and followed if the call made it; where
    it made nothing, it is ended here. Before the call's key has expired whoever comes back goes on with the same call, and
    after that with a call of its own, from which the time counts anew.
    """
    before = timezone.now() - checkout.KEY_LIVES - checkout.CLOCKS_DIFFER
    waiting = Subscription.objects.filter(state=Subscription.State.INCOMPLETE, created_at__lt=before)
    ended = 0
    for subscription in waiting.order_by("created_at")[:AT_ONCE]:
        payment = Payment.objects.filter(purchase__subscription=subscription).earliest("created_at")
        call = checkout.latest_call(payment.pk, checkout.SUBSCRIPTION)
        if call.created_at > before:
            continue
        try:
            answer = _as_stripe_knows_it(subscription, call)
        except DomainError as error:
            logger.warning("%s waits for the next sweep: %s", subscription.pk, error)
            return ended  # Stripe is not there: each of the others would wait for its timeout too
        with transaction.atomic():
            if answer is not None:
                learn(subscription.pk, answer)
            else:
                checkout.give_up(payment)
                never_opened = Subscription.objects.filter(pk=subscription.pk, stripe_id=None)
                never_opened.exclude(purchases__paid_at__isnull=False).update(state=Subscription.State.INCOMPLETE_EXPIRED)
        subscription.refresh_from_db()
        ended += not subscription.is_running
    return ended


def _as_stripe_knows_it(subscription: Subscription, call: StripeCall) -> stripe_gateway.Json | None:
    """That Stripe knows no such subscription or customer is an answer; other errors are raised."""
    try:
        if known := subscription.stripe_id or (call.answer or {}).get("id"):
            return stripe_gateway.retrieve_subscription(known)
        return stripe_gateway.find_subscription(customer=call.params["customer"], our_payment=call.subject_id)
    except StripeRefused as error:
        logger.warning("Stripe does not show %s: %s", subscription.pk, error)
        return None
