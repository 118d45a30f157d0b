"""Finishing what was left over: events that failed or wait, sessions that ended, refunds that were never sent.

Runs every minute, does a bounded amount of work, and may run twice at once: every step is settled under locks.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from conventions.errors import DomainError
from payments import inbox, stripe_gateway
from payments.errors import StripeRefused
from payments.facts import Sighting, from_event
from payments.fulfilment import all_fulfilments
from payments.inbox import State
from payments.models import Payment, Refund, StripeEvent
from payments.refunds import send_refund
from payments.settlement import settle_objects, settle_stored

logger = logging.getLogger(__name__)

BATCH = 100
MOST_BATCHES = 20
MOST_CALLS = 100
SESSION_LIVES = timedelta(hours=24, minutes=10)
ASK_AGAIN_AFTER, ASK_FOR = timedelta(days=1), timedelta(days=8)
REFUND_UNSENT_AFTER = timedelta(minutes=1)


def sweep() -> dict[str, int]:
    """Do what is due; returns counts by what was done."""
    done: Counter[str] = Counter()
    done["events"] += _apply_due_events()
    done["unmatched"] += _take_in_unmatched()
    done["sessions"] += _settle_ended_sessions()
    done["refunds"] += _send_unsent_refunds()
    for fulfilment in all_fulfilments():
        done.update(fulfilment.sweep())
    return dict(done)


def _apply_due_events() -> int:
    """Failed and parked events whose time has come, oldest first, a hundred at a time."""
    applied = 0
    for _ in range(MOST_BATCHES):
        due = StripeEvent.objects.filter(
            state__in=[State.RECEIVED, State.PARKED, State.FAILED], next_attempt_at__lte=timezone.now()
        )
        ids = list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:BATCH])
        if not ids:
            break
        applied += apply_stored(ids)
    return applied


def apply_stored(ids: Sequence[str], *, take_in_unmatched: bool = False) -> int:
    """Apply stored events together; where that fails, one by one, so that a bad one fails alone. Returns how many
    are finished now."""
    try:
        states = settle_stored(ids, take_in_unmatched=take_in_unmatched).states
    except Exception as error:
        if len(ids) > 1:
            return sum(apply_stored([pk], take_in_unmatched=take_in_unmatched) for pk in ids)
        logger.exception("%s could not be applied", ids[0])
        row = StripeEvent.objects.get(pk=ids[0])
        inbox.record_failure(inbox.envelope_of(row), error, source=row.source)
        return 0
    return sum(state in inbox.FINISHED for state in states.values())


def _take_in_unmatched() -> int:
    """Events parked for too long: look at Stripe for the payment they wait for, and post money that has none."""
    waited = timezone.now() - timedelta(seconds=settings.PARKED_AFTER_S)
    rows = list(StripeEvent.objects.filter(state=State.PARKED, received_at__lt=waited).order_by("received_at")[:MOST_CALLS])
    for row in rows:
        sighting = from_event(inbox.envelope_of(row).event)
        if sighting is not None and not sighting.paid_at and not _fetch_payment_of(sighting):
            return 0  # Stripe cannot be asked now; nothing is decided without it
    finished = apply_stored([row.pk for row in rows], take_in_unmatched=True) if rows else 0
    # What still waits shows no money of ours: a failure or an expiry of something this system never started.
    still = StripeEvent.objects.filter(pk__in=[row.pk for row in rows], state=State.PARKED)
    return finished + still.update(state=State.IGNORED, waiting_for=None, next_attempt_at=None)


def _fetch_payment_of(sighting: Sighting) -> bool:
    """Settle the intent or charge behind a refund or dispute that came before, or without, its payment.

    False when Stripe could not be asked; an object that it does not know is an answer.
    """
    try:
        if sighting.intent:
            fetched = stripe_gateway.retrieve_intent(sighting.intent)
        elif sighting.charge:
            fetched = stripe_gateway.retrieve_charge(sighting.charge)
        else:
            return True
    except StripeRefused as error:
        logger.warning("Stripe does not show %s: %s", sighting.waits_for, error)
        return True
    except DomainError as error:
        logger.warning("%s cannot be looked at: %s", sighting.waits_for, error)
        return False
    settle_objects([fetched], take_in_unmatched=True)
    return True


def _settle_ended_sessions() -> int:
    """Payments still open after their session's life: ask Stripe how it ended, each at most once a day for a week."""
    now = timezone.now()
    ended = Payment.objects.filter(
        Q(asked_at=None) | Q(asked_at__lt=now - ASK_AGAIN_AFTER),
        status__in=["open", "failed"],
        checkout_session__isnull=False,
        created_at__range=(now - ASK_FOR, now - SESSION_LIVES),
    ).order_by(F("asked_at").asc(nulls_first=True), "created_at")
    settled = 0
    for pk, session in ended.values_list("pk", "checkout_session")[:MOST_CALLS]:
        try:
            fetched = [stripe_gateway.retrieve_session(str(session))]
        except StripeRefused as error:
            logger.warning("Stripe does not show session %s: %s", session, error)
            fetched = []
        except DomainError as error:
            logger.warning("session %s cannot be looked at: %s", session, error)
            break
        Payment.objects.filter(pk=pk).update(asked_at=now)
        settled += len(settle_objects(fetched).changed)
    return settled


def _send_unsent_refunds() -> int:
    """Refunds that were committed and never reached Stripe; sent under the same key, so never twice."""
    unsent = Refund.objects.filter(
        stripe_id=None, status="pending", created_at__lt=timezone.now() - REFUND_UNSENT_AFTER
    ).order_by("created_at")
    sent = 0
    for refund in unsent[:MOST_CALLS]:
        try:
            send_refund(refund)
        except DomainError as error:
            logger.warning("refund %s was not sent: %s", refund.pk, error)
        else:
            sent += 1
    return sent
