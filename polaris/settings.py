"""Django's settings, read from the environment (.env.example names every variable)."""

import logging
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from polaris import VERSION, exposure, mongodb
from polaris.accounts.key_derivation import key_of
from polaris.environment import Environment, make_folder, require, require_celery

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = BASE_DIR / "var"
env = Environment(Path(os.environ.get("ENV_FILE", BASE_DIR / ".env")))

# -- the process ---------------------------------------------------------------------------------
DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text("SECRET_KEY", exposure.KNOWN_KEY if DEBUG else "")
require(SECRET_KEY, "SECRET_KEY is not set: put a long random string into .env (bin/setup does).")
require(DEBUG or len(SECRET_KEY) >= 32, "SECRET_KEY is shorter than 32 characters.")
require(
    DEBUG or not exposure.is_weak_key(SECRET_KEY),
    "SECRET_KEY is one that others know or guess: make a long random one (bin/setup does).",
)
# Newest first: what is written is sealed, and numbers are looked up, with the first.
_open_key = "YW4gb3BlbiBrZXksIGZvciBkZWJ1Z2dpbmcgb25seS4" if DEBUG else ""
ENCRYPTION_KEYS = env.keys("ENCRYPTION_KEYS", _open_key)
LOOKUP_KEYS = env.keys("LOOKUP_KEYS", _open_key)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
require(DEBUG or "*" not in ALLOWED_HOSTS, "ALLOWED_HOSTS is *: name the hosts that are served.")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
LOG_FORMAT = env.choice("LOG_FORMAT", "text", {"text", "json"})
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
    "rest_framework_simplejwt.token_blacklist",
    "polaris.apps.PolarisConfig",
    "schedules.apps.SchedulesConfig",
    "tracking.apps.TrackingConfig",
    "webhooks.apps.WebhooksConfig",
]

