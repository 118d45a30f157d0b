"""The environment, read once into a frozen dataclass.

A missing or wrong value stops the start with one message that names every problem and how to mend it,
so that an operator does not meet them one restart at a time. `.env.example` documents each variable.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from payments.currencies import CURRENCIES

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY_SHAPE = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9]{10,}")
PUBLISHABLE_KEY_SHAPE = re.compile(r"pk_(test|live)_[A-Za-z0-9]{10,}")
EMAIL_SHAPE = re.compile(r"[^@\s,;<>\"]+@[^@\s,;<>\"]+")
BOT_TOKEN_SHAPE = re.compile(r"\d{6,20}:[A-Za-z0-9_-]{30,100}", re.ASCII)
RATE_SHAPE = re.compile(r"[1-9]\d*/([1-9]\d*)?[smhd]", re.ASCII)

RATE_LIMIT_DEFAULTS = {"checkout": "10/m", "session": "60/m", "login": "5/m", "invite": "20/h", "spend": "120/m", "read": "300/m"}
DATABASE_SCHEMES = ("postgres", "postgresql", "pgsql", "sqlite")
# Only caches that count right: rate limits live there.
CACHE_SCHEMES = ("redis", "rediss", "rediscache", "locmemcache")
EMAIL_SCHEMES = ("smtp", "smtp+tls", "smtp+ssl", "smtps", "consolemail", "filemail", "memorymail", "dummymail")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("json", "line")
SHORTEST_TOKEN = 16

DATABASE_EXAMPLE = "postgres://user:password@127.0.0.1:5432/largesse, or sqlite:////var/lib/largesse/largesse.sqlite3"
CACHE_EXAMPLE = "redis://127.0.0.1:6379/0, or locmemcache:// for one process"
EMAIL_EXAMPLE = "smtp+tls://user:password@mail.example.org:587, or consolemail://"


@dataclass(frozen=True, kw_only=True)
class Environment:
    secret_key: str
    debug: bool
    allowed_hosts: tuple[str, ...]
    database: dict[str, Any]
    cache: dict[str, Any]
    web_concurrency: int
    stripe_secret_key: str
    stripe_publishable_key: str
    stripe_webhook_secrets: tuple[str, ...]
    stripe_api_base: str | None
    stripe_js_url: str
    stripe_mirror: bool
    live_mode: bool
    frontend_url: str
    cors_allowed_origins: tuple[str, ...]
    default_currency: str
    email: dict[str, Any]
    default_from_email: str
    telegram_bot_token: str
    telegram_api_base: str
    trusted_proxies: int
    rate_limits: dict[str, str]
    parked_after_s: int
    alert_emails: tuple[str, ...]
    alert_silence_s: int
    export_dir: Path
    export_kept_days: int
    payloads_kept_days: int
    payers_kept_days: int
    notices_kept_days: int
    invitations_kept_days: int
    log_level: str
    log_format: str
    metrics_token: str
    metrics_networks: tuple[str, ...]
    sentry_dsn: str

    @property
    def cache_is_local(self) -> bool:
        return "locmem" in str(self.cache["BACKEND"])


class Problems(list[str]):
    """Collected while reading, reported together."""

    def expect(self, condition: object, sentence: str) -> None:
        if not condition:
            self.append(sentence)


def read_environment(env: environ.Env | None = None) -> Environment:
    """Read and check all variables; raise ImproperlyConfigured with every problem found."""
    if env is None:
        env = environ.Env()
        dotenv = BASE_DIR / ".env"
        if dotenv.exists():
            env.read_env(str(dotenv))
    problems = Problems()
    debug = _boolean(env, "DEBUG", problems)
    live_mode = _boolean(env, "LIVE_MODE", problems)
    secret_key = env.str("SECRET_KEY", default="")
    if debug and not secret_key:
        secret_key = "only-for-development-" * 3
    problems.expect(
        secret_key,
        "SECRET_KEY is not set. Make one with: python -c 'import secrets; print(secrets.token_urlsafe(50))'",
    )
    frontend_url = env.str("FRONTEND_URL", default="http://127.0.0.1:8000").rstrip("/")
    problems.expect(_is_origin(frontend_url), f"FRONTEND_URL must look like https://give.example.org, not {frontend_url!r}.")
    secrets = tuple(s.strip() for s in env.str("STRIPE_WEBHOOK_SECRET", default="").split(",") if s.strip())
    _check_stripe(env, problems, debug=debug, live_mode=live_mode, webhook_secrets=secrets)
    environment = Environment(
        secret_key=secret_key,
        debug=debug,
        allowed_hosts=tuple(env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])),
        database=_database(env, problems),
        cache=_address(env, "CACHE_URL", "locmemcache://", CACHE_SCHEMES, CACHE_EXAMPLE, env.cache_url_config, problems),
        web_concurrency=_whole(env, "WEB_CONCURRENCY", 1, problems),
        stripe_secret_key=env.str("STRIPE_SECRET_KEY", default=""),
        stripe_publishable_key=env.str("STRIPE_PUBLISHABLE_KEY", default=""),
        stripe_webhook_secrets=secrets,
        stripe_api_base=env.str("STRIPE_API_BASE", default="").rstrip("/") or None,
        stripe_js_url=env.str("STRIPE_JS_URL", default="") or "https://js.stripe.com/v3/",
        stripe_mirror=_boolean(env, "STRIPE_MIRROR", problems, default="1"),
        live_mode=live_mode,
        frontend_url=frontend_url,
        cors_allowed_origins=tuple(env.list("CORS_ALLOWED_ORIGINS", default=[frontend_url])),
        default_currency=_currency(env, problems),
        email=_address(env, "EMAIL_URL", "consolemail://", EMAIL_SCHEMES, EMAIL_EXAMPLE, env.email_url_config, problems),
        default_from_email=env.str("DEFAULT_FROM_EMAIL", default="Largesse <giving@localhost>"),
        telegram_bot_token=_bot_token(env, problems),
        telegram_api_base=_bot_api(env, problems),
        trusted_proxies=_whole(env, "TRUSTED_PROXIES", 0, problems),
        rate_limits=_rate_limits(env, problems),
        parked_after_s=_whole(env, "PARKED_AFTER_S", 900, problems),
        alert_emails=_emails(env, "ALERT_EMAILS", problems),
        alert_silence_s=_whole(env, "ALERT_SILENCE_S", 3600, problems),
        export_dir=Path(env.str("EXPORT_DIR", default="") or BASE_DIR / "exportfiles"),
        export_kept_days=_whole(env, "EXPORT_KEPT_DAYS", 7, problems),
        payloads_kept_days=_whole(env, "PAYLOADS_KEPT_DAYS", 90, problems),
        payers_kept_days=_whole(env, "PAYERS_KEPT_DAYS", 0, problems),
        notices_kept_days=_whole(env, "NOTICES_KEPT_DAYS", 400, problems),
        invitations_kept_days=_whole(env, "INVITATIONS_KEPT_DAYS", 90, problems),
        log_level=_one_of(env, "LOG_LEVEL", "INFO", LOG_LEVELS, problems),
        log_format=_one_of(env, "LOG_FORMAT", "line" if debug else "json", LOG_FORMATS, problems),
        metrics_token=_token(env, "METRICS_TOKEN", problems),
        metrics_networks=_networks(env, "METRICS_NETWORKS", problems),
        sentry_dsn=_sentry_dsn(env, problems),
    )
    problems.expect(
        not live_mode or "console" not in str(environment.email.get("EMAIL_BACKEND", "")),
        "LIVE_MODE=1 with mails written to the console: no donor would get a receipt. Set EMAIL_URL="
        "smtp+tls://user:password@mail.example.org:587.",
    )
    problems.expect(
        environment.web_concurrency <= 1 or not environment.cache_is_local,
        "CACHE_URL is a cache inside one process, but WEB_CONCURRENCY starts several: rate limits would count nothing. "
        "Set CACHE_URL=redis://127.0.0.1:6379/0, or WEB_CONCURRENCY=1 (one process, several threads).",
    )
    problems.expect(environment.export_kept_days, "EXPORT_KEPT_DAYS=0 would delete exports before anybody has them: 1 or more.")
    _check_retention(environment, problems)
    if problems:
        raise ImproperlyConfigured("The environment needs mending:\n" + "\n".join(f"  - {p}" for p in problems))
    return environment


def _check_retention(environment: Environment, problems: Problems) -> None:
    """What is younger may still be sent again, found anew at Stripe (30 days) or asked about by a bank (120 days)."""
    least = {
        "PAYLOADS_KEPT_DAYS": (environment.payloads_kept_days, 30),
        "NOTICES_KEPT_DAYS": (environment.notices_kept_days, 120),
        "INVITATIONS_KEPT_DAYS": (environment.invitations_kept_days, 1),
    }
    for name, (days, fewest) in least.items():
        problems.expect(days >= fewest, f"{name} must be {fewest} or more: what is younger is still needed (docs/security.md).")
    fewest = max(120, environment.payloads_kept_days)
    problems.expect(
        not environment.payers_kept_days or environment.payers_kept_days >= fewest,
        f"PAYERS_KEPT_DAYS must be 0 (for ever) or {fewest} or more: banks ask about payments that long, and events that name "
        "who paid must not be kept longer than that.",
    )


def _check_stripe(
    env: environ.Env, problems: Problems, *, debug: bool, live_mode: bool, webhook_secrets: tuple[str, ...]
) -> None:
    secret = env.str("STRIPE_SECRET_KEY", default="")
    publishable = env.str("STRIPE_PUBLISHABLE_KEY", default="")
    if not secret:
        problems.append("STRIPE_SECRET_KEY is not set. For the local sandbox any key such as sk_test_ and 24 letters serves.")
    elif secret.startswith("pk_"):
        problems.append("STRIPE_SECRET_KEY holds a publishable key (pk_…). Put the secret key (sk_… or rk_…) there.")
    elif not SECRET_KEY_SHAPE.fullmatch(secret):
        problems.append("STRIPE_SECRET_KEY does not look like a Stripe key (sk_test_…, sk_live_…, rk_test_… or rk_live_…).")
    if publishable and not PUBLISHABLE_KEY_SHAPE.fullmatch(publishable):
        problems.append("STRIPE_PUBLISHABLE_KEY does not look like a publishable key (pk_test_… or pk_live_…).")
    is_live = "_live_" in secret[:8]
    problems.expect(
        not publishable or ("_live_" in publishable[:8]) == is_live,
        "STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY are of two modes (test and live). Take both from the same mode.",
    )
    problems.expect(not (is_live and debug), "A live Stripe key with DEBUG=1: set DEBUG=0, or use a test key.")
    problems.expect(
        is_live or not live_mode or not secret,
        "LIVE_MODE=1 with a test key: no money would arrive. Set the live key, or LIVE_MODE=0.",
    )
    problems.expect(
        live_mode or not is_live, "A live Stripe key without LIVE_MODE=1. Set LIVE_MODE=1 to take real money, or use a test key."
    )
    problems.expect(webhook_secrets, "STRIPE_WEBHOOK_SECRET is not set (whsec_…; several, comma-separated, while rotating).")
    for value in webhook_secrets:
        problems.expect(
            value.startswith("whsec_"), "STRIPE_WEBHOOK_SECRET must start with whsec_ (each, when there are several)."
        )
    api_base = env.str("STRIPE_API_BASE", default="").rstrip("/")
    problems.expect(
        not api_base or _is_origin(api_base),
        f"STRIPE_API_BASE must be an address such as http://127.0.0.1:12111 (or unset for Stripe itself), not {api_base!r}.",
    )
    problems.expect(
        not (live_mode and api_base),
        "LIVE_MODE=1 with STRIPE_API_BASE set: the live key and real donors would be sent to an address that is not Stripe's. "
        "Unset STRIPE_API_BASE to take real money, or set LIVE_MODE=0 to use the sandbox.",
    )


def _boolean(env: environ.Env, name: str, problems: Problems, *, default: str = "0") -> bool:
    value = env.str(name, default=default).strip().lower()
    problems.expect(value in {"0", "1", "true", "false", ""}, f"{name} must be 0 or 1, not {value!r}.")
    return value in {"1", "true"}


def _whole(env: environ.Env, name: str, default: int, problems: Problems) -> int:
    value = env.str(name, default=str(default))
    if not (value.isascii() and value.isdigit()):
        problems.append(f"{name} must be a whole number, not {value!r}.")
        return default
    return int(value)


def _one_of(env: environ.Env, name: str, default: str, values: tuple[str, ...], problems: Problems) -> str:
    """One of `values`, in whatever case it is written."""
    written = env.str(name, default="").strip() or default
    found = next((value for value in values if value.lower() == written.lower()), None)
    problems.expect(found, f"{name} must be one of {', '.join(values)}, not {written!r}.")
    return found or default


def _address(
    env: environ.Env,
    name: str,
    default: str,
    schemes: tuple[str, ...],
    example: str,
    read: Callable[[str], dict[str, Any]],
    problems: Problems,
) -> dict[str, Any]:
    """What an address such as redis://… says, read by `read`; it may hold a password, so a message never repeats it."""
    written = env.str(name, default="").strip() or default
    scheme, colon, _ = written.partition("://")
    if not colon or scheme not in schemes:
        problems.append(f"{name} must begin with one of {', '.join(f'{s}://' for s in schemes)}. Write for example {example}.")
        return read(default)
    try:
        found = read(written)
    except ValueError:  # a port that is no number, a bracket that is not closed
        problems.append(f"{name} is no address: its host or port cannot be read. Write for example {example}.")
        return read(default)
    if scheme.startswith(("redis", "smtp")) and not urlsplit(written).hostname:
        problems.append(f"{name} names no host. Write for example {example}.")
    return found


