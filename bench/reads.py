"""What people look at, with a thousand and a million donations to one campaign: time and statements should not grow."""

from __future__ import annotations

import os
import statistics
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import django
import psycopg

from bench.database import environment_of, own_database
from bench.report import Table, main, say
from bench.seeding import seed_campaigns, seed_paid

FEW, MANY = 1_000, 1_000_000
CAMPAIGN = "campaign_0" + "0" * 25
COLUMNS = ("what", "donations", "statements", "median, ms", "slowest of ten, ms")


def measure(quick: bool) -> list[Table]:
    with own_database("reads") as url:
        os.environ.update(environment_of(url))
        django.setup()
        rows, seeded = [], 0
        for donations in (FEW, 20_000 if quick else MANY):
            began = time.perf_counter()
            _seed(url, first=seeded, count=donations - seeded)
            seeded = donations
            say(f"{donations:,} donations, seeded in {time.perf_counter() - began:.0f} s")
            rows += [(name, donations, *_timed(name, look)) for name, look in _looks()]
    rows.sort(key=lambda row: str(row[0]))
    return [Table("Pages with few and with many donations", COLUMNS, rows, note="Through the whole of Django, without HTTP.")]


def _seed(url: str, *, first: int, count: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection, psycopg.ClientCursor(connection) as cursor:
        seed_campaigns(cursor, campaigns=20)
        seed_paid(cursor, first=first, count=count)
        cursor.execute("VACUUM ANALYZE")


def _looks() -> Iterator[tuple[str, Callable[[], Any]]]:
    from django.test import Client

    from accounts.models import User
    from donations.models import Donation

    visitor, staff = Client(), Client()
    user, _ = User.objects.get_or_create(email="staff@example.org", defaults={"is_staff": True, "is_superuser": True})
    staff.force_login(user)
    wall = f"/api/donations?campaign_id={CAMPAIGN}&page_size=50"
    middle = Donation.objects.order_by("paid_at")[Donation.objects.count() // 2].paid_at
    cursor = quote(b64encode(f"p={quote(str(middle))}".encode()).decode())
    yield "wall (API), first 50", lambda: visitor.get(wall)
    yield "wall (API), 50 from the middle", lambda: visitor.get(f"{wall}&cursor={cursor}")
    yield "campaign (API)", lambda: visitor.get(f"/api/campaigns/{CAMPAIGN}")
    yield "campaign page (HTML)", lambda: visitor.get("/campaigns/campaign-0")
    yield "front page (HTML)", lambda: visitor.get("/")
    yield "admin: list of donations", lambda: staff.get("/admin/donations/donation/")
    yield "admin: list of payments", lambda: staff.get("/admin/payments/payment/")
    yield "admin: one gift by its id", lambda: staff.get(f"/admin/donations/donation/?q=donation_0{'0' * 25}")


def _timed(name: str, look: Callable[[], Any]) -> tuple[int, float, float]:
    from django.db import connection

    statements: list[str] = []

    def count(execute: Any, sql: str, *others: Any) -> Any:
        statements.append(sql)
        return execute(sql, *others)

    with connection.execute_wrapper(count):
        status = look().status_code
    if status != 200:
        raise RuntimeError(f"{name} answered {status}")
    times = []
    for _ in range(10):
        began = time.perf_counter()
        look()
        times.append((time.perf_counter() - began) * 1000)
    say(f"{name}: {len(statements)} statements, {statistics.median(times):.1f} ms")
    return len(statements), statistics.median(times), max(times)


if __name__ == "__main__":
    main(measure)