MIDDLEWARE = [
    "polaris.request_ids.RequestIdMiddleware",
    "polaris.security_headers.SecurityHeadersMiddleware",
    "polaris.error_format.ErrorFormatMiddleware",
    "polaris.health.probes.ProbesMiddleware",
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
SECURE_REDIRECT_EXEMPT = [r"^health/(live|ready)/?$"]  # load balancers ask without TLS
SESSION_COOKIE_SECURE = HTTPS_ONLY
CSRF_COOKIE_SECURE = HTTPS_ONLY
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS_ONLY else 0
# Subdomains and browsers' preload lists are for the owner of the domain to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# How much of a request is read, in bytes and fields; by the beginning of its path where it is less.
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 10
BODY_LIMITS = {"/webhook/": 65_536}
# Who may say by X-Forwarded-For and X-Forwarded-Proto whose request it is: see polaris.proxies.
TRUSTED_PROXIES = env.networks("TRUSTED_PROXIES", ["127.0.0.1", "::1"])

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
DATABASE_POOL = env.whole("DATABASE_POOL", 0, at_least=0, at_most=1000)
require(
    not DATABASE_POOL
    or (DATABASES["default"]["ENGINE"].endswith("postgresql") and not MONGODB_URL),
    "DATABASE_POOL is for PostgreSQL alone: take it out, or set DATABASE_URL to postgres://…",
)
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
# Who serves people goes first while a burst is dialled.
SCHEDULER_NICE = env.whole("SCHEDULER_NICE", 10, at_least=0, at_most=19)
# Who asks the carrier: threads of the runner, or Celery's workers on any number of machines.
SCHEDULER_EXECUTOR = env.choice("SCHEDULER_EXECUTOR", "threads", {"threads", "celery"})
CELERY_BROKER_URL = env.broker("CELERY_BROKER_URL")
if SCHEDULER_EXECUTOR == "celery":
    require_celery(CELERY_BROKER_URL)
SCHEDULER_EXECUTORS = {
    "threads": "schedules.executor.CallExecutor",
    "celery": "schedules.celery_executor.CeleryExecutor",
}
SCHEDULER_POLL_SECONDS = env.decimal("SCHEDULER_POLL_SECONDS", 0.25, at_least=0.05, at_most=60)
SCHEDULER_POLL = timedelta(seconds=SCHEDULER_POLL_SECONDS)
SCHEDULER_JOB = "tracking.dialling:dial"
SCHEDULER_HANDED_JOB = "tracking.dialling.dial_handed"
SCHEDULER_CALLS_AT_A_TIME = "tracking.concurrency.calls_in_hand"
SCHEDULER_STOP_CALLS = "tracking.stopping.stop_calls"
SCHEDULER_PREFLIGHT = "tracking.dialling.prepare"
WHO_DIALS = "schedules.runner.living_runners"
IS_DIALLING = "schedules.gate.is_open"
HOUSEKEEPING: dict[str, dict[str, Any]] = {
    "recover": {"job": "tracking.housekeeping:recover", "every": timedelta(seconds=30)},
    "take up webhooks": {
        "job": "webhooks.housekeeping:take_up",
        "every": timedelta(minutes=1),
    },
    "prune": {"job": "polaris.retention:prune", "every": timedelta(hours=6)},
    "prune sign-ins": {
        "job": "polaris.accounts.housekeeping:prune",
        "every": timedelta(minutes=15),
    },
    "seal the audit": {"job": "polaris.audit.sealing:seal", "every": timedelta(minutes=1)},
    "count": {"job": "polaris.metrics.counting:count", "every": timedelta(seconds=30)},
    "prune the audit": {"job": "polaris.audit.retention:prune", "every": timedelta(hours=6)},
}
COMPANION_JOBS = {
    "deliver notifications": "tracking.notifications.outbox:deliver_due",
    "follow up calls": "tracking.following_up:follow_up",
}

WEB_COMPANIONS = ["polaris.web_processes.heartbeat.beat", "schedules.watch.look"]
RUNNER_MISSING_SECONDS = env.whole("RUNNER_MISSING_SECONDS", 60, at_least=10, at_most=24 * 3600)

# -- telephony -----------------------------------------------------------------------------------
CARRIER = "tracking.carriers.twilio.TwilioCarrier"
TWILIO_ACCOUNT_SID = env.account("TWILIO_ACCOUNT_SID")
TWILIO_AUTH_TOKEN = env.text("TWILIO_AUTH_TOKEN")
TWILIO_WEBHOOK_TOKENS = env.words("TWILIO_WEBHOOK_TOKENS")
require(
    len(TWILIO_WEBHOOK_TOKENS) <= 4,
    "TWILIO_WEBHOOK_TOKENS holds more than 4 tokens: each is tried on every webhook.",
)
TWILIO_FROM_NUMBER = env.phone("TWILIO_FROM_NUMBER")
TWILIO_WEBHOOK_URL = env.url("TWILIO_WEBHOOK_URL", bare=True)
# Hosts by which others come in: a demo has none, nor has a developer's machine.
PUBLIC_HOSTS = [] if DEBUG else exposure.public_hosts(ALLOWED_HOSTS, TWILIO_WEBHOOK_URL)
require(
    not (DEBUG and exposure.public_hosts({*ALLOWED_HOSTS} - {"*"}, TWILIO_WEBHOOK_URL)),
    "DEBUG is on, but ALLOWED_HOSTS or TWILIO_WEBHOOK_URL is public: everybody would be shown "
    "tracebacks, and keys that everybody knows are taken.",
)
TWILIO_VOICE_URL = env.template_url("TWILIO_VOICE_URL", {"agent_instance_id", "schedule_id"})
TWILIO_API_BASE_URL = env.url("TWILIO_API_BASE_URL", bare=True)
TWILIO_CONNECT_TIMEOUT = env.decimal("TWILIO_CONNECT_TIMEOUT", 3.05, at_least=0.1, at_most=30)
TWILIO_READ_TIMEOUT = env.decimal("TWILIO_READ_TIMEOUT", 10, at_least=0.1, at_most=60)
CALLS_PER_SECOND = env.decimal("CALLS_PER_SECOND", 1, at_least=0, at_most=10_000)
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

# -- what is kept, and for how long --------------------------------------------------------------
RETAIN_LOGS_DAYS = env.whole("RETAIN_LOGS_DAYS", 0, at_least=0, at_most=36_500)
RETAIN_SCHEDULES_DAYS = env.whole("RETAIN_SCHEDULES_DAYS", 0, at_least=0, at_most=36_500)
RETAIN_WEBHOOKS_DAYS = env.whole("RETAIN_WEBHOOKS_DAYS", 30, at_least=0, at_most=36_500)
RETAIN_NOTIFICATIONS_DAYS = env.whole("RETAIN_NOTIFICATIONS_DAYS", 30, at_least=0, at_most=36_500)
RETAIN_TRACES_DAYS = env.whole("RETAIN_TRACES_DAYS", 30, at_least=0, at_most=36_500)
AUDIT_KEPT_DAYS = env.whole("AUDIT_KEPT_DAYS", 0, at_least=0, at_most=36_500)
RETENTION: dict[str, dict[str, Any]] = {
    "call logs": {"rows": "tracking.retention.logs", "days": RETAIN_LOGS_DAYS},
    "schedules": {"rows": "tracking.retention.schedules", "days": RETAIN_SCHEDULES_DAYS},
    "webhooks": {"rows": "webhooks.retention.webhooks", "days": RETAIN_WEBHOOKS_DAYS},
    "notifications": {
        "rows": "tracking.retention.notifications",
        "days": RETAIN_NOTIFICATIONS_DAYS,
    },
    "traces": {"rows": "schedules.retention.traces", "days": RETAIN_TRACES_DAYS},
    "admin history": {"rows": "polaris.retention.admin_history", "days": AUDIT_KEPT_DAYS},
}
# In this order: nothing is armed any more, then from the top room to the bottom.
ERASERS = [
    "schedules.erasure.stop",
    "webhooks.erasure.erase",
    "tracking.erasure.erase",
    "schedules.erasure.erase",
]

# -- notifications -------------------------------------------------------------------------------
NOTIFY_EVENTS = env.words(
    "NOTIFY_EVENTS",
    [
        "call.failed",
        "call.missed",
        "call.stuck",
        "schedule.failed",
        "dialling.*",
        "runner.*",
        "worker.*",
    ],
)
NOTIFY_EMAIL_TO = env.addresses("NOTIFY_EMAIL_TO")
NOTIFY_WEBHOOK_URL = env.url("NOTIFY_WEBHOOK_URL")
NOTIFY_WEBHOOK_SECRET = env.text("NOTIFY_WEBHOOK_SECRET")
NOTIFY_WEBHOOK_PRIVATE = env.flag("NOTIFY_WEBHOOK_PRIVATE", default=False)
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

# -- the metrics ---------------------------------------------------------------------------------
METRICS_TOKEN = env.secrets("METRICS_TOKEN")  # without one they are not served
METRICS_COUNTED_BY = ["tracking.metrics.count"]
METRICS_TOLD_BY = [
    "polaris.metrics.exposition.metrics",
    "schedules.metrics.metrics",
    "tracking.metrics.metrics",
    "webhooks.metrics.metrics",
]

# -- the API -------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "polaris.accounts.authentication.BearerAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["polaris.serializing.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["polaris.querying.StrictFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "polaris.querying.StrictPagination",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["polaris.throttling.writes.WriteThrottle"],
    "EXCEPTION_HANDLER": "polaris.error_format.answer_for",
    "URL_FORMAT_OVERRIDE": None,
}
THROTTLE_LOGIN = env.limit("THROTTLE_LOGIN", "30/min")
THROTTLE_WRITES = env.limit("THROTTLE_WRITES", "30000/min")