def _database(env: environ.Env, problems: Problems) -> dict[str, Any]:
    default = f"sqlite:///{BASE_DIR / 'largesse.sqlite3'}"
    found = _address(env, "DATABASE_URL", default, DATABASE_SCHEMES, DATABASE_EXAMPLE, env.db_url_config, problems)
    problems.expect(found["NAME"], f"DATABASE_URL names no database. Write for example {DATABASE_EXAMPLE}.")
    return found


def _currency(env: environ.Env, problems: Problems) -> str:
    written = env.str("DEFAULT_CURRENCY", default="").strip() or "usd"
    problems.expect(
        written.lower() in CURRENCIES,
        f"DEFAULT_CURRENCY must be a currency that Stripe charges, such as usd or eur, not {written!r} "
        "(https://docs.stripe.com/currencies).",
    )
    return written.lower()


def _rate_limits(env: environ.Env, problems: Problems) -> dict[str, str]:
    limits = {group: env.str(f"RATE_LIMIT_{group.upper()}", default=rate) for group, rate in RATE_LIMIT_DEFAULTS.items()}
    for group, rate in limits.items():
        problems.expect(RATE_SHAPE.fullmatch(rate), f"RATE_LIMIT_{group.upper()} must look like 10/m, not {rate!r}.")
    return limits


