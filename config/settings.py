"""The only settings file. Every value that differs between installations comes from the environment.

A wrong or missing value ends the process with one line that names the variable; settings that contradict each
other are found by the system checks in `config/checks.py`. The variables are listed in docs/settings.md.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from pkgutil import iter_modules

import anymail.backends
import django_stubs_ext
from environs import Env, EnvError, validate

from config import unfold
from config.logs import configure_logging

django_stubs_ext.monkeypatch()  # allows ModelAdmin[…] and the like at run time

BASE_DIR = Path(__file__).resolve().parent.parent
env = Env()
positive = validate.Range(min=1)


def validate_each(validator: Callable[[str], object]) -> Callable[[list[str]], None]:
    def validate_list(values: list[str]) -> None:
        for value in values:
            validator(value)

    return validate_list


# Security
DEBUG = env.bool("DEBUG", False)
SECRET_KEY = env.str("SECRET_KEY")
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", [])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", [])
if not DEBUG:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", True)
    # The container's health check and Prometheus use plain HTTP.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^healthz/nightly$", r"^readyz$", r"^metrics$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", 31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

# Apps and middleware
INSTALLED_APPS = [
    "config",
    "cronjobs",
    "certifications",
    "notifications",
    "mentors",
    "pghistory",
    "pgtrigger",
    "rest_framework",
    "knox",
    "axes",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "django_celery_beat",
    "django_celery_results",
    "anymail",
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "config.apps.DeskConfig",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    "config.headers.headers",
    "config.request_log.request_log",
    "mentors.accounts.security_trail.remember_request",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "mentors.desk.body_limit.BodyLimit",  # nothing above reads a body; it answers in the reader's language
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "axes.middleware.AxesMiddleware",
    "mentors.accounts.known_devices.remember_device",
    "mentors.desk.meanwhile.Meanwhile",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
# Not for GET, which changes nothing: to read the user would make every response depend on a cookie, public pages too.
PGHISTORY_MIDDLEWARE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
AUTH_USER_MODEL = "mentors.User"
DJANGO_VALIDATORS = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS: list[dict[str, object]] = [
    {"NAME": f"{DJANGO_VALIDATORS}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{DJANGO_VALIDATORS}.UserAttributeSimilarityValidator"},
    {"NAME": f"{DJANGO_VALIDATORS}.CommonPasswordValidator"},
    {"NAME": f"{DJANGO_VALIDATORS}.NumericPasswordValidator"},
    {"NAME": "mentors.accounts.passwords.EndAccess"},
]
PASSWORD_RESET_TIMEOUT = 24 * 3600  # seconds for which a link to a new password is valid
INVITATION_DAYS = env.int("INVITATION_DAYS", 7, validate=positive)
SESSION_ENGINE = "mentors.accounts.sessions"
SESSION_COOKIE_AGE = env.int("SESSION_HOURS", 12, validate=positive) * 3600
SESSION_IDLE_MINUTES = env.int("SESSION_IDLE_MINUTES", 30, validate=positive)
SECURITY_DAYS = env.int("SECURITY_DAYS", 365, validate=positive)
# The admin needs two factors: a password, and a code from an app or from paper.
SECOND_FACTOR_REQUIRED = env.bool("SECOND_FACTOR_REQUIRED", not DEBUG)
OTP_TOTP_ISSUER = "Nattevakt"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
WHITENOISE_ROOT = BASE_DIR / "config" / "root"  # what browsers ask for at the root of a site: an icon

# The admin's theme
UNFOLD = unfold.SETTINGS

# The API
# In production a proxy ends TLS (SECURE_PROXY_SSL_HEADER above relies on it), so requests come from its address.
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", 0 if DEBUG else 1, validate=validate.Range(min=0))
rate = validate.Regexp(r"^(|[1-9]\d*/(second|minute|hour|day))$", error="Write as 600/minute; empty is no limit.")
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mentors.rest.authentication.DeviceToken",
        "mentors.rest.authentication.DeskSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["mentors.rest.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "mentors.rest.renderers.AlwaysJSON",
    "DEFAULT_PAGINATION_CLASS": "mentors.rest.pagination.Pages",
    "DEFAULT_SCHEMA_CLASS": "mentors.rest.openapi.OperationSchema",
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_THROTTLE_CLASSES": ["mentors.rest.throttles.PerUser", "mentors.rest.throttles.PerAddress"],
    "DEFAULT_THROTTLE_RATES": {
        "user": env.str("API_RATE_USER", "600/minute", validate=rate) or None,
        "anon": env.str("API_RATE_ADDRESS", "120/minute", validate=rate) or None,
        "login": env.str("API_RATE_LOGIN", "20/minute", validate=rate) or None,
        "page": env.str("PAGE_RATE_ADDRESS", "120/minute", validate=rate) or None,
    },
    "NUM_PROXIES": TRUSTED_PROXIES,
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "mentors.rest.errors.Handler",
    "EXCEPTION_FORMATTER_CLASS": "mentors.rest.errors.Formatter",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Nattevakt",
    "DESCRIPTION": "The night watch over the certifications of peer mentors.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "MentorStatus": "mentors.models.Mentor.Status",
        "PauseCause": "mentors.models.Mentor.PauseCause",
        "Action": "cronjobs.models.Action",
        "RunStatus": "cronjobs.models.Run.Status",
        "RunItemStatus": "cronjobs.api.serializers.ITEM_STATUSES",
        "NotificationKind": "notifications.models.Notification.Kind",
        "TimelineKind": "mentors.api.timeline.Kind",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "PREPROCESSING_HOOKS": ["mentors.rest.openapi.without_trailing_slash"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "mentors.rest.openapi.close_requests",
    ],
}
REST_KNOX = {"TOKEN_TTL": timedelta(days=env.int("TOKEN_DAYS", 30, validate=positive))}
# Bytes of a request's body: of every request, and of one that brings a roster (5 MB, and what a form adds).
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
ROSTER_MAX_BYTES = 6_000_000

# Failed logins lock the pair of name and address for a while. Stored in the database: Redis may lose data.
AXES_HANDLER = "mentors.accounts.login_lock.LoginHandler"
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_DISABLE_ACCESS_LOG = True
AXES_LOCKOUT_CALLABLE = "mentors.desk.sign_in.answer_locked"
AXES_SENSITIVE_PARAMETERS = ["code", "proof"]  # not stored, like passwords
AXES_CLIENT_IP_CALLABLE = "mentors.rest.throttles.client_address"

# Database
DATABASES = {"default": env.dj_db_url("DATABASE_URL", conn_max_age=60, conn_health_checks=True)}
if not DATABASES["default"]["ENGINE"].endswith("postgresql"):
    raise EnvError(
        'Environment variable "DATABASE_URL" invalid: only PostgreSQL, as postgres://user:password@host/name.'
    )
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 5
# Of the web server only (config/wsgi.py). A lock is waited for less long: others wait behind who waits.
WEB_STATEMENT_SECONDS = env.int("WEB_STATEMENT_SECONDS", 20, validate=positive)
WEB_LOCK_SECONDS = env.int("WEB_LOCK_SECONDS", 10, validate=positive)

# Languages and time
LANGUAGE_CODE = "nb"
LANGUAGES = [("nb", "Norsk bokmål"), ("nn", "Norsk nynorsk"), ("en", "English")]
FORMAT_MODULE_PATH = ["config.formats"]
USE_TZ = True
TIME_ZONE = "UTC"

# Redis and Celery. The reasons for the values: docs/adr/0006-celery-settings.md
REDIS_URL = env.str("REDIS_URL")
VISIBILITY_TIMEOUT_SECONDS = 3600
BROKER_OPTIONS = {
    "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
    "socket_timeout": 30,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
CACHES = {
    "default": {  # counts the API's throttles; may be lost at any time
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL.replace("redis+socket://", "unix://").replace("virtual_host=", "db="),
        "KEY_PREFIX": "nattevakt",
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5},
    }
}
CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT_OPTIONS = BROKER_OPTIONS
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_RESULT_EXPIRES = timedelta(days=30)
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = BROKER_OPTIONS
CELERY_VISIBILITY_TIMEOUT = VISIBILITY_TIMEOUT_SECONDS
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 900
CELERY_TASK_SOFT_TIME_LIMIT = 840
CELERY_TASK_DEFAULT_QUEUE = "night"
CELERY_TASK_ROUTES = {"notifications.*": {"queue": "delivery"}}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.3, "interval_max": 0.5}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 10_000
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 250_000  # KiB
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10.0
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_SEND_TASK_EVENTS = True
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True
CELERY_BEAT_SCHEDULER = "cronjobs.schedules.beat:NightScheduler"
DJANGO_CELERY_BEAT_TZ_AWARE = True

# Nightly runs
NIGHTLY_MAX_SUBTASKS = env.int("NIGHTLY_MAX_SUBTASKS", 20, validate=positive)
NIGHTLY_MAX_ATTEMPTS = env.int("NIGHTLY_MAX_ATTEMPTS", 3, validate=positive)
NIGHTLY_RETRY_SECONDS = env.int("NIGHTLY_RETRY_SECONDS", 5, validate=positive)
NIGHTLY_STUCK_SECONDS = env.int("NIGHTLY_STUCK_SECONDS", 300, validate=positive)
FORECAST_MINIMUM = env.int("FORECAST_MINIMUM", 10, validate=positive)
# At least two: reminders are compared with those of up to a year ago, which must still be known (`records.retention`).
RECORDS_YEARS = env.int("RECORDS_YEARS", 5, validate=validate.Range(min=2, max=100))
CODE_VERSION = env.str("CODE_VERSION", "development")

# Notifications
NOTIFICATION_SERVICE = env.str("NOTIFICATION_SERVICE", "notifications.service.DatabaseNotificationService")
DELIVERY_BATCH_SIZE = env.int("DELIVERY_BATCH_SIZE", 100, validate=positive)
DELIVERY_MAX_ATTEMPTS = env.int("DELIVERY_MAX_ATTEMPTS", 12, validate=positive)
DELIVERY_RETRY_SECONDS = env.int("DELIVERY_RETRY_SECONDS", 60, validate=positive)
SECONDS_OF = {"second": 1, "minute": 60, "hour": 3600}
host_rate = validate.Regexp(r"^[^=\s]+=[1-9]\d*/(second|minute|hour)$", error="Write as host=20/second,*=100/second.")
DELIVERY_RATES = {  # the time between two messages, by host
    host.lower(): timedelta(seconds=SECONDS_OF[unit] / int(count))
    for host, _, rate in (
        item.partition("=") for item in env.list("DELIVERY_RATES", ["*=100/second"], validate=validate_each(host_rate))
    )
    for count, _, unit in [rate.partition("/")]
}
PUBLIC_URL = env.str("PUBLIC_URL", "", validate=validate.Regexp(r"^(|https?://[^/\s]+/?)$")).rstrip("/")
LINK_DAYS = env.int("LINK_DAYS", 45, validate=positive)
SMS_URL, CHAT_URL = env.str("SMS_URL", ""), env.str("CHAT_URL", "")
WEBHOOK_PRIVATE_HOSTS = env.bool("WEBHOOK_PRIVATE_HOSTS", DEBUG)
OPERATIONS_EMAIL = env.str("OPERATIONS_EMAIL", "")
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", "nattevakt@localhost")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
MESSAGE_ID_DOMAIN = parseaddr(DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
# Instead of EMAIL_URL: a provider that django-anymail supports, with settings in variables that begin with ANYMAIL_.
EMAIL_PROVIDERS = sorted(
    {module.name for module in iter_modules(anymail.backends.__path__)} - {"base", "base_requests", "console", "test"}
)
EMAIL_PROVIDER = env.str("EMAIL_PROVIDER", "", validate=validate.OneOf(["", *EMAIL_PROVIDERS]))
ANYMAIL: dict[str, object] = {
    "WEBHOOK_SECRET": env.str("ANYMAIL_WEBHOOK_SECRET", ""),
    "IGNORE_UNSUPPORTED_FEATURES": True,  # features that a provider lacks are left out; else no message would be sent
    "REQUESTS_TIMEOUT": 30,
}
for _name, _value in os.environ.items():
    if _name.startswith("ANYMAIL_") and _value:
        ANYMAIL[_name.removeprefix("ANYMAIL_")] = {"true": True, "false": False}.get(_value.lower(), _value)
_email = env.dj_email_url("EMAIL_URL", "console:" if DEBUG else "smtp://localhost:25")
if "EMAIL_BACKEND" not in _email:
    raise EnvError('Environment variable "EMAIL_URL" invalid: write smtp://, submission://, file: or console:.')
EMAIL_BACKEND = f"anymail.backends.{EMAIL_PROVIDER}.EmailBackend" if EMAIL_PROVIDER else _email["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _email["EMAIL_HOST"] or "localhost", _email["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_USER"], _email["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _email["EMAIL_USE_TLS"], _email["EMAIL_USE_SSL"]
EMAIL_FILE_PATH = _email["EMAIL_FILE_PATH"]
EMAIL_TIMEOUT = 30

# Logs, alerts and metrics
LOG_LEVEL = env.str("LOG_LEVEL", "INFO", validate=validate.OneOf(["DEBUG", "INFO", "WARNING", "ERROR"]))
LOGGING = configure_logging(LOG_LEVEL)
# Where alerts go, and what the watchdog checks: docs/operations.md
ALERT_URLS: list[str] = env.str("ALERT_URLS", "").split()
WATCHDOG_SECONDS = env.int("WATCHDOG_SECONDS", 30, validate=positive)
WATCHDOG_WEB_URL = env.str("WATCHDOG_WEB_URL", f"{PUBLIC_URL}/healthz" if PUBLIC_URL else "")
WATCHDOG_HEARTBEAT_URL = env.str("WATCHDOG_HEARTBEAT_URL", "")
METRICS_TOKEN = env.str("METRICS_TOKEN", "")
SENTRY_DSN = env.str("SENTRY_DSN", "")
SENTRY_ENVIRONMENT = env.str("SENTRY_ENVIRONMENT", "production")
HEARTBEAT_URL = env.str("HEARTBEAT_URL", "", validate=validate.Regexp(r"^(|https?://[^/\s?#]+(/[^\s#]*)?)$"))
if SENTRY_DSN:
    from config import sentry  # here, because its import takes long

    sentry.start(dsn=SENTRY_DSN, environment=SENTRY_ENVIRONMENT, release=CODE_VERSION)
RUN_HOOKS = ["cronjobs.reporting.log", *env.list("RUN_HOOKS", [])]  # called for every run (docs/hooks.md)
if SENTRY_DSN:
    RUN_HOOKS.append("cronjobs.reporting.sentry")
if HEARTBEAT_URL:
    RUN_HOOKS.append("cronjobs.reporting.heartbeat")
