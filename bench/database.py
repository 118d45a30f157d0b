"""A database of our own, made, migrated and dropped; on this machine's PostgreSQL only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from tests.database_role import as_ordinary_role

ROOT = Path(__file__).parent.parent
SERVER = os.environ.get("BENCH_DATABASE_URL", "postgres://postgres@127.0.0.1:5432/postgres")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# What the project needs to start, and nothing that leaves the machine.
ENVIRONMENT = {
    "SECRET_KEY": "only-for-benchmarks-" * 3,
    "DEBUG": "0",
    "LIVE_MODE": "0",
    "ALLOWED_HOSTS": "127.0.0.1,testserver",
    "STRIPE_SECRET_KEY": "sk_test_" + "b" * 24,
    "STRIPE_PUBLISHABLE_KEY": "",
    "STRIPE_WEBHOOK_SECRET": "whsec_bench",
    "STRIPE_API_BASE": "http://127.0.0.1:9",
    "FRONTEND_URL": "http://127.0.0.1:8000",
    "CACHE_URL": "locmemcache://",
    "EMAIL_URL": "memorymail://",
    "LOG_LEVEL": "WARNING",
    "WEB_CONCURRENCY": "1",
    "TRUSTED_PROXIES": "0",
    "PYTHONWARNINGS": "ignore",
    **{f"RATE_LIMIT_{group}": "1000000/s" for group in ("CHECKOUT", "SESSION", "LOGIN", "READ")},
}


def url_of(name: str) -> str:
    return urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}"))


def environment_of(url: str, settings: str = "config.settings") -> dict[str, str]:
    """For a process that works on the database at `url`."""
    return {**os.environ, **ENVIRONMENT, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": settings}


@contextmanager
def own_database(purpose: str, settings: str = "config.settings") -> Iterator[str]:
    """The URL of a fresh migrated database, dropped afterwards."""
    if urlsplit(SERVER).hostname not in LOOPBACK:
        sys.exit("Benchmarks run on this machine only: BENCH_DATABASE_URL must name a loopback address.")
    name = f"largesse_bench_{purpose}_{os.getpid()}"
    with psycopg.connect(SERVER, autocommit=True) as server:
        # No superuser, as in production, so that row-level security is measured too.
        url, _ = as_ordinary_role(url_of(name))
        owner = sql.Identifier(urlsplit(url).username or "")
        server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), owner))
        try:
            manage = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
            subprocess.run(manage, cwd=ROOT, env=environment_of(url, settings), check=True)
            yield url
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
