"""What a scrape of /metrics tells about payments, read from the tables: right for any number of processes on any number
of machines, and true after a restart.

Every look is bounded: a window of time on an index, at most MOST_ROWS of it, never a count of a whole table. Where a
window holds more, the newest count, and `largesse_…_window_is_cut` says so.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError
from django.db.models import Min, QuerySet
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric

from payments.inbox import State
from payments.models import LastRun, MirrorCursor, MirrorGap, Payment, StripeCallTally, StripeEvent

logger = logging.getLogger(__name__)

MOST_ROWS = 20_000
EVENT_WINDOW = timedelta(minutes=5)
PAYMENT_WINDOW = timedelta(hours=1)
# Donors take their time on the checkout page: who started a moment ago has not decided yet.
DECIDED_AFTER, DECIDED_WITHIN = timedelta(minutes=30), timedelta(hours=24)
QUANTILES = (0.5, 0.95, 0.99, 1)
UNFINISHED = (State.RECEIVED, State.PARKED, State.FAILED)
# Of the newest events, the one that Stripe delivered itself: a pull brings many that it did not.
LOOK_BACK = 1_000
Part = Callable[[datetime], Iterator[Metric]]


class Payments:
    """The collector that config/metrics.py asks."""

    def collect(self) -> Iterable[Metric]:
        now = timezone.now()
        failed = GaugeMetricFamily("largesse_scrape_failed", "1: this part could not be read; the log says why.", labels=["part"])
        for part in PARTS:
            try:
                yield from list(part(now))
            except DatabaseError:
                logger.exception("metrics: %s could not be read", part.__name__)
                failed.add_metric([part.__name__.strip("_")], 1)
        yield failed


def _events(now: datetime) -> Iterator[Metric]:
    """By type and state, and how long they took from Stripe to here."""
    window = StripeEvent.objects.filter(received_at__gte=now - EVENT_WINDOW).order_by("-received_at")
    rows = list(window.values_list("type", "state", "source", "created_at", "received_at")[:MOST_ROWS])
    events = GaugeMetricFamily(
        "largesse_events_recent", "Events received in the last five minutes.", labels=["type", "state", "source"]
    )
    for labels, count in Counter((kind, state, source) for kind, state, source, _, _ in rows).items():
        events.add_metric(labels, count)
    yield events
    delays = [
        _delay_s(state, created_at, received_at, now)
        for _, state, source, created_at, received_at in rows
        if source == StripeEvent.Source.WEBHOOK and state != State.IGNORED
    ]
    delay = GaugeMetricFamily(
        "largesse_webhook_delay_seconds",
        "From Stripe's `created` (whole seconds) until a webhook of the last five minutes came, or until now where it is not "
        "applied yet. One that was applied long after it came shows the time it took to come; "
        "largesse_oldest_unfinished_event_seconds told of it while it waited.",
        labels=["quantile"],
    )
    delays.sort()
    for quantile in QUANTILES if delays else ():
        delay.add_metric([str(quantile)], delays[min(len(delays) - 1, int(quantile * len(delays)))])
    yield delay
    yield _cut("events", len(rows))


def _delay_s(state: str, created_at: datetime, received_at: datetime, now: datetime) -> float:
    """Stripe's clock is not ours: an event from the future took no time."""
    return max(0.0, ((received_at if state == State.APPLIED else now) - created_at).total_seconds())


def _unfinished(now: datetime) -> Iterator[Metric]:
    """What waits, what is dead, and since when nothing came."""
    waiting = GaugeMetricFamily("largesse_events_unfinished", "Events that are not finished, by state.", labels=["state"])
    for state in (*UNFINISHED, State.DEAD):
        waiting.add_metric([state], _bounded_count(StripeEvent.objects.filter(state=state)))
    yield waiting
    oldest = StripeEvent.objects.filter(pk__in=StripeEvent.objects.filter(state__in=UNFINISHED).values("pk")[:MOST_ROWS])
    yield _age(
        "largesse_oldest_unfinished_event_seconds", "Age of the oldest.", oldest.aggregate(at=Min("received_at"))["at"], now
    )
    newest = StripeEvent.objects.order_by("-received_at").values_list("source", "received_at")[:LOOK_BACK]
    delivered = next((at for source, at in newest if source == StripeEvent.Source.WEBHOOK), None)
    silence = GaugeMetricFamily("largesse_webhook_silence_seconds", "Since the last webhook; absent where none ever came.")
    if delivered:
        silence.add_metric([], (now - delivered).total_seconds())
    yield silence


