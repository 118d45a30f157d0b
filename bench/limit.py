"""What PostgreSQL can do at most: the rows of one donation, written by pgbench without any Python.

Beside it the same with one counter row for the campaign, as most designs have it, instead of sixteen slots.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from bench.database import own_database
from bench.events import Deliveries
from bench.report import Table, main, say
from bench.seeding import seed_campaigns, seed_pending

CLIENTS = (1, 4, 16, 64)
PENDING = 120_000

SLOTS = """
INSERT INTO campaigns_campaigntally (campaign_id, slot, raised_minor, refunded_minor, disputed_minor, donations, donors,
    last_donation_at)
VALUES ('campaign_0' || repeat('0', 25), :slot, 2500, 0, 0, 1, 1, now())
ON CONFLICT (campaign_id, slot) DO UPDATE SET raised_minor = campaigns_campaigntally.raised_minor + 2500,
    donations = campaigns_campaigntally.donations + 1, last_donation_at = now();
"""
SCRIPT = """
\\set slot random(0, {last_slot})
SELECT nextval('bench_number') AS n \\gset
BEGIN;
INSERT INTO payments_stripeevent (id, type, api_version, object_id, livemode, created_at, received_at, source, payload, state,
    deliveries, attempts, last_error)
SELECT 'evt_0' || lpad(to_hex(:n), 25, '0'), 'checkout.session.completed', '', 'cs', false, now(), now(), 'webhook', body,
    'applied', 1, 0, '' FROM bench_body;
SELECT * FROM payments_payment WHERE id = 'pay_0' || lpad(to_hex(:n), 25, '0') FOR UPDATE;
UPDATE payments_payment SET payment_intent = 'pi_0' || to_hex(:n), customer_email = 'donor@example.org', customer_name = 'Donor',
    paid_at = now(), status = 'paid' WHERE id = 'pay_0' || lpad(to_hex(:n), 25, '0');
INSERT INTO payments_transfer (id, key, debit_id, credit_id, amount_minor, currency, payment_id, occurred_at, posted_at, memo)
VALUES ('transfer_0' || lpad(to_hex(:n), 25, '0'), 'paid:pay_0' || lpad(to_hex(:n), 25, '0'), 'stripe:usd',
    'campaign:campaign_0' || repeat('0', 25) || ':usd', 2500, 'usd', 'pay_0' || lpad(to_hex(:n), 25, '0'), now(), now(), '');
INSERT INTO donations_donor (id, email, name, locale, anonymous_by_default, created_at)
VALUES ('donor_0' || lpad(to_hex(:n), 25, '0'), 'donor' || to_hex(:n) || '@example.org', 'Donor', '', false, now())
ON CONFLICT (email) DO NOTHING;
UPDATE donations_donation SET state = 'paid', paid_at = now(), donor_id = 'donor_0' || lpad(to_hex(:n), 25, '0')
 WHERE payment_id = 'pay_0' || lpad(to_hex(:n), 25, '0');
INSERT INTO donations_supporter (campaign_id, donor_id, count, total_minor)
VALUES ('campaign_0' || repeat('0', 25), 'donor_0' || lpad(to_hex(:n), 25, '0'), 1, 2500)
ON CONFLICT (campaign_id, donor_id) DO UPDATE SET count = donations_supporter.count + 1;
{tally}
INSERT INTO django_tasks_database_dbtaskresult (id, status, enqueued_at, args_kwargs, priority, task_path, worker_ids, queue_name,
    backend_name, run_after, exception_class_path, traceback)
VALUES (gen_random_uuid(), 'READY', now(), '{{}}', 0, 'donations.receipts.send_receipts', '[]', 'default', 'default',
    '9999-01-01', '', '');
COMMIT;
"""


def pgbench() -> str | None:
    """Debian keeps it beside the server, not on the path."""
    return shutil.which("pgbench") or next(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))), None)


def measure(quick: bool) -> list[Table]:
    program = pgbench()
    if program is None:
        say("left out: pgbench was not found")
        return []
    seconds = 1 if quick else 5
    columns = ("counters", *(f"{clients} connections" for clients in CLIENTS))
    rows = []
    for name, last_slot in (("sixteen slots", 15), ("one row", 0)):
        rates = [f"{rate:,.0f}" for rate in _rates(program, last_slot, seconds)]
        say(f"{name}: {', '.join(rates)} donations/s")
        rows.append((name, *rates))
    return [Table("The limit: the same rows by pgbench, donations/s to one campaign", columns, rows)]


def _rates(program: str, last_slot: int, seconds: int) -> Iterator[float]:
    with own_database("limit") as url, tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT.format(last_slot=last_slot, tally=SLOTS))
        script.flush()
        with psycopg.connect(url) as connection, psycopg.ClientCursor(connection) as cursor:
            seed_campaigns(cursor, campaigns=1)
            seed_pending(cursor, first=0, count=PENDING, campaigns=1)
            cursor.execute("CREATE SEQUENCE bench_number MINVALUE 0 START 0; CREATE TABLE bench_body (body text)")
            body = Deliveries(donors=1, campaigns=1).body(0).decode()
            cursor.execute("INSERT INTO bench_body VALUES (%s)", [body])
            cursor.execute("ANALYZE")
        for clients in CLIENTS:
            yield _rate([program, "-n", "-c", str(clients), "-j", "2", "-T", str(seconds), "-f", script.name], url)


def _rate(command: Sequence[str], url: str) -> float:
    said = subprocess.run([*command, url], stdout=subprocess.PIPE, check=True, text=True).stdout
    found = re.search(r"tps = ([\d.]+) \(without", said)
    if found is None or "number of failed transactions: 0 " not in said:
        raise RuntimeError(said)
    return float(found[1])


if __name__ == "__main__":
    main(measure)
