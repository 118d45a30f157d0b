"""A donation by its signed event over HTTP, one event at a time: this project, the tutorial view, dj-stripe's view.

Each is served by gunicorn with equal settings on a database of its own; the same bodies, the same load generator, one
contender after the other within the same minutes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import psycopg

from bench.database import ENVIRONMENT, ROOT, environment_of, own_database
from bench.events import Deliveries
from bench.load import deliver
from bench.processes import Server, free_port, serving, taken_s, wait_for
from bench.report import Table, main, say
from bench.seeding import PEER_PENDING, seed_campaigns, seed_pending

CONNECTIONS = (1, 4, 16, 64)
MANY = 1000
DONORS = 5000
PEERS = "bench.peers.settings"


@dataclass
class Contender:
    """A running server; `prepare(first, count, campaigns)` makes the pending donations that are then delivered."""

    name: str
    path: str
    url: str
    server: Server
    prepare: Callable[[int, int, int], None]
    numbers: Iterator[int]

    def run(self, *, events: int, campaigns: int, connections: int) -> Sequence[str | int | float]:
        first = next(self.numbers) * 100_000
        self.prepare(first, events, campaigns)
        make = Deliveries(donors=DONORS, campaigns=campaigns)
        bodies = [make.body(number) for number in range(first, first + events)]
        python, postgres = self.server.cpu_s()
        took = deliver(self.server.port, self.path, bodies, connections=connections)
        python_after, postgres_after = self.server.cpu_s()
        python_ms, postgres_ms = taken_s(python, python_after) * 1000 / events, taken_s(postgres, postgres_after) * 1000 / events
        say(f"{self.name}, {campaigns} campaigns, {connections} connections: {events / took:.0f}/s, {python_ms:.2f} ms")
        shown = "one" if campaigns == 1 else f"{campaigns:,}"
        return self.name, shown, connections, events / took, python_ms, postgres_ms


@contextmanager
def ours() -> Iterator[Contender]:
    with own_database("ours") as url, serving("config.wsgi", "config.settings", url) as server:

        def prepare(first: int, events: int, campaigns: int) -> None:
            with psycopg.connect(url) as connection, psycopg.ClientCursor(connection) as cursor:
                seed_campaigns(cursor, campaigns=MANY)
                seed_pending(cursor, first=first, count=events, campaigns=campaigns)

        yield Contender("this project", "/api/payments/stripe/webhook", url, server, prepare, count())


@contextmanager
def peers() -> Iterator[tuple[Contender, Contender]]:
    """The tutorial view and dj-stripe's, in one server; the second with a Stripe that answers at no cost."""
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    ENVIRONMENT["STRIPE_API_BASE"] = api
    with (
        own_database("peers", PEERS) as url,
        subprocess.Popen([sys.executable, "-m", "bench.stripe_answers", str(port)], cwd=ROOT) as stripe,
    ):
        try:
            wait_for(port, stripe)
            made = subprocess.run(
                [sys.executable, "-m", "bench.peers.endpoint"],
                cwd=ROOT,
                env=environment_of(url, PEERS),
                stdout=subprocess.PIPE,
                check=True,
            )

            def prepare(first: int, events: int, campaigns: int) -> None:
                with psycopg.connect(url) as connection, psycopg.ClientCursor(connection) as cursor:
                    cursor.execute(PEER_PENDING, {"first": first, "count": events, "campaigns": campaigns, "all": MANY})

            with serving("bench.peers.wsgi", PEERS, url) as server:
                numbers = count()
                yield (
                    Contender("the tutorial view", "/tutorial/webhook", url, server, prepare, numbers),
                    Contender("dj-stripe's view", made.stdout.decode(), url, server, prepare, numbers),
                )
        finally:
            stripe.terminate()


def measure(quick: bool) -> list[Table]:
    events = 48 if quick else 600
    rows = []
    with ours() as project, peers() as (tutorial, djstripe):
        for contender in (project, tutorial, djstripe):
            contender.run(events=50, campaigns=1, connections=4)  # imports, caches, connections
        for campaigns in (1, MANY):
            for connections in CONNECTIONS:
                for contender in (project, tutorial):
                    # As many connections share as many events each, so that none is over before the others began.
                    total = max(events, connections * 15)
                    rows.append(contender.run(events=total, campaigns=campaigns, connections=connections))
        for connections in (1, 16):
            rows.append(djstripe.run(events=max(events // 6, 48), campaigns=1, connections=connections))
    rows.sort(key=lambda row: (["this project", "the tutorial view", "dj-stripe's view"].index(str(row[0])), row[1] != "one"))
    columns = ("contender", "campaigns", "connections", "donations/s", "Python, CPU ms each", "PostgreSQL, CPU ms each")
    return [Table("Donations recorded by signed events, one at a time", columns, rows)]


if __name__ == "__main__":
    main(measure)