# -- tokens --------------------------------------------------------------------------------------
JWT_SIGNING_KEYS = env.secrets("JWT_SIGNING_KEYS") or [key_of(SECRET_KEY)]
JWT_LEEWAY = timedelta(seconds=env.whole("JWT_LEEWAY_SECONDS", 10, at_least=0, at_most=120))
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(
        seconds=env.whole("JWT_ACCESS_SECONDS", 300, at_least=30, at_most=3600)
    ),
    "REFRESH_TOKEN_LIFETIME": timedelta(
        seconds=env.whole("JWT_REFRESH_SECONDS", 86400, at_least=300, at_most=30 * 86400)
    ),
    "SIGNING_KEY": JWT_SIGNING_KEYS[0],
    "LEEWAY": JWT_LEEWAY,
}
JWT_OUTSIDE_ISSUER = env.text("JWT_OUTSIDE_ISSUER")
JWT_OUTSIDE_AUDIENCE = env.text("JWT_OUTSIDE_AUDIENCE")
JWT_OUTSIDE_KEYS = env.document("JWT_OUTSIDE_KEYS")
JWT_OUTSIDE_USER_CLAIM = env.text("JWT_OUTSIDE_USER_CLAIM", "sub")
require(
    bool(JWT_OUTSIDE_ISSUER) == bool(JWT_OUTSIDE_AUDIENCE) == bool(JWT_OUTSIDE_KEYS),
    "JWT_OUTSIDE_ISSUER, JWT_OUTSIDE_AUDIENCE and JWT_OUTSIDE_KEYS go together: set all or none.",
)

