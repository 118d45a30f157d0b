"""Finishing what was left over: events that failed or wait, sessions that ended, calls to Stripe that got lost.

Runs every minute, does a bounded amount of work, and may run twice at once: every step is settled under locks. What
must be done stands in the tables, never in a queue, so a worker that was killed in the middle of a task leaves nothing
undone. A step that fails, or a row of it, holds up no other.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from typing import TypeVar

from django.conf import settings
from django.db import close_old_connections, connection
from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from conventions.errors import DomainError
from payments import alerts, checkout, inbox, mirror, stripe_gateway
from payments.errors import StripeBusy, StripeRefused, StripeUnavailable
from payments.facts import Sighting, from_event
from payments.fulfilment import fulfilment_of
from payments.inbox import State
from payments.models import Payment, Refund, StripeEvent
from payments.refunds import send_refund
from payments.running import note_run
from payments.settlement import settle_objects, settle_stored
from payments.taking_in import may_pay_an_invoice, settle_invoice_paid_by, settle_taking_in
from payments.tasks import close_abandoned

logger = logging.getLogger(__name__)

BATCH = 100
MOST_BATCHES = 20
MOST_CALLS = 100
# Without an answer this often in a row Stripe is down: the rest is left to the next run, since each waits for timeouts.
MOST_SILENT = 3
SESSION_LIVES = timedelta(hours=24, minutes=10)
ASK_AGAIN_AFTER, ASK_FOR, ASK_BANKS_FOR = timedelta(days=1), timedelta(days=8), timedelta(days=30)
REFUNDS_AGAIN_AFTER = timedelta(hours=1)
# What could not be asked goes to the back of the queue for so long.
RETRY_ASKING_AFTER = timedelta(minutes=10)
REFUND_UNSENT_AFTER = timedelta(minutes=1)
Row = TypeVar("Row")
Done = Counter[str]


def sweep() -> dict[str, int]:
    """Do what is due; returns counts by what was done, `failed` being steps and rows that raised."""
    done: Done = Counter(dict.fromkeys([*STEPS, "failed"], 0))
    for name, step in STEPS.items():
        _attempt(name, step, done)
    modules = {path: purpose for purpose, path in settings.PAYMENT_FULFILMENTS.items()}  # one may serve several purposes
    for path, purpose in sorted(modules.items()):
        _attempt(path, partial(_sweep_product, purpose), done)
    for path in settings.ALSO_SWEPT:
        _attempt(path, partial(_sweep_module, path), done)
    _attempt("alerts", _tell_staff, done)
    _attempt("mirrored", _mirror, done)  # last: it may take as long as Stripe takes to answer
    note_run("sweep", found=done["failed"])
    return dict(done)


def _attempt(name: str, step: Callable[[Done], None], done: Done) -> None:
    try:
        step(done)
    except Exception:
        done["failed"] += 1
        logger.exception("the sweep of %s broke off; the others go on", name)
        _connect_anew_if_lost()


def _connect_anew_if_lost() -> None:
    """Should it be the database that went away. (A transaction around the sweep is not ours to end.)"""
    if not connection.in_atomic_block:
        close_old_connections()


def _each(rows: Iterable[Row], work: Callable[[Row], int], done: Done, name: str) -> None:
    """Do `work` for each row by itself, so that one that fails holds up no other."""
    silent = 0
    for row in rows:
        try:
            done[name] += work(row)
        except (StripeUnavailable, StripeBusy) as error:
            logger.warning("%s waits for the next sweep: %s", row, error)
            silent += 1
            if silent == MOST_SILENT:
                return
            continue
        except DomainError as error:
            logger.warning("%s: %s", row, error)
        except Exception:
            done["failed"] += 1
            logger.exception("%s broke off; the others go on", row)
            _connect_anew_if_lost()
        silent = 0


# -- events -----------------------------------------------------------------------------------------
def _apply_due_events(done: Done) -> None:
    """Failed and parked events whose time has come, oldest first, a hundred at a time."""
    for _ in range(MOST_BATCHES):
        due = StripeEvent.objects.filter(
            state__in=[State.RECEIVED, State.PARKED, State.FAILED], next_attempt_at__lte=timezone.now()
        )
        ids = list(due.order_by("next_attempt_at").values_list("pk", flat=True)[:BATCH])
        if not ids:
            return
        done["events"] += apply_stored(ids)


def apply_stored(ids: Sequence[str], *, take_in_unmatched: bool = False) -> int:
    """Apply stored events together; where that fails, one by one, so that a bad one fails alone. Returns how many
    are finished now."""
    return _finished(_applied(ids, take_in_unmatched=take_in_unmatched))


def _applied(ids: Sequence[str], *, take_in_unmatched: bool) -> dict[str, str]:
    """The end state of each event, and of those that were woken. One that failed has none here, nor one that another
    process is applying."""
    try:
        return settle_stored(ids, take_in_unmatched=take_in_unmatched).states
    except Exception as error:
        if len(ids) > 1:
            return {key: end for pk in ids for key, end in _applied([pk], take_in_unmatched=take_in_unmatched).items()}
        logger.exception("%s could not be applied", ids[0])
        row = StripeEvent.objects.get(pk=ids[0])
        inbox.record_failure(inbox.envelope_of(row), error, source=row.source)
        return {}


def _finished(states: Mapping[str, str]) -> int:
    return sum(state in inbox.FINISHED for state in states.values())


def _take_in_unmatched(done: Done) -> None:
    """Events parked for too long: look at Stripe for the payment they wait for, and post money that has none.

    What shows its money by itself needs no look, unless an invoice may have asked for it; nothing is decided about the
    others without one. Those that could not be looked at are put off, so that they do not stand before the rest.
    """
    now = timezone.now()
    waited = StripeEvent.objects.filter(
        state=State.PARKED,
        received_at__lt=now - timedelta(seconds=settings.PARKED_AFTER_S),
        next_attempt_at__lte=now + inbox.RETRY_PARKED_AFTER,
    )
    decided: list[str] = []
    unclear: dict[str, Sighting] = {}
    for row in waited.order_by("received_at")[:MOST_CALLS]:
        sighting = from_event(inbox.envelope_of(row).event)
        if sighting is None or (sighting.paid_at and not may_pay_an_invoice(sighting)):
            decided.append(row.pk)
        else:
            unclear[row.pk] = sighting

    def look(pk: str) -> int:
        StripeEvent.objects.filter(pk=pk, state=State.PARKED).update(next_attempt_at=timezone.now() + RETRY_ASKING_AFTER)
        _fetch_payment_of(unclear[pk])
        decided.append(pk)
        return 0

    _each(unclear, look, done, "unmatched")
    if not decided:
        return
    states = _applied(decided, take_in_unmatched=True)
    done["unmatched"] += _finished(states)
    # What still waits shows no money of ours: a failure or an expiry of something this system never started. Only what was
    # applied here: one that another process held was not asked to take its money in, and waits for the next sweep.
    waits = [pk for pk in decided if states.get(pk) == State.PARKED]
    still = StripeEvent.objects.filter(pk__in=waits, state=State.PARKED)
    done["unmatched"] += still.update(state=State.IGNORED, waiting_for=None, next_attempt_at=None)


def _fetch_payment_of(sighting: Sighting) -> None:
    """Settle the intent or charge behind a refund or dispute that came before, or without, its payment; of money that
    shows itself, the invoice that asked for it.

    An object that Stripe does not know is an answer; that Stripe cannot be asked is raised.
    """
    try:
        if sighting.intent and may_pay_an_invoice(sighting):
            settle_invoice_paid_by(sighting.intent)
            return
        if sighting.intent:
            fetched = stripe_gateway.retrieve_intent(sighting.intent)
        elif sighting.charge:
            fetched = stripe_gateway.retrieve_charge(sighting.charge)
        else:
            return
    except StripeRefused as error:
        logger.warning("Stripe does not show %s: %s", sighting.waits_for, error)
        return
    settle_taking_in([fetched])


# -- payments that Stripe is asked about --------------------------------------------------------------
def _not_asked_since(since: datetime) -> QuerySet[Payment]:
    """Those asked longest ago first, so that none stands before the others for ever."""
    due = Payment.objects.filter(Q(asked_at=None) | Q(asked_at__lt=since))
    return due.order_by(F("asked_at").asc(nulls_first=True), "created_at")


def _ask_about_each(
    payments: Iterable[Payment], look: Callable[[Payment], int], done: Done, name: str, *, again_after: timedelta
) -> None:
    """Look at Stripe for each payment, and write down when: should that fail it is its turn again soon, else later."""

    def ask(payment: Payment) -> int:
        now = timezone.now()
        Payment.objects.filter(pk=payment.pk).update(asked_at=now - again_after + RETRY_ASKING_AFTER)
        found = look(payment)
        Payment.objects.filter(pk=payment.pk).update(asked_at=now)
        return found

    _each(payments, ask, done, name)


def _settle_ended_sessions(done: Done) -> None:
    """Payments not at their end after a session's life: ask Stripe about session, intent or invoice, each at most once a
    day for a week; for a month where a bank is at work on it."""
    now = timezone.now()
    ended = _not_asked_since(now - ASK_AGAIN_AFTER).filter(
        Q(status__in=["open", "failed"], created_at__gt=now - ASK_FOR)
        | Q(status="processing", created_at__gt=now - ASK_BANKS_FOR),
        Q(checkout_session__isnull=False) | Q(payment_intent__isnull=False) | Q(invoice__isnull=False),
        created_at__lt=now - SESSION_LIVES,
    )

    def look(payment: Payment) -> int:
        try:
            fetched = [_object_of(payment)]
        except StripeRefused as error:
            logger.warning("Stripe does not show what %s is about: %s", payment, error)
            fetched = []
        return len(settle_objects(fetched).changed)

    _ask_about_each(ended[:MOST_CALLS], look, done, "sessions", again_after=ASK_AGAIN_AFTER)


def _object_of(payment: Payment) -> stripe_gateway.Json:
    """The object of Stripe's that says most about a payment that is not at its end."""
    if payment.checkout_session:
        return stripe_gateway.retrieve_session(payment.checkout_session)
    if payment.payment_intent:
        return stripe_gateway.retrieve_intent(payment.payment_intent)
    return stripe_gateway.retrieve_invoice(str(payment.invoice))  # it tells which intent pays it


