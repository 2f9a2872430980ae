"""Django's settings, read from the environment (.env.example names every variable)."""

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from polaris import mongodb
from polaris.environment import Environment, make_folder, require

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = BASE_DIR / "var"
env = Environment(Path(os.environ.get("ENV_FILE", BASE_DIR / ".env")))

# -- the process ---------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", "an open secret, for debugging alone" if DEBUG else "")
require(SECRET_KEY, "SECRET_KEY is not set: put a long random string into .env (bin/setup does).")
require(DEBUG or len(SECRET_KEY) >= 32, "SECRET_KEY is shorter than 32 characters.")
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", {"DEBUG", "INFO", "WARNING", "ERROR"})
WEB_WORKERS = env.whole("WEB_WORKERS", 8, at_least=1, at_most=200)

ROOT_URLCONF = "polaris.urls"
ASGI_APPLICATION = "polaris.asgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_apscheduler",
    "schedules.apps.SchedulesConfig",
    "tracking.apps.TrackingConfig",
    "webhooks.apps.WebhooksConfig",
]

MIDDLEWARE = [
    "polaris.error_format.ErrorFormatMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
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

# -- who comes in, and over what -----------------------------------------------------------------
HTTPS_ONLY = env.flag("HTTPS_ONLY", default=not DEBUG)
SECURE_SSL_REDIRECT = HTTPS_ONLY
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS_ONLY else 0
# Subdomains and browsers' preload lists are for the owner of the domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
X_FRAME_OPTIONS = "DENY"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LOGIN_REDIRECT_URL = "admin:index"

# -- databases -----------------------------------------------------------------------------------
MONGODB_URL = env.text("MONGODB_URL")
DATABASE_NAME = env.text("DATABASE_NAME", "polaris_db")
DATABASES: dict[str, dict[str, Any]] = {
    "default": env.database("DATABASE_URL", f"sqlite:///{STATE_DIR / 'polaris.sqlite3'}")
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

if MONGODB_URL:
    DATABASES["default"] = mongodb.database(
        MONGODB_URL, DATABASE_NAME, database_url=env.text("DATABASE_URL")
    )
    DEFAULT_AUTO_FIELD = mongodb.AUTO_FIELD
    INSTALLED_APPS = mongodb.installed_apps(INSTALLED_APPS)
    MIGRATION_MODULES = mongodb.MIGRATION_MODULES
elif DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # FULL: a ledger row must survive a power cut, or its call could be placed again.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    make_folder("DATABASE_URL", Path(DATABASES["default"]["NAME"]))
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Nobody waits for a host that has gone: seconds, and milliseconds for what was sent to it.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 3,
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
    } | DATABASES["default"].get("OPTIONS", {})

# -- time and language ---------------------------------------------------------------------------
SCHEDULER_TIMEZONE = env.zone("SCHEDULER_TIMEZONE", "UTC")
USE_TZ = True
TIME_ZONE = SCHEDULER_TIMEZONE
LANGUAGE_CODE = "en"
USE_I18N = False

# -- the scheduler -------------------------------------------------------------------------------
SCHEDULER_MAX_INSTANCES = env.whole("SCHEDULER_MAX_INSTANCES", 3, at_least=1, at_most=1000)
SCHEDULER_MISFIRE_GRACE_TIME = env.whole(
    "SCHEDULER_MISFIRE_GRACE_TIME", 300, at_least=1, at_most=7 * 24 * 3600
)
SCHEDULER_WORKERS = env.whole("SCHEDULER_WORKERS", 64, at_least=1, at_most=200)
SCHEDULER_JOB = "tracking.dialling:dial"
SCHEDULER_CALLS_AT_A_TIME = "tracking.concurrency.calls_in_hand"
SCHEDULER_STOP_CALLS = "tracking.stopping.stop_calls"
SCHEDULER_PREFLIGHT = "tracking.dialling.prepare"
HOUSEKEEPING: dict[str, dict[str, Any]] = {
    "recover": {"job": "tracking.housekeeping:recover", "every": timedelta(seconds=30)},
    "take up webhooks": {
        "job": "webhooks.housekeeping:take_up",
        "every": timedelta(minutes=1),
    },
    "prune": {"job": "tracking.housekeeping:prune", "every": timedelta(hours=6)},
}
COMPANION_JOBS = {
    "deliver notifications": "tracking.notifications.outbox:deliver_due",
    "follow up calls": "tracking.following_up:follow_up",
}

# -- telephony -----------------------------------------------------------------------------------
CARRIER = "tracking.carriers.twilio.TwilioCarrier"
TWILIO_ACCOUNT_SID = env.account("TWILIO_ACCOUNT_SID")
TWILIO_AUTH_TOKEN = env.text("TWILIO_AUTH_TOKEN")
TWILIO_FROM_NUMBER = env.phone("TWILIO_FROM_NUMBER")
TWILIO_WEBHOOK_URL = env.url("TWILIO_WEBHOOK_URL", bare=True)
TWILIO_VOICE_URL = env.template_url("TWILIO_VOICE_URL", {"agent_instance_id", "schedule_id"})
TWILIO_API_BASE_URL = env.url("TWILIO_API_BASE_URL", bare=True)
TWILIO_CONNECT_TIMEOUT = env.decimal("TWILIO_CONNECT_TIMEOUT", 3.05, at_least=0.1, at_most=30)
TWILIO_READ_TIMEOUT = env.decimal("TWILIO_READ_TIMEOUT", 10, at_least=0.1, at_most=60)
CALLS_PER_SECOND = env.decimal("CALLS_PER_SECOND", 1, at_least=0, at_most=1000)
require(
    CALLS_PER_SECOND == 0 or CALLS_PER_SECOND >= 0.001,
    "CALLS_PER_SECOND must be 0 (unlimited) or at least 0.001.",
)
MAX_CONCURRENT_CALLS = env.whole("MAX_CONCURRENT_CALLS", 0, at_least=0, at_most=100_000)
UNKNOWN_LOOKUP_SECONDS = env.whole("UNKNOWN_LOOKUP_SECONDS", 60, at_least=5, at_most=3600)
DIALLING_PROBE_SECONDS = env.decimal("DIALLING_PROBE_SECONDS", 30, at_least=0.1, at_most=600)

# A claim outlives the slowest answer of the carrier, so that it is never taken from a live runner.
_slowest_answer = TWILIO_CONNECT_TIMEOUT + TWILIO_READ_TIMEOUT
SCHEDULER_LEASE_SECONDS = env.decimal(
    "SCHEDULER_LEASE_SECONDS", 30 + _slowest_answer, at_least=5 + _slowest_answer, at_most=3600
)
SCHEDULER_LEASE = timedelta(seconds=SCHEDULER_LEASE_SECONDS)

# -- notifications -------------------------------------------------------------------------------
NOTIFY_EVENTS = env.words(
    "NOTIFY_EVENTS",
    ["call.failed", "call.missed", "call.stuck", "schedule.failed", "dialling.*"],
)
NOTIFY_EMAIL_TO = env.addresses("NOTIFY_EMAIL_TO")
NOTIFY_WEBHOOK_URL = env.url("NOTIFY_WEBHOOK_URL")
NOTIFY_WEBHOOK_SECRET = env.text("NOTIFY_WEBHOOK_SECRET")
NOTIFICATION_CHANNELS = [
    "tracking.notifications.channels.EmailChannel",
    "tracking.notifications.channels.WebhookChannel",
]
_email = env.email("EMAIL_URL", "consolemail://")
EMAIL_BACKEND = _email["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _email["EMAIL_HOST"], _email["EMAIL_PORT"] or 25
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = (
    _email.get("EMAIL_USE_TLS", False),
    _email.get("EMAIL_USE_SSL", False),
)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "polaris@localhost")

# -- the API -------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["polaris.serializing.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["polaris.querying.StrictFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "polaris.querying.StrictPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_RATES": {"login": env.rate("THROTTLE_LOGIN", "30/min")},
    "EXCEPTION_HANDLER": "polaris.error_format.answer_for",
    "URL_FORMAT_OVERRIDE": None,
}
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "ALGORITHM": "HS256",
    "UPDATE_LAST_LOGIN": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Polaris",
    "DESCRIPTION": "Schedules outbound phone calls. docs/api.md explains it in words.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "PREPROCESSING_HOOKS": ["polaris.openapi.one_path_each"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "polaris.openapi.tell_of_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "ScheduleStatus": "schedules.models.CallSchedule.Status",
        "ArmedStatus": "schedules.models.ActiveSchedule.Status",
        "CallStatus": "tracking.models.CallLog.Status",
        "CallType": "schedules.models.CallType",
        "ScheduledCallType": ["outbound"],
    },
}

# -- pages and files -----------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = STATE_DIR / "static"
with suppress(OSError):  # a folder that cannot be made here was made when it was deployed
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG
UNFOLD = {
    "SITE_TITLE": "Polaris",
    "SITE_HEADER": "Polaris",
    "SITE_SUBHEADER": "Scheduled calls",
    "SITE_SYMBOL": "call",
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "tracking.dashboard.dashboard_context",
    "SIDEBAR": {"show_search": True, "navigation": "polaris.navigation.sidebar"},
}

# -- logs ----------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # APScheduler names every job and every wake-up at INFO; the runner logs its own lines.
        "apscheduler": {"level": "WARNING"},
        "apscheduler.executors": {"level": "CRITICAL"},
        # The SDK's INFO lines hold query strings, and those hold phone numbers.
        "twilio": {"level": "WARNING"},
    },
}
