"""`make bench`: every benchmark after the other, results as JSON and as the tables of docs/benchmarks.md.

    python -m bench.run [--quick] [names …]

Each benchmark is a program, `python -m bench.NAME [--quick]`, that prints a list of tables (bench/report.py). It makes
and drops its own databases, talks to this machine only, and stops by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.util import find_spec

import psycopg

from bench.database import ROOT, SERVER
from bench.report import Table, markdown

NAMES = ("deliveries", "batches", "limit", "reads", "reconcile", "exports")
RESULTS = ROOT / "bench" / "results"
DOCUMENT = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"
TIMEOUT_S = 900


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure, and write docs/benchmarks.md.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small sizes, under three minutes; the document is left alone")
    options = parser.parse_args()
    known = [name for name in NAMES if find_spec(f"bench.{name}")]
    if wrong := set(options.names) - set(known):
        parser.error(f"there is no benchmark called {', '.join(sorted(wrong))}; there are {', '.join(known)}")
    measured: dict[str, list[Table]] = {}
    for name in options.names or known:
        began = time.monotonic()
        sys.stderr.write(f"{name} …\n")
        measured[name] = _measure(name, quick=options.quick)
        sys.stderr.write(f"{name}: {time.monotonic() - began:.0f} s\n")
    text = _machine() + "\n\n" + "\n\n".join(markdown(table) for tables in measured.values() for table in tables)
    sys.stdout.write(f"{text}\n")
    RESULTS.mkdir(exist_ok=True)
    saved = RESULTS / ("quick.json" if options.quick else "full.json")
    saved.write_text(json.dumps({"machine": _machine(), "tables": {n: [vars(t) for t in ts] for n, ts in measured.items()}}))
    if not options.quick and not options.names:
        _write_document(text)
    return 0


def _measure(name: str, *, quick: bool) -> list[Table]:
    command = [sys.executable, "-m", f"bench.{name}", *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=TIMEOUT_S)
    return [Table(**table) for table in json.loads(done.stdout)]


def _machine() -> str:
    with psycopg.connect(SERVER) as server:
        version = server.execute("SHOW server_version").fetchone()
        fsync = server.execute("SHOW fsync").fetchone()
    load = os.getloadavg()[0]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores for server, PostgreSQL and load generator together, "
        f"Python {platform.python_version()}, PostgreSQL {version[0].split()[0] if version else '?'} "
        f"(fsync {fsync[0] if fsync else '?'}), load before the tables were written {load:.1f}."
    )


def _write_document(text: str) -> None:
    document = DOCUMENT.read_text()
    before, _, rest = document.partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    sys.exit(main())