def _emails(env: environ.Env, name: str, problems: Problems) -> tuple[str, ...]:
    written = tuple(e.strip() for e in env.str(name, default="").split(",") if e.strip())
    for email in written:
        fine = EMAIL_SHAPE.fullmatch(email)
        problems.expect(fine, f"{name} must list addresses such as ops@example.org, comma-separated, not {email!r}.")
    return written


def _token(env: environ.Env, name: str, problems: Problems) -> str:
    token: str = env.str(name, default="").strip()
    problems.expect(
        not token or (len(token) >= SHORTEST_TOKEN and token.isascii() and token.isprintable() and " " not in token),
        f"{name} must have at least {SHORTEST_TOKEN} letters or digits. "
        "Make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
    )
    return token


def _bot_token(env: environ.Env, problems: Problems) -> str:
    token: str = env.str("TELEGRAM_BOT_TOKEN", default="").strip()
    problems.expect(
        not token or BOT_TOKEN_SHAPE.fullmatch(token),
        "TELEGRAM_BOT_TOKEN does not look like a bot's token (digits, a colon, 35 letters), as @BotFather gives it.",
    )
    return token


def _bot_api(env: environ.Env, problems: Problems) -> str:
    base: str = env.str("TELEGRAM_API_BASE", default="").rstrip("/") or "https://api.telegram.org"
    problems.expect(
        _is_origin(base), "TELEGRAM_API_BASE must be an address such as http://127.0.0.1:8081 (or unset for Telegram itself)."
    )
    return base


def _networks(env: environ.Env, name: str, problems: Problems) -> tuple[str, ...]:
    written = tuple(n.strip() for n in env.str(name, default="").split(",") if n.strip())
    for network in written:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            problems.append(f"{name} must list networks such as 10.0.0.0/8 or 127.0.0.1, comma-separated, not {network!r}.")
    return written


def _sentry_dsn(env: environ.Env, problems: Problems) -> str:
    dsn: str = env.str("SENTRY_DSN", default="").strip()
    problems.expect(
        not dsn or (_is_origin(dsn) and urlsplit(dsn).username and urlsplit(dsn).path.strip("/")),
        "SENTRY_DSN must look like https://key@sentry.example.org/1, as the project's settings at Sentry show it.",
    )
    return dsn


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # a bracket that is not closed
        return False
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not parts.query and not parts.fragment
