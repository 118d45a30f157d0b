"""A hundred events at a time, as replay, sweep and reconciliation settle them: the same function as the webhook's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import django
import psycopg

from bench.database import environment_of, own_database
from bench.events import Deliveries
from bench.processes import backends_of, cpu_s, taken_s
from bench.report import Table, main, say
from bench.seeding import seed_campaigns, seed_pending

BATCH = 100
MANY = 1000
COLUMNS = ("what", "campaigns", "donations", "donations/s", "Python, CPU ms each", "PostgreSQL, CPU ms each")


def measure(quick: bool) -> list[Table]:
    donations = 500 if quick else 5000
    with own_database("batches") as url:
        os.environ.update(environment_of(url))
        django.setup()
        _measure("warming up", url, _settle_new, 0, BATCH, 1)  # imports, caches, connection
        rows, first = [], BATCH
        for campaigns in (1, MANY):
            for what, settle in (("new events", _settle_new), ("stored events", _settle_stored)):
                rows.append(_measure(what, url, settle, first, donations, campaigns))
                first += donations
    return [Table(f"Donations settled {BATCH} at a time by one process", COLUMNS, rows)]


def _measure(
    what: str, url: str, settle: Callable[[Sequence[str]], None], first: int, donations: int, campaigns: int
) -> Sequence[str | int | float]:
    with psycopg.connect(url) as connection, psycopg.ClientCursor(connection) as cursor:
        seed_campaigns(cursor, campaigns=MANY)
        seed_pending(cursor, first=first, count=donations, campaigns=campaigns)
        cursor.execute("ANALYZE")
    make = Deliveries(donors=5000, campaigns=campaigns)
    bodies = [make.body(number).decode() for number in range(first, first + donations)]
    postgres, python, began = cpu_s(backends_of(url)), time.process_time(), time.perf_counter()
    settle(bodies)
    took, python_s = time.perf_counter() - began, time.process_time() - python
    postgres_s = taken_s(postgres, cpu_s(backends_of(url)))
    say(f"{what}, {campaigns} campaigns: {donations / took:.0f}/s, {python_s * 1000 / donations:.2f} ms")
    shown = "one" if campaigns == 1 else f"{campaigns:,}"
    return what, shown, donations, donations / took, python_s * 1000 / donations, postgres_s * 1000 / donations


def _settle_new(bodies: Sequence[str]) -> None:
    from payments.inbox import open_envelope
    from payments.settlement import settle_events

    for start in range(0, len(bodies), BATCH):
        settle_events([open_envelope(body) for body in bodies[start : start + BATCH]], source="replay")


def _settle_stored(bodies: Sequence[str]) -> None:
    """Storing them is part of what is measured, as it would be after an outage."""
    from payments import inbox
    from payments.models import StripeEvent
    from payments.settlement import settle_stored

    for start in range(0, len(bodies), BATCH):
        envelopes = [inbox.open_envelope(body) for body in bodies[start : start + BATCH]]
        inbox.store(envelopes, source="pull")
        StripeEvent.objects.filter(pk__in=[e.id for e in envelopes]).update(state="received")
        settle_stored([e.id for e in envelopes])


if __name__ == "__main__":
    main(measure)
