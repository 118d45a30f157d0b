"""The environment of a test run, set before Django reads its settings (loaded by pytest's -p option)."""

import os

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
)
os.environ["DATABASE_URL"] = os.environ.get("TEST_DATABASE_URL", "") or "sqlite://:memory:"
