"""Settings. What differs between deployments comes from the environment (config/environment.py), all else is here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from config.environment import BASE_DIR, read_environment
from config.error_reports import start_reporting

ENVIRONMENT = read_environment()

SECRET_KEY = ENVIRONMENT.secret_key
DEBUG = ENVIRONMENT.debug
ALLOWED_HOSTS = list(ENVIRONMENT.allowed_hosts)
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # every API path answers both ways by itself; a redirect would lose a POST body
ATOMIC_REQUESTS = False  # operations that end in a call to Stripe must commit first
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "backoffice.apps.AdminWithFrontPage",  # django.contrib.admin, with a front page
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "rest_framework_simplejwt",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "corsheaders",
    "csp",
    "django_tasks",
    "django_tasks_db",
    "djstripe",
    "conventions",
    "accounts",
    "payments",
    "campaigns",
    "donations",
    "pricing",
    "wallets",
    "backoffice",
    "website",
]

MIDDLEWARE = [
    "conventions.log_context.RequestIds",
    "conventions.tenancy.each_request_alone",
    "django.middleware.security.SecurityMiddleware",
    "config.webhook_door.webhook_door",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "accounts.authentication.PagesOfWhoAsks",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database(url: dict[str, Any]) -> dict[str, Any]:
    """One database, tuned per engine; the same code runs on both."""
    if "sqlite" in str(url["ENGINE"]):
        # IMMEDIATE: a transaction that will write takes its lock at once, instead of failing when it upgrades.
        options = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 10,
            # Without recursive triggers, REPLACE would delete rows past the triggers that refuse it.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA recursive_triggers=ON;",
        }
        return {**url, "ENGINE": "conventions.sqlite", "OPTIONS": options}
    # Our engine tells PostgreSQL whose rows may be seen. No server-side cursors, so that PgBouncer's transaction pooling works.
    kept = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "DISABLE_SERVER_SIDE_CURSORS": True}
    return {**url, "ENGINE": "conventions.postgresql", **kept}


DATABASES = {"default": _database(ENVIRONMENT.database)}
CACHES = {"default": ENVIRONMENT.cache}
MIGRATION_MODULES = {"djstripe": "djstripe_migrations"}

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}}

# -- people ---------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "/login"
LOGIN_REDIRECT_URL = "/account"
LOGOUT_REDIRECT_URL = "/"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    "USER_ID_CLAIM": "sub",
    "UPDATE_LAST_LOGIN": True,
}

# -- what lower apps may ask of higher ones, by name (proved by system checks) -----------------------
PAYMENT_FULFILMENTS = {
    "donation": "donations.fulfilment",
    "plan": "pricing.fulfilment",
    "product": "pricing.fulfilment",
    "wallet": "wallets.fulfilment",
}
# Events about what is no payment but a product's own; each module has a `follow`.
STRIPE_FOLLOWERS = {
    "customer.subscription.created": "pricing.following",
    "customer.subscription.updated": "pricing.following",
    "customer.subscription.deleted": "pricing.following",
    "customer.subscription.paused": "pricing.following",
    "customer.subscription.resumed": "pricing.following",
    "invoice.paid": "pricing.following",
    "invoice.payment_failed": "pricing.following",
    "payment_method.attached": "wallets.following",
    "payment_method.detached": "wallets.following",
    "payment_method.updated": "wallets.following",
    "payment_method.automatically_updated": "wallets.following",
    "customer.updated": "wallets.following",
    "customer.deleted": "wallets.following",  # a user's customer too
}
# Modules with a `sweep` of their own, run after those of the products.
ALSO_SWEPT = [
    "accounts.invitation_mail",
    "wallets.leftovers",
    "wallets.refreshing_methods",
    "wallets.expiring_cards",
    "wallets.telling",
    "backoffice.exports.making",
]
# Payments first: settlement locks a payment before what follows from it, and so must whoever erases a person.
PERSON_DATA = ["payments.persons", "donations.persons", "pricing.persons", "wallets.persons"]

# -- the API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "accounts.authentication.CookieAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["conventions.parsers.ExactJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["conventions.rate_limits.RateLimit"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "conventions.errors.render_exception",
    "DEFAULT_FILTER_BACKENDS": [],
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
RATE_LIMITS = ENVIRONMENT.rate_limits
TRUSTED_PROXIES = ENVIRONMENT.trusted_proxies
# E003/W001 warn of caches that count per process; config/environment.py refuses those with several processes.
# W002 warns of an address other than Stripe's, which live mode refuses.
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.E003", "django_ratelimit.W001", "djstripe.W002"]
SPECTACULAR_SETTINGS = {
    "TITLE": "Largesse",
    "DESCRIPTION": "Donations, plans and wallets on Stripe, with books that can be proved.",
    "VERSION": "1.0.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "PREPROCESSING_HOOKS": ["config.api.without_alternate_slashes"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "CampaignState": "campaigns.models.Campaign.State",
        "DonationState": "donations.models.Donation.State",
        "DedicationKind": "donations.models.Donation.Dedication",
    },
}
CORS_ALLOWED_ORIGINS = list(ENVIRONMENT.cors_allowed_origins)
CORS_ALLOW_ALL_ORIGINS = DEBUG
CORS_ALLOW_METHODS = ["GET", "POST", "OPTIONS", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = ["content-type", "authorization", "idempotency-key"]
CORS_EXPOSE_HEADERS = ["retry-after", "x-request-id"]
CORS_URLS_REGEX = r"^/(api|webhook)"

# -- Stripe ---------------------------------------------------------------------------------------
STRIPE_SECRET_KEY = ENVIRONMENT.stripe_secret_key
STRIPE_PUBLISHABLE_KEY = ENVIRONMENT.stripe_publishable_key
STRIPE_WEBHOOK_SECRETS = ENVIRONMENT.stripe_webhook_secrets
STRIPE_API_BASE = ENVIRONMENT.stripe_api_base
STRIPE_JS_URL = ENVIRONMENT.stripe_js_url
STRIPE_API_VERSION = "2026-08-26.dahlia"
STRIPE_LIVE_MODE = ENVIRONMENT.live_mode
STRIPE_CONNECT_TIMEOUT_S = 4
STRIPE_READ_TIMEOUT_S = 12
STRIPE_MAX_NETWORK_RETRIES = 2
WEBHOOK_MAX_BODY_BYTES = 256_000
WEBHOOK_TOLERANCE_S = 300
PARKED_AFTER_S = ENVIRONMENT.parked_after_s
ALERT_EMAILS = ENVIRONMENT.alert_emails
ALERT_SILENCE_S = ENVIRONMENT.alert_silence_s
DEFAULT_CURRENCY = ENVIRONMENT.default_currency
FRONTEND_URL = ENVIRONMENT.frontend_url

STRIPE_MIRROR = ENVIRONMENT.stripe_mirror
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
# dj-stripe reads these names; its tables mirror Stripe, ours are the truth.
if STRIPE_API_BASE:  # its own commands must not carry the sandbox's keys to Stripe
    STRIPE_API_HOST = STRIPE_API_BASE
STRIPE_TEST_SECRET_KEY = "" if STRIPE_LIVE_MODE else STRIPE_SECRET_KEY
STRIPE_LIVE_SECRET_KEY = STRIPE_SECRET_KEY if STRIPE_LIVE_MODE else ""

# -- mail, files, language ---------------------------------------------------------------------------
vars().update(ENVIRONMENT.email)
EMAIL_TIMEOUT = 10  # seconds; a mail server that hangs must not stop worker or sweep
DEFAULT_FROM_EMAIL = ENVIRONMENT.default_from_email
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# The bot (docs/wallets.md, "Telegram"); without a token there is none.
TELEGRAM_BOT_TOKEN = ENVIRONMENT.telegram_bot_token
TELEGRAM_API_BASE = ENVIRONMENT.telegram_api_base
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "mediafiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # Personal data, never served by its address: only the admin hands it out (backoffice/admin.py).
    "exports": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": ENVIRONMENT.export_dir,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}
EXPORT_KEPT_DAYS = ENVIRONMENT.export_kept_days
# For how long else; `manage.py retention` goes by it.
PAYLOADS_KEPT_DAYS = ENVIRONMENT.payloads_kept_days
PAYERS_KEPT_DAYS = ENVIRONMENT.payers_kept_days
NOTICES_KEPT_DAYS = ENVIRONMENT.notices_kept_days
INVITATIONS_KEPT_DAYS = ENVIRONMENT.invitations_kept_days
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# -- security -------------------------------------------------------------------------------------
_https = FRONTEND_URL.startswith("https://")
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^healthz/?$", r"^readyz/?$", r"^metrics/?$"]  # asked from inside, without TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _https
SECURE_HSTS_PRELOAD = _https
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
CSRF_FAILURE_VIEW = "conventions.errors.csrf_failure"
CSRF_TRUSTED_ORIGINS = [FRONTEND_URL] if _https else []
SECURE_REFERRER_POLICY = "strict-origin-when-cross-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:", "https:"],
        "base-uri": ["'self'"],
        "frame-ancestors": ["'none'"],
        "object-src": ["'none'"],
        "form-action": ["'self'"],
    }
}

# -- logs, metrics, errors (docs/operations.md) --------------------------------------------------------
_LINES = {"json": "conventions.log_lines.JsonLines", "line": "conventions.log_lines.PlainLines"}
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"scrubbed": {"()": _LINES[ENVIRONMENT.log_format]}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "scrubbed"}},
    "root": {"handlers": ["console"], "level": ENVIRONMENT.log_level},
    "loggers": {
        # Django's own handlers (mail to ADMINS, a plain console) would write past the scrubbing.
        "django": {"handlers": [], "level": ENVIRONMENT.log_level, "propagate": True},
        "django.server": {"handlers": [], "level": ENVIRONMENT.log_level, "propagate": True},
        "django.request": {"level": "ERROR"},
        "stripe": {"level": "WARNING"},
        # They would log what people write to the bot, and each address that it asks, of which its token is a part.
        "telegram": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
    },
}
METRICS_TOKEN = ENVIRONMENT.metrics_token
METRICS_NETWORKS = ENVIRONMENT.metrics_networks
if ENVIRONMENT.sentry_dsn:
    start_reporting(ENVIRONMENT.sentry_dsn, environment="live" if STRIPE_LIVE_MODE else "test")
