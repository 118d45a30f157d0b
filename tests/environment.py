"""The environment of a test run, set before Django reads its settings (loaded by pytest's -p option)."""

from __future__ import annotations

import os

from tests.database_role import as_ordinary_role

os.environ.update(
    SECRET_KEY="only-for-tests-" * 4,
    DEBUG="0",
    LIVE_MODE="0",
    ALLOWED_HOSTS="127.0.0.1,localhost,testserver",
    STRIPE_SECRET_KEY="sk_test_" + "t" * 24,
    STRIPE_PUBLISHABLE_KEY="pk_test_" + "t" * 24,
    STRIPE_WEBHOOK_SECRET="whsec_tests",
    STRIPE_API_BASE="http://127.0.0.1:9",  # the discard port: a test that calls Stripe names its own sandbox
    FRONTEND_URL="http://127.0.0.1:8000",
    EMAIL_URL="memorymail://",
    DEFAULT_CURRENCY="usd",
    CACHE_URL="locmemcache://",
    WEB_CONCURRENCY="1",
    TRUSTED_PROXIES="0",
    LOG_LEVEL="WARNING",
    STRIPE_MIRROR="0",  # tests of the mirror switch it on
    METRICS_TOKEN="",
    METRICS_NETWORKS="",
    SENTRY_DSN="",
    TELEGRAM_BOT_TOKEN="",  # tests of the bot name their own, and the stand-in that it asks
    TELEGRAM_API_BASE="http://127.0.0.1:9",
)
_database, _engine = os.environ.get("TEST_DATABASE_URL", ""), "SQLite"
if _database:
    _database, _engine = as_ordinary_role(_database)
    os.environ["TEST_DATABASE_URL"] = _database  # for the processes of pytest-xdist
os.environ["DATABASE_URL"] = _database or "sqlite://:memory:"


def pytest_report_header() -> str:
    return f"database: {_engine}"
