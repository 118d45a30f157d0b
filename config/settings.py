"""Settings. What differs between deployments comes from the environment (config/environment.py), all else is here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from config.environment import BASE_DIR, read_environment

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
    "django.contrib.admin",
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
    "website",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
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
        return {**url, "OPTIONS": options}
    # No server-side cursors, so that PgBouncer's transaction pooling works.
    return {**url, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, "DISABLE_SERVER_SIDE_CURSORS": True}


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
PAYMENT_FULFILMENTS = {"donation": "donations.fulfilment"}
PERSON_DATA = ["donations.persons", "payments.persons"]

# -- the API --------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
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
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.E003", "django_ratelimit.W001"]
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
    },
}
CORS_ALLOWED_ORIGINS = list(ENVIRONMENT.cors_allowed_origins)
CORS_ALLOW_ALL_ORIGINS = DEBUG
CORS_ALLOW_METHODS = ["GET", "POST", "OPTIONS", "PATCH", "DELETE"]
CORS_ALLOW_HEADERS = ["content-type", "authorization", "idempotency-key"]
CORS_EXPOSE_HEADERS = ["retry-after"]
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
DEFAULT_CURRENCY = ENVIRONMENT.default_currency
FRONTEND_URL = ENVIRONMENT.frontend_url

DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
# dj-stripe reads these names; its tables mirror Stripe, ours are the truth.
STRIPE_TEST_SECRET_KEY = "" if STRIPE_LIVE_MODE else STRIPE_SECRET_KEY
STRIPE_LIVE_SECRET_KEY = STRIPE_SECRET_KEY if STRIPE_LIVE_MODE else ""

# -- mail, files, language ---------------------------------------------------------------------------
vars().update(ENVIRONMENT.email)
EMAIL_TIMEOUT = 10  # seconds; a mail server that hangs must not stop worker or sweep
DEFAULT_FROM_EMAIL = ENVIRONMENT.default_from_email
SERVER_EMAIL = DEFAULT_FROM_EMAIL
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
MEDIA_URL = "/media/"
MEDIA_ROOT = BASE_DIR / "mediafiles"
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True

# -- security -------------------------------------------------------------------------------------
_https = FRONTEND_URL.startswith("https://")
SECURE_SSL_REDIRECT = _https
SECURE_REDIRECT_EXEMPT = [r"^healthz/?$", r"^readyz/?$"]  # asked from inside, without TLS
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

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": ENVIRONMENT.log_level},
    "loggers": {"stripe": {"level": "WARNING"}, "django.request": {"level": "ERROR"}},
}