def _settle_lost_sessions(done: Done) -> None:
    """Payments whose call for a session was never answered, once its key is of no use to the donor any more.

    What the call made all the same is found at Stripe by our id, and settled; where it made nothing, the payment is
    given up. No session is made here: behind a donor's back it would only be a page that nobody sees.
    """
    now = timezone.now()
    lost = _not_asked_since(now - ASK_AGAIN_AFTER).filter(
        status="open",
        via=Payment.Via.CHECKOUT,
        checkout_session=None,
        payment_intent=None,
        created_at__range=(now - ASK_FOR, now - SESSION_LIVES),
    )
    payments = list(lost[:MOST_CALLS])
    if not payments:
        return
    # One pass over Stripe's list serves all that began within a day of the first.
    first = payments[0].created_at
    payments = [p for p in payments if abs(p.created_at - first) < timedelta(days=1)]
    Payment.objects.filter(pk__in=[p.pk for p in payments]).update(asked_at=now - ASK_AGAIN_AFTER + RETRY_ASKING_AFTER)
    made = stripe_gateway.find_sessions(
        client_reference_ids={p.pk for p in payments},
        created_after=min(p.created_at for p in payments) - checkout.CLOCKS_DIFFER,
        created_before=max(p.created_at for p in payments) + SESSION_LIVES + checkout.CLOCKS_DIFFER,
    )

    def finish(payment: Payment) -> int:
        if payment.pk in made:
            return len(settle_objects([stripe_gateway.retrieve_session(made[payment.pk]["id"])]).changed)
        return checkout.give_up(payment)

    _ask_about_each(payments, finish, done, "lost_sessions", again_after=ASK_AGAIN_AFTER)


