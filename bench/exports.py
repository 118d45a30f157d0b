"""A whole export by the command: how long a row takes, and that memory stays flat however many rows there are."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from bench.database import ROOT, environment_of, own_database
from bench.report import Table, main, say
from bench.seeding import seed_campaigns, seed_pending

CAMPAIGNS = 200
COLUMNS = ("file", "rows", "seconds", "rows/s", "peak memory, MB", "file, MB")
# Gifts as they are after payment, with donor, so that every join of the export finds its row.
PAY = """
INSERT INTO donations_donor (id, email, name, locale, anonymous_by_default, created_at)
SELECT 'donor_0' || lpad(to_hex(n), 25, '0'), 'donor' || n || '@example.org', 'Donor ' || n, '', false, now()
  FROM generate_series(0, 9999) n;
UPDATE payments_payment SET status = 'paid', paid_at = now(), payment_intent = 'pi_0' || right(id, 25),
       charge = 'ch_0' || right(id, 25);
UPDATE donations_donation SET state = 'paid', paid_at = now(),
       donor_id = 'donor_0' || lpad(to_hex(('x' || right(id, 6))::bit(24)::int %% 10000), 25, '0');
INSERT INTO donations_receipt (donation_id, claimed_at, sent_at, attempts, last_error)
SELECT id, now(), now(), 1, '' FROM donations_donation;
"""


def measure(quick: bool) -> list[Table]:
    sizes = (1_000, 5_000) if quick else (100_000, 1_000_000)
    rows: list[Sequence[str | int | float]] = []
    for size in sizes:
        with own_database("exports") as url, TemporaryDirectory() as directory:
            with psycopg.connect(url, autocommit=True) as connection, psycopg.ClientCursor(connection) as cursor:
                seed_campaigns(cursor, campaigns=CAMPAIGNS)
                seed_pending(cursor, first=1, count=size, campaigns=CAMPAIGNS)
                cursor.execute(PAY, {})
                cursor.execute("VACUUM ANALYZE")
            rows += [_export(url, file_format, size, Path(directory)) for file_format in ("csv", "xlsx")]
    note = "One process each; memory is the most that it ever held, interpreter and all code included."
    return [Table("Exporting every donation", COLUMNS, rows, note)]


def _export(url: str, file_format: str, size: int, directory: Path) -> Sequence[str | int | float]:
    output = directory / f"all.{file_format}"
    command = [sys.executable, "manage.py", "export_donations", "--format", file_format, "--output", str(output), "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=environment_of(url), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or f'"rows": {size}' not in told:
        raise RuntimeError(f"the export ended with {process.returncode}: {told}")
    megabytes = usage.ru_maxrss / 1024
    say(f"{file_format}, {size:,} rows: {took:.1f} s, {megabytes:.0f} MB")
    return file_format.upper(), size, took, size / took, megabytes, output.stat().st_size / 1_000_000


if __name__ == "__main__":
    main(measure)