SPECTACULAR_SETTINGS = {
    "TITLE": "Polaris",
    "DESCRIPTION": "Schedules outbound phone calls. docs/api.md explains it in words.",
    "VERSION": VERSION,
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
_STAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect width="32" height="32" rx="8" fill="#9810fa"/>'
    '<path fill="#fff" d="M16 4l3 9 9 3-9 3-3 9-3-9-9-3 9-3z"/></svg>'
)
UNFOLD = {
    "SITE_TITLE": "Polaris",
    "SITE_HEADER": "Polaris",
    "SITE_SUBHEADER": "Scheduled calls",
    "SITE_SYMBOL": "call",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": f"data:image/svg+xml,{quote(_STAR)}"}
    ],
    "SITE_URL": None,
    "SHOW_BACK_BUTTON": True,
    "LOGIN": {"form": "polaris.accounts.admin_login.SignInForm"},
    "DASHBOARD_CALLBACK": "tracking.dashboard.dashboard_context",
    "SIDEBAR": {"show_search": True, "navigation": "polaris.navigation.sidebar"},
}

# -- logs ----------------------------------------------------------------------------------------
# Numbers are masked in every record, whoever shows it.
LOGGING_CONFIG = "polaris.privacy.logs.configure"
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "polaris.request_ids.RequestIdFilter"}},
    "formatters": {
        "text": {"format": "%(asctime)s %(levelname)s %(name)s [%(request_id)s]: %(message)s"},
        "json": {"()": "polaris.json_logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["request"],
        }
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # APScheduler names every job and every wake-up at INFO; the runner logs its own lines.
        "apscheduler": {"level": "WARNING"},
        "apscheduler.executors": {"level": "CRITICAL"},
        # Celery tells of each message twice; the job logs its own line.
        "celery.app.trace": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        # The SDK's INFO lines hold query strings, and those hold phone numbers.
        "twilio": {"level": "WARNING"},
        # A traceback for every request with a host that is not ours; "Bad Request" is logged too.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
    },
}
if LOG_FORMAT == "json":
    # uvicorn has handlers of its own: its lines take our way instead. What --log-level and
    # --no-access-log have switched off stays off.
    for _name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        _server = logging.getLogger(_name)
        LOGGING["loggers"][_name] = {
            "handlers": [],
            "level": _server.level,
            "propagate": _server.propagate or bool(_server.handlers),
        }