def _payments(now: datetime) -> Iterator[Metric]:
    """By purpose and outcome, and how many who started paid in the end."""
    started = Payment.objects.filter(created_at__gte=now - PAYMENT_WINDOW).order_by("-created_at")
    rows = list(started.values_list("purpose", "status")[:MOST_ROWS])
    payments = GaugeMetricFamily("largesse_payments_recent", "Payments started in the last hour.", labels=["purpose", "outcome"])
    for labels, count in Counter(rows).items():
        payments.add_metric(labels, count)
    yield payments
    yield _cut("payments", len(rows))
    decided = Payment.objects.filter(created_at__range=(now - DECIDED_WITHIN, now - DECIDED_AFTER)).order_by("-created_at")
    conversion = GaugeMetricFamily(
        "largesse_conversion_ratio", "Paid, of those started from a day to half an hour ago.", labels=["purpose"]
    )
    outcomes = Counter(decided.values_list("purpose", "status")[:MOST_ROWS])
    for purpose in sorted({purpose for purpose, _ in outcomes}):
        of_purpose = sum(count for (named, _), count in outcomes.items() if named == purpose)
        conversion.add_metric([purpose], outcomes[purpose, "paid"] / of_purpose)
    yield conversion


def _stripe_calls(now: datetime) -> Iterator[Metric]:
    took = HistogramMetricFamily(
        "largesse_stripe_call_seconds", "Every try at a call to Stripe, retries included.", labels=["operation", "outcome"]
    )
    for tally in StripeCallTally.objects.order_by("operation", "outcome")[:MOST_ROWS]:
        limits = StripeCallTally.BUCKETS_MS
        buckets = [(str(limit / 1000), float(getattr(tally, f"le_{limit}"))) for limit in limits]
        took.add_metric([tally.operation, tally.outcome], [*buckets, ("+Inf", float(tally.calls))], tally.total_ms / 1000)
    yield took


def _tasks(now: datetime) -> Iterator[Metric]:
    ready = DBTaskResult.objects.ready()
    queue = GaugeMetricFamily("largesse_tasks_waiting", "Background tasks that wait for a worker.")
    queue.add_metric([], _bounded_count(ready))
    yield queue
    oldest = DBTaskResult.objects.filter(pk__in=ready.order_by().values("pk")[:MOST_ROWS]).aggregate(at=Min("enqueued_at"))["at"]
    yield _age("largesse_oldest_task_seconds", "Age of the oldest background task that waits.", oldest, now)


def _runs(now: datetime) -> Iterator[Metric]:
    ended = GaugeMetricFamily("largesse_last_run_timestamp_seconds", "When it last ended (Unix seconds).", labels=["name"])
    found = GaugeMetricFamily("largesse_last_run_found", "What it found wrong: broken rules, failed steps.", labels=["name"])
    for run in LastRun.objects.order_by("name")[:100]:
        ended.add_metric([run.name], run.finished_at.timestamp())
        found.add_metric([run.name], run.found)
    yield ended
    yield found


def _mirror(now: datetime) -> Iterator[Metric]:
    if not settings.STRIPE_MIRROR:
        return
    reached = MirrorCursor.objects.filter(name="events").values_list("received_at", flat=True).first()
    newer = StripeEvent.objects.filter(received_at__gt=reached) if reached else StripeEvent.objects.all()
    next_one = newer.order_by("received_at").values_list("received_at", flat=True).first()
    yield _age("largesse_mirror_lag_seconds", "Age of the oldest event that is not mirrored yet.", next_one, now)
    gaps = GaugeMetricFamily("largesse_mirror_gaps", "Objects that could not be mirrored.")
    gaps.add_metric([], _bounded_count(MirrorGap.objects.all()))
    yield gaps


PARTS: tuple[Part, ...] = (_events, _unfinished, _payments, _stripe_calls, _tasks, _runs, _mirror)


def _bounded_count(rows: QuerySet) -> int:  # type: ignore[type-arg]
    return rows.order_by()[:MOST_ROWS].count()


def _age(name: str, help_text: str, since: datetime | None, now: datetime) -> Metric:
    """0 where there is none: an alert on its age then says nothing."""
    gauge = GaugeMetricFamily(name, help_text)
    gauge.add_metric([], max(0.0, (now - since).total_seconds()) if since else 0.0)
    return gauge


def _cut(window: str, rows: int) -> Metric:
    gauge = GaugeMetricFamily(
        f"largesse_{window}_window_is_cut", f"1: the window holds more than {MOST_ROWS} rows; the newest were read."
    )
    gauge.add_metric([], int(rows == MOST_ROWS))
    return gauge
