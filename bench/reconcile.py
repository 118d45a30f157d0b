"""How long reconcile takes over a great many objects, and that its memory does not grow with them.

For each number of objects: a fifth as many gifts wait for payment, a server of lists says that all were paid and nothing
was delivered; the first run mends all of it, the second finds nothing. Objects carry what our code reads and padding to
Stripe's usual size.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg

from bench.database import ROOT, environment_of, own_database
from bench.processes import free_port, wait_for
from bench.report import Table, main, say
from bench.seeding import seed_campaigns, seed_pending

COLUMNS = ("objects", "what", "seconds", "objects/s", "peak memory, MB", "differences found", "mended")
KINDS = 5  # events, sessions, intents, charges, balance transactions: one of each for a gift
BORN = int(time.time()) - 10 * 86_400
AMOUNT, FEE = 2_500, 103
PADDING = "x" * 1_500
LISTS = {
    "/v1/events": "event",
    "/v1/checkout/sessions": "session",
    "/v1/payment_intents": "intent",
    "/v1/charges": "charge",
    "/v1/balance_transactions": "movement",
}


def object_of(kind: str, n: int) -> dict[str, Any]:
    """The n-th object of a kind, as Stripe would list it."""
    at, number = BORN + n, f"0{n:025x}"
    metadata = {"payment": f"pay_{number}", "padding": PADDING[:400]}
    common = {"created": at, "currency": "usd", "metadata": metadata, "customer": None, "description": PADDING}
    if kind == "charge":
        return common | {
            "id": f"ch_{n}", "object": "charge", "amount": AMOUNT, "amount_captured": AMOUNT, "amount_refunded": 0,
            "paid": True, "captured": True, "status": "succeeded", "payment_intent": f"pi_{n}", "receipt_url": f"https://x/{n}",
            "billing_details": {"email": None, "name": None},
        }  # fmt: skip
    if kind == "intent":
        charge = object_of("charge", n)
        return common | {
            "id": f"pi_{n}",
            "object": "payment_intent",
            "amount": AMOUNT,
            "status": "succeeded",
            "latest_charge": charge,
        }
    if kind == "session":
        return common | {
            "id": f"cs_test_{number}", "object": "checkout.session", "amount_total": AMOUNT, "status": "complete",
            "payment_status": "paid", "payment_intent": object_of("intent", n), "client_reference_id": f"pay_{number}",
            "customer_details": {"email": f"donor{n % 5000}@example.org", "name": "Donor"}, "expires_at": at + 86_400,
        }  # fmt: skip
    if kind == "movement":
        return {
            "id": f"txn_{n}", "object": "balance_transaction", "type": "charge", "reporting_category": "charge",
            "source": object_of("charge", n), "amount": AMOUNT, "fee": FEE, "net": AMOUNT - FEE, "currency": "usd",
            "exchange_rate": None, "fee_details": [], "created": at, "available_on": at,
        }  # fmt: skip
    session = object_of("session", n) | {"payment_intent": f"pi_{n}"}
    return {
        "id": f"evt_{n}", "object": "event", "type": "checkout.session.completed", "api_version": "2026-08-26.dahlia",
        "created": at, "livemode": False, "data": {"object": session},
    }  # fmt: skip


def number_of(key: str) -> int:
    return int(key[len("cs_test_0") :], 16) if key.startswith("cs_test_") else int(key.rsplit("_", 1)[1])


def serve(port: int, gifts: int) -> None:
    """Answer lists, newest first, until killed."""

    class Lists(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            query, kind = parse_qs(asked.query), LISTS.get(asked.path)
            first = number_of(query["starting_after"][0]) - 1 if "starting_after" in query else gifts - 1
            last = max(-1, first - int(query["limit"][0]))
            data = [object_of(kind, n) for n in range(first, last, -1)] if kind else []
            body = json.dumps({"object": "list", "data": data, "has_more": bool(kind) and last >= 0, "url": asked.path}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A line for each of a thousand pages tells nothing."""

    ThreadingHTTPServer(("127.0.0.1", port), Lists).serve_forever()


def prepare(url: str, gifts: int) -> None:
    """The gifts that wait."""
    with psycopg.connect(url, autocommit=True) as connection, psycopg.ClientCursor(connection) as cursor:
        seed_campaigns(cursor, campaigns=20)
        seed_pending(cursor, first=0, count=gifts, campaigns=20)
        cursor.execute("ANALYZE")


def timed_run(url: str, api: str) -> dict[str, Any]:
    """`reconcile --apply` in a process of its own: seconds, its peak memory, what it says."""
    started = time.monotonic()
    command = [sys.executable, "-c", MEASURED, "reconcile", "--apply", "--json", "--until", "now", "--limit", "1000000"]
    environment = environment_of(url) | {"STRIPE_API_BASE": api}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    took = time.monotonic() - started
    lines = done.stdout.splitlines()
    told: dict[str, Any] = json.loads(lines[-2])
    peak = int(lines[-1])
    if told["stopped"]:
        raise RuntimeError(done.stderr)
    return {"seconds": took, "peak_mb": peak / 1024, "status": done.returncode} | told


# Runs manage.py in the process that is measured, and adds its peak memory (kB) as the last line.
MEASURED = """
import atexit, os, resource, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""


def measure(quick: bool) -> list[Table]:
    rows: list[Sequence[str | int | float]] = []
    for objects in (500, 2_000) if quick else (10_000, 100_000):
        port = free_port()
        serving = [sys.executable, "-m", "bench.reconcile", "--serve", str(port), str(objects // KINDS)]
        with own_database("reconcile") as url, subprocess.Popen(serving, cwd=ROOT) as server:
            try:
                prepare(url, objects // KINDS)
                wait_for(port, server)
                for name in ("all missing, mended", "nothing differs"):
                    run = timed_run(url, f"http://127.0.0.1:{port}")
                    say(f"{objects:,} objects, {name}: {run['seconds']:.1f} s, {run['peak_mb']:.0f} MB")
                    rate = run["compared"] / run["seconds"]
                    rows.append((objects, name, run["seconds"], rate, run["peak_mb"], run["found"], run["mended"]))
            finally:
                server.terminate()
    return [
        Table("Reconciling with Stripe", COLUMNS, rows, "Start of the program included; Stripe's own answers take no time here.")
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main(measure)
