"""The environment, read once into a frozen dataclass.

A missing or wrong value stops the start with one message that names every problem and how to mend it,
so that an operator does not meet them one restart at a time. `.env.example` documents each variable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY_SHAPE = re.compile(r"(sk|rk)_(test|live)_[A-Za-z0-9]{10,}")
PUBLISHABLE_KEY_SHAPE = re.compile(r"pk_(test|live)_[A-Za-z0-9]{10,}")
RATE_SHAPE = re.compile(r"[1-9]\d*/\d*[smhd]")

RATE_LIMIT_DEFAULTS = {"checkout": "10/m", "session": "60/m", "login": "5/m", "read": "300/m"}


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
    live_mode: bool
    frontend_url: str
    cors_allowed_origins: tuple[str, ...]
    default_currency: str
    email: dict[str, Any]
    default_from_email: str
    trusted_proxies: int
    rate_limits: dict[str, str]
    parked_after_s: int
    log_level: str

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
    api_base = env.str("STRIPE_API_BASE", default="").rstrip("/") or None
    problems.expect(
        api_base is None or _is_origin(api_base),
        f"STRIPE_API_BASE must be an address such as http://127.0.0.1:12111 (or unset for Stripe itself), not {api_base!r}.",
    )
    rate_limits = {group: env.str(f"RATE_LIMIT_{group.upper()}", default=rate) for group, rate in RATE_LIMIT_DEFAULTS.items()}
    for group, rate in rate_limits.items():
        problems.expect(RATE_SHAPE.fullmatch(rate), f"RATE_LIMIT_{group.upper()} must look like 10/m, not {rate!r}.")
    environment = Environment(
        secret_key=secret_key,
        debug=debug,
        allowed_hosts=tuple(env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])),
        database=env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'largesse.sqlite3'}"),
        cache=env.cache_url("CACHE_URL", default="locmemcache://"),
        web_concurrency=_whole(env, "WEB_CONCURRENCY", 1, problems),
        stripe_secret_key=env.str("STRIPE_SECRET_KEY", default=""),
        stripe_publishable_key=env.str("STRIPE_PUBLISHABLE_KEY", default=""),
        stripe_webhook_secrets=secrets,
        stripe_api_base=api_base,
        stripe_js_url=env.str("STRIPE_JS_URL", default="") or "https://js.stripe.com/v3/",
        live_mode=live_mode,
        frontend_url=frontend_url,
        cors_allowed_origins=tuple(env.list("CORS_ALLOWED_ORIGINS", default=[frontend_url])),
        default_currency=env.str("DEFAULT_CURRENCY", default="usd").lower(),
        email=env.email_url("EMAIL_URL", default="consolemail://"),
        default_from_email=env.str("DEFAULT_FROM_EMAIL", default="Largesse <giving@localhost>"),
        trusted_proxies=_whole(env, "TRUSTED_PROXIES", 0, problems),
        rate_limits=rate_limits,
        parked_after_s=_whole(env, "PARKED_AFTER_S", 900, problems),
        log_level=env.str("LOG_LEVEL", default="INFO").upper(),
    )
    problems.expect(
        environment.web_concurrency <= 1 or not environment.cache_is_local,
        "CACHE_URL is a cache inside one process, but WEB_CONCURRENCY starts several: rate limits would count nothing. "
        "Set CACHE_URL=redis://127.0.0.1:6379/0, or WEB_CONCURRENCY=1 (one process, several threads).",
    )
    if problems:
        raise ImproperlyConfigured("The environment needs mending:\n" + "\n".join(f"  - {p}" for p in problems))
    return environment


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


def _boolean(env: environ.Env, name: str, problems: Problems) -> bool:
    value = env.str(name, default="0").strip().lower()
    problems.expect(value in {"0", "1", "true", "false", ""}, f"{name} must be 0 or 1, not {value!r}.")
    return value in {"1", "true"}


def _whole(env: environ.Env, name: str, default: int, problems: Problems) -> int:
    value = env.str(name, default=str(default))
    if not (value.isascii() and value.isdigit()):
        problems.append(f"{name} must be a whole number, not {value!r}.")
        return default
    return int(value)


def _is_origin(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not parts.query and not parts.fragment