def _fetch_unseen_refunds(done: Done) -> None:
    """Payments of which a charge showed more refunded than we know refunds of, failed ones included, or of which a refund
    waits for the news that another failed: fetch them."""
    known = Refund.objects.filter(payment=OuterRef("pk"), stripe_id__isnull=False).values("payment")
    unseen = (
        _not_asked_since(timezone.now() - REFUNDS_AGAIN_AFTER)
        .filter(seen_refunded_minor__gt=F("refunded_minor"), payment_intent__isnull=False)
        .annotate(known_minor=Coalesce(Subquery(known.annotate(sum=Sum("amount_minor")).values("sum")), 0))
        .filter(seen_refunded_minor__gt=F("known_minor"))
    )
    waiting = Refund.objects.filter(stripe_id__isnull=False, booked=False).values("payment")
    without_room = _not_asked_since(timezone.now() - REFUNDS_AGAIN_AFTER).filter(pk__in=waiting, payment_intent__isnull=False)

    def look(payment: Payment) -> int:
        return len(settle_objects(stripe_gateway.list_refunds(payment_intent=str(payment.payment_intent))).changed)

    asked = [*unseen[:MOST_CALLS], *without_room[:MOST_CALLS]]
    _ask_about_each(asked, look, done, "fetched_refunds", again_after=REFUNDS_AGAIN_AFTER)


def _send_unsent_refunds(done: Done) -> None:
    """Refunds that were committed and never reached Stripe; `checkout.send` sees to it that none is made twice."""
    unsent = Refund.objects.filter(stripe_id=None, status="pending", created_at__lt=timezone.now() - REFUND_UNSENT_AFTER)

    def send(refund: Refund) -> int:
        send_refund(refund)
        return 1

    # In no fixed order: some that always fail would otherwise stand before the rest for ever.
    _each(unsent.order_by("?")[:MOST_CALLS], send, done, "refunds")


# -- products and staff -------------------------------------------------------------------------------
def _sweep_product(purpose: str, done: Done) -> None:
    fulfilment = fulfilment_of(purpose)
    if fulfilment is not None:
        done.update(fulfilment.sweep())


def _sweep_module(path: str, done: Done) -> None:
    done.update(import_module(path).sweep())


def _mirror(done: Done) -> None:
    done["mirrored"] += mirror.catch_up()


def _close_abandoned_tasks(done: Done) -> None:
    done["abandoned_tasks"] += close_abandoned()


def _tell_staff(done: Done) -> None:
    done["alerts"] += alerts.raise_and_tell()


STEPS: dict[str, Callable[[Done], None]] = {
    "events": _apply_due_events,
    "unmatched": _take_in_unmatched,
    "sessions": _settle_ended_sessions,
    "lost_sessions": _settle_lost_sessions,
    "refunds": _send_unsent_refunds,
    "fetched_refunds": _fetch_unseen_refunds,
    "abandoned_tasks": _close_abandoned_tasks,
}
