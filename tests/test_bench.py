"""The benchmarks work: tiny ones, so that they do not rot. What they measure is told by `make bench`."""

from __future__ import annotations

import os

import psycopg
import pytest

from bench import database, deliveries
from bench.report import Table, markdown

URL = os.environ.get("TEST_DATABASE_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="benchmarks run on PostgreSQL")


@pytest.fixture(autouse=True)
def _this_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SERVER", URL.rsplit("/", 1)[0] + "/postgres")


def databases() -> list[str]:
    with psycopg.connect(database.SERVER) as server:
        query = "SELECT datname FROM pg_database WHERE datname LIKE %s"
        return [name for (name,) in server.execute(query, [f"largesse_bench_%_{os.getpid()}"]).fetchall()]


def test_every_contender_records_what_is_delivered_and_nothing_is_left_behind() -> None:
    with deliveries.ours() as ours, deliveries.peers() as (tutorial, djstripe):
        rows = [contender.run(events=8, campaigns=2, connections=2) for contender in (ours, tutorial, djstripe)]
        assert len(databases()) == 2
        recorded = []
        for contender, table, paid in (
            (ours, "donations_donation", "state"),
            (tutorial, "peers_donation", "status"),
            (djstripe, "peers_donation", "status"),
        ):
            with psycopg.connect(contender.url) as connection:
                counted = connection.execute(f"SELECT count(*) FROM {table} WHERE {paid} = 'paid'").fetchone()
            recorded.append(counted)
    assert recorded == [(8,), (16,), (16,)]  # the two peers share their tables
    assert [row[:3] for row in rows] == [(c.name, "2", 2) for c in (ours, tutorial, djstripe)]
    assert databases() == []


def test_a_table_is_written_as_markdown() -> None:
    table = Table("Speed", ("what", "each", "how many"), [("wall", 1.234, 1000), ("admin", 56.7, 2)], note="Quiet.")
    assert markdown(table) == (
        "**Speed**\n\n| what | each | how many |\n|---|---|---|\n| wall | 1.23 | 1,000 |\n| admin | 57 | 2 |\n\nQuiet."
    )
