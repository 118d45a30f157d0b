"""What the code may look like, and what a start refuses: rules that a reader relies on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import environ
import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment, read_environment

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = [
    "accounts",
    "backoffice",
    "campaigns",
    "config",
    "conventions",
    "donations",
    "payments",
    "pricing",
    "sandbox",
    "tests",
    "wallets",
    "website",
]
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MOST_LINES = 400
LAYER_NAMES = {"services", "service", "utils", "util", "helpers", "helper", "managers", "manager", "common", "misc", "core"}


def test_no_file_is_over_four_hundred_lines() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in SOURCES}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}
    assert len(lengths) > 150


def test_modules_are_named_for_what_they_do_and_not_for_their_layer() -> None:
    assert [str(path.relative_to(ROOT)) for path in SOURCES if path.stem in LAYER_NAMES or path.parent.name in LAYER_NAMES] == []


def test_only_product_apps_know_products() -> None:
    """Payments names no product, accounts names no money, conventions name no app."""
    told = {
        "payments": ("donations", "campaigns", "pricing", "wallets"),
        "accounts": ("donations", "campaigns", "payments", "pricing", "wallets"),
        "conventions": ("accounts", "donations", "campaigns", "payments", "pricing", "wallets"),
    }
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for app, forbidden in told.items()
        for path in (ROOT / app).rglob("*.py")
        if "tests" not in path.parts
        for line in path.read_text().splitlines()
        if line.strip().startswith(tuple(f"{word} {name}" for word in ("from", "import") for name in forbidden))
    ]
    assert found == []


GOOD = {
    "SECRET_KEY": "k3" * 30 + "Xy9-+!?",
    "DEBUG": "0",
    "LIVE_MODE": "1",
    "EMAIL_URL": "smtp+tls://user:password@mail.example.org:587",
    "ALLOWED_HOSTS": "give.example.org",
    "DATABASE_URL": "sqlite://:memory:",
    "CACHE_URL": "locmemcache://",
    "STRIPE_SECRET_KEY": "sk_live_" + "a" * 24,
    "STRIPE_PUBLISHABLE_KEY": "pk_live_" + "a" * 24,
    "STRIPE_WEBHOOK_SECRET": "whsec_one",
    "STRIPE_API_BASE": "",
    "FRONTEND_URL": "https://give.example.org",
    "TRUSTED_PROXIES": "1",
}


def command(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the project with a production-like environment and nothing else."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, **GOOD, **changes}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)


def test_who_may_import_whom() -> None:
    done = command("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache")
    assert (done.returncode, "0 broken" in done.stdout) == (0, True), done.stdout + done.stderr


def test_every_model_change_has_its_migration() -> None:
    done = command("manage.py", "makemigrations", "--check", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "No changes detected\n"), done.stdout + done.stderr


def test_a_production_environment_has_nothing_to_warn_of() -> None:
    done = command("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n"), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_SECRET_KEY", "pk_live_" + "a" * 24),
        ("DEFAULT_CURRENCY", "xyz"),
        ("DATABASE_URL", "nonsense"),
        ("CACHE_URL", "nonsense"),
    ],
)
def test_a_wrong_setting_fails_the_check_that_runs_before_every_start(name: str, value: str) -> None:
    done = command("manage.py", "check", **{name: value})
    assert done.returncode != 0
    assert name in done.stderr


def read(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Environment:
    for name in list(os.environ):
        monkeypatch.delenv(name)
    for name, value in {**GOOD, **changes}.items():
        monkeypatch.setenv(name, value)
    return read_environment(environ.Env())


def test_a_good_environment_is_read_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    read_ = read(
        monkeypatch, STRIPE_WEBHOOK_SECRET=" whsec_one, whsec_two,", RATE_LIMIT_READ="7/5m", FRONTEND_URL="https://x.org/"
    )
    assert (read_.live_mode, read_.debug, read_.trusted_proxies) == (True, False, 1)
    assert read_.stripe_webhook_secrets == ("whsec_one", "whsec_two")
    assert (read_.stripe_api_base, read_.frontend_url, read_.cors_allowed_origins) == (None, "https://x.org", ("https://x.org",))
    usual = {"checkout": "10/m", "session": "60/m", "login": "5/m", "invite": "20/h", "spend": "120/m"}
    assert read_.rate_limits == {**usual, "read": "7/5m"}


def test_what_is_not_set_has_a_default_that_is_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    read_ = read(monkeypatch)
    assert (read_.log_level, read_.log_format, read_.default_currency, read_.stripe_mirror) == ("INFO", "json", "usd", True)
    assert (read_.metrics_token, read_.metrics_networks, read_.sentry_dsn) == ("", (), "")


def test_words_are_taken_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    read_ = read(monkeypatch, LOG_LEVEL="debug", LOG_FORMAT="LINE", DEFAULT_CURRENCY="EUR", METRICS_NETWORKS="10.0.0.0/8,::1")
    assert (read_.log_level, read_.log_format, read_.default_currency) == ("DEBUG", "line", "eur")
    assert read_.metrics_networks == ("10.0.0.0/8", "::1")


def test_restricted_keys_serve_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, STRIPE_SECRET_KEY="rk_live_" + "b" * 30).stripe_secret_key.startswith("rk_live_")


TEST_KEYS = {"STRIPE_SECRET_KEY": "sk_test_" + "a" * 24, "STRIPE_PUBLISHABLE_KEY": "pk_test_" + "a" * 24}
WRONG: dict[str, tuple[dict[str, str], str]] = {
    "no secret key": (
        {"SECRET_KEY": ""},
        "SECRET_KEY is not set. Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
    ),
    "live key with DEBUG": ({"DEBUG": "1"}, "A live Stripe key with DEBUG=1: set DEBUG=0, or use a test key."),
    "test key in live mode": (
        TEST_KEYS,
        "LIVE_MODE=1 with a test key: no money would arrive. Set the live key, or LIVE_MODE=0.",
    ),
    "live key in test mode": (
        {"LIVE_MODE": "0"},
        "A live Stripe key without LIVE_MODE=1. Set LIVE_MODE=1 to take real money, or use a test key.",
    ),
    "publishable key in the secret's place": (
        {"STRIPE_SECRET_KEY": "pk_live_" + "a" * 24},
        "STRIPE_SECRET_KEY holds a publishable key (pk_…). Put the secret key (sk_… or rk_…) there.",
    ),
    "secret key in the publishable's place": (
        {"STRIPE_PUBLISHABLE_KEY": "sk_live_" + "a" * 24},
        "STRIPE_PUBLISHABLE_KEY does not look like a publishable key (pk_test_… or pk_live_…).",
    ),
    "keys of two modes": (
        {"STRIPE_PUBLISHABLE_KEY": "pk_test_" + "a" * 24},
        "STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY are of two modes (test and live). Take both from the same mode.",
    ),
    "no Stripe key": (
        {"STRIPE_SECRET_KEY": ""},
        "STRIPE_SECRET_KEY is not set. For the local sandbox any key such as sk_test_ and 24 letters serves.",
    ),
    "some other key": (
        {"STRIPE_SECRET_KEY": "AKIA1234567890"},
        "STRIPE_SECRET_KEY does not look like a Stripe key (sk_test_…, sk_live_…, rk_test_… or rk_live_…).",
    ),
    "no webhook secret": (
        {"STRIPE_WEBHOOK_SECRET": " , "},
        "STRIPE_WEBHOOK_SECRET is not set (whsec_…; several, comma-separated, while rotating).",
    ),
    "one webhook secret is none": (
        {"STRIPE_WEBHOOK_SECRET": "whsec_a,sk_live_b"},
        "STRIPE_WEBHOOK_SECRET must start with whsec_ (each, when there are several).",
    ),
    "several processes on a local cache": (
        {"WEB_CONCURRENCY": "4"},
        "CACHE_URL is a cache inside one process, but WEB_CONCURRENCY starts several: rate limits would count nothing. "
        "Set CACHE_URL=redis://127.0.0.1:6379/0, or WEB_CONCURRENCY=1 (one process, several threads).",
    ),
    "front end that is no address": (
        {"FRONTEND_URL": "give.example.org"},
        "FRONTEND_URL must look like https://give.example.org, not 'give.example.org'.",
    ),
    "Stripe's address that is none": (
        {"STRIPE_API_BASE": "localhost:12111"},
        "STRIPE_API_BASE must be an address such as http://127.0.0.1:12111 (or unset for Stripe itself), not 'localhost:12111'.",
    ),
    "limit that is no rate": ({"RATE_LIMIT_LOGIN": "five"}, "RATE_LIMIT_LOGIN must look like 10/m, not 'five'."),
    "limit of a period of nothing": ({"RATE_LIMIT_LOGIN": "5/0m"}, "RATE_LIMIT_LOGIN must look like 10/m, not '5/0m'."),
    "switch that is no switch": ({"DEBUG": "yes"}, "DEBUG must be 0 or 1, not 'yes'."),
    "address with an open bracket": (
        {"FRONTEND_URL": "https://[give.example.org"},
        "FRONTEND_URL must look like https://give.example.org, not 'https://[give.example.org'.",
    ),
    "another Stripe in live mode": (
        {"STRIPE_API_BASE": "http://127.0.0.1:12111"},
        "Unset STRIPE_API_BASE to take real money, or set LIVE_MODE=0 to use the sandbox.",
    ),
    "database that is no address": (
        {"DATABASE_URL": "nonsense"},
        "DATABASE_URL must begin with one of postgres://, postgresql://, pgsql://, sqlite://. Write for example postgres://",
    ),
    "database of another engine": ({"DATABASE_URL": "mysql://u:hidden@h/d"}, "DATABASE_URL must begin with one of postgres://"),
    "database on no port": ({"DATABASE_URL": "postgres://u:hidden@h:port/d"}, "DATABASE_URL is no address: its host or port"),
    "database without a name": ({"DATABASE_URL": "postgres://u:hidden@h:5432"}, "DATABASE_URL names no database."),
    "cache that is no address": ({"CACHE_URL": "nonsense"}, "CACHE_URL must begin with one of redis://"),
    "cache that counts nothing": ({"CACHE_URL": "dummycache://"}, "CACHE_URL must begin with one of redis://"),
    "cache nowhere": ({"CACHE_URL": "redis://"}, "CACHE_URL names no host. Write for example redis://127.0.0.1:6379/0"),
    "mail that is no address": ({"EMAIL_URL": "mail.example.org"}, "EMAIL_URL must begin with one of smtp://"),
    "mail server nowhere": ({"EMAIL_URL": "smtp+tls://"}, "EMAIL_URL names no host. Write for example smtp+tls://"),
    "log level that is none": (
        {"LOG_LEVEL": "loud"},
        "LOG_LEVEL must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL, not 'loud'.",
    ),
    "log format that is none": ({"LOG_FORMAT": "xml"}, "LOG_FORMAT must be one of json, line, not 'xml'."),
    "currency that is none": (
        {"DEFAULT_CURRENCY": "xyz"},
        "DEFAULT_CURRENCY must be a currency that Stripe charges, such as usd",
    ),
    "token that can be guessed": ({"METRICS_TOKEN": "hidden"}, "METRICS_TOKEN must have at least 16 letters or digits."),
    "network that is none": (
        {"METRICS_NETWORKS": "10.0.0.0/8, 10.0.0.1/8"},
        "METRICS_NETWORKS must list networks such as 10.0.0.0/8 or 127.0.0.1, comma-separated, not '10.0.0.1/8'.",
    ),
    "alert to nobody": (
        {"ALERT_EMAILS": "ops@example.org, duty"},
        "ALERT_EMAILS must list addresses such as ops@example.org, comma-separated, not 'duty'.",
    ),
    "token of no bot": ({"TELEGRAM_BOT_TOKEN": "hidden"}, "TELEGRAM_BOT_TOKEN does not look like a bot's token"),
    "Telegram nowhere": (
        {"TELEGRAM_API_BASE": "127.0.0.1"},
        "TELEGRAM_API_BASE must be an address such as http://127.0.0.1:8081",
    ),
    "Sentry nowhere": (
        {"SENTRY_DSN": "https://sentry.example.org"},
        "SENTRY_DSN must look like https://key@sentry.example.org/1",
    ),
    "count that is no count": ({"TRUSTED_PROXIES": "one"}, "TRUSTED_PROXIES must be a whole number, not 'one'."),
    "count in other digits": ({"TRUSTED_PROXIES": "²"}, "TRUSTED_PROXIES must be a whole number, not '²'."),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_each_wrong_setting_stops_the_start_and_says_how_to_mend_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    changes, sentence = WRONG[name]
    with pytest.raises(ImproperlyConfigured) as refused:
        read(monkeypatch, **changes)
    assert sentence in str(refused.value)
    assert "a" * 24 not in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_all_that_is_wrong_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured) as refused:
        read(monkeypatch, SECRET_KEY="", FRONTEND_URL="x", STRIPE_WEBHOOK_SECRET="", TRUSTED_PROXIES="-1")
    assert str(refused.value).count("\n  - ") == 4
