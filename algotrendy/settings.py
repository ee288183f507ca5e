"""Settings: read once from the environment, typed, with defaults that run on one machine."""

from typing import Any

import dj_database_url
import django_stubs_ext
from csp.constants import NONE, SELF
from environs import Env

from algotrendy import logs, paths, secrets

django_stubs_ext.monkeypatch()
env = Env()

BASE_DIR = paths.BASE_DIR
DATA_DIR = paths.data_dir()
# Which of the desk's processes this is: web, trade, training, beat, feed, what forks them (preload), or command.
PROCESS = env.str("ALGOTRENDY_PROCESS", "command")

_secrets = secrets.load_or_create(DATA_DIR)
SECRET_KEY = env.str("SECRET_KEY", _secrets["SECRET_KEY"])
TOKEN_PEPPER = env.str("TOKEN_PEPPER", _secrets["TOKEN_PEPPER"])
ARTEFACT_KEY = env.str("ARTEFACT_KEY", _secrets["ARTEFACT_KEY"])
DEBUG = env.bool("DEBUG", False)
ALLOWED_HOSTS: list[str] = env.list("ALGOTRENDY_HOSTS", ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("ALGOTRENDY_ORIGINS", [])
PUBLIC_URL = env.str("ALGOTRENDY_URL", "http://127.0.0.1:8000")
# Proxies whose X-Forwarded-For is believed, as networks ("10.0.0.0/8").
TRUSTED_PROXIES: list[str] = env.list("ALGOTRENDY_TRUSTED_PROXIES", [])
SECURE_COOKIES = env.bool("ALGOTRENDY_HTTPS", False)

INSTALLED_APPS = [
    "algotrendy",
    "algotrendy.history",
    "algotrendy.isolation",
    "algotrendy.retention",
    "dashboard",
    "webhooks",
    "memory",
    "brokers",
    "brokers.venues.paper",
    "mlmodels",
    "market",
    "channels",
    "django_htmx",
    "django_celery_beat",
    "django_structlog",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "dashboard.accounts.admin_config.DeskAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
]
if PROCESS in ("web", "preload", "command"):
    # Only its pages of documentation need it; with it comes pydantic, 11 MB in each of the other processes.
    INSTALLED_APPS.append("ninja")

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "algotrendy.serving.middleware.KeptNowhere",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "algotrendy.serving.middleware.Slashes",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "algotrendy.serving.middleware.WrongMethod",
    "algotrendy.serving.middleware.BadInput",
    "django_structlog.middlewares.RequestMiddleware",
]

ROOT_URLCONF = "algotrendy.urls"
ASGI_APPLICATION = "algotrendy.asgi.application"
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
                "dashboard.context.frame",
            ],
        },
    },
]

# Candles that the simulated market of a new desk begins with: sixty days of its movement, for a first model.
SIMULATED_HISTORY = env.int("ALGOTRENDY_SIMULATED_HISTORY", 17_280)

# How many days each is kept; 0: for ever. Once a night what is older is removed, or thinned (marks of equity).
KEEP_SIMULATED_CANDLES = env.int("ALGOTRENDY_KEEP_SIMULATED_CANDLES", 14)
KEEP_EQUITY_MARKS = env.int("ALGOTRENDY_KEEP_EQUITY_MARKS", 7)
KEEP_FIVE_MINUTE_EQUITY = env.int("ALGOTRENDY_KEEP_FIVE_MINUTE_EQUITY", 90)
KEEP_VENUE_EVENTS = env.int("ALGOTRENDY_KEEP_VENUE_EVENTS", 30)
KEEP_REJECTED_MODELS = env.int("ALGOTRENDY_KEEP_REJECTED_MODELS", 30)
KEEP_PREDICTIONS = env.int("ALGOTRENDY_KEEP_PREDICTIONS", 365)

DATABASE_URL = env.str("DATABASE_URL", "")
EMBEDDED_POSTGRES = not DATABASE_URL
_database = dj_database_url.parse(DATABASE_URL or paths.embedded_database_url(DATA_DIR))
DATABASES: dict[str, dict[str, Any]] = {"default": dict(_database)}
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"]["connect_timeout"] = 5
DATABASES["default"]["CONN_MAX_AGE"] = None  # web has a pool instead: see its command
# A connection that a restart of PostgreSQL broke is replaced instead of failing the next request.
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.str("REDIS_URL", "")
EMBEDDED_VALKEY = not REDIS_URL
REDIS_URL = REDIS_URL or paths.embedded_redis_url(DATA_DIR)

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "socket_timeout": 30,
    "socket_connect_timeout": 2,
    "retry_on_timeout": True,
    # A nudge while Valkey is away fails at once (a sweep finds the work); workers come back by themselves.
    "max_retries": 0,
    "visibility_timeout": 3600,
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_DEFAULT_QUEUE = "trade"
# Nudges name a task only.
CELERY_TASK_ROUTES = {
    "mlmodels.*": {"queue": "training"},
    "dashboard.reconcile": {"queue": "training"},
    "*.remove_old": {"queue": "training"},
}
CELERY_TASK_SOFT_TIME_LIMIT = 60
CELERY_TASK_TIME_LIMIT = 90
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BEAT_SCHEDULER = "algotrendy.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
# Persistent connections in workers: the fixup would otherwise close them after every task.
CELERY_DB_REUSE_MAX = 1_000_000

# Beat only nudges: the rows are the queue. An entry that could not run is dropped before the next one.
_SWEEPS = {
    "webhooks.work_inbox": (2, "trade"),
    "webhooks.demo": (1, "trade"),
    "webhooks.housekeeping": (3600, "training"),
    "brokers.sweep_orders": (2, "trade"),
    "brokers.mark_equity": (10, "training"),
    "memory.resolve_all": (10, "training"),
    "mlmodels.watch_training": (5, "training"),
    "mlmodels.sweep_predictions": (10, "training"),
    "mlmodels.watch_skill": (3600, "training"),
    "mlmodels.forget_predictions": (3600, "training"),
    "dashboard.reconcile": (600, "training"),
    "market.remove_old": (3600, "training"),
    "brokers.remove_old": (3600, "training"),
    "mlmodels.remove_old": (3600, "training"),
    "dashboard.remove_old": (3600, "training"),
}
CELERY_BEAT_SCHEDULE = {
    name: {"task": name, "schedule": float(seconds), "options": {"queue": queue, "expires": seconds}}
    for name, (seconds, queue) in _SWEEPS.items()
}
# A sign of life through each queue; see dashboard.tasks.
CELERY_BEAT_SCHEDULE |= {
    f"dashboard.heartbeat.{queue}": {
        "task": "dashboard.heartbeat",
        "args": [queue],
        "schedule": 10.0,
        "options": {"queue": queue, "expires": 10},
    }
    for queue in ("trade", "training")
}

# For the limits of attempts to sign in, and for nothing else.
CACHES = {
    "default": {
        "BACKEND": "dashboard.accounts.attempts.AttemptsCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "sign-in",
        "OPTIONS": {
            "serializer": "dashboard.accounts.attempts.JsonSerializer",
            "socket_timeout": 1,
            "socket_connect_timeout": 1,
        },
    }
}
SESSION_ENGINE = "dashboard.accounts.sessions"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
    "algotrendy.permissions.RoleBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "dashboard.accounts.sign_in.ClosedSignupAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_REAUTHENTICATION_TIMEOUT = 300
MFA_ADAPTER = "dashboard.accounts.sign_in.SealedFactors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "AlgoTrendy"
# Passkeys need a secure context: HTTPS, or localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE_COOKIES
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("htmx", BASE_DIR / "node_modules" / "htmx.org" / "dist"),
    ("lightweight-charts", BASE_DIR / "node_modules" / "lightweight-charts" / "dist"),
    ("uplot", BASE_DIR / "node_modules" / "uplot" / "dist"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
# An update under a running desk would otherwise be served with the lengths of the old files.
WHITENOISE_AUTOREFRESH = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = SECURE_COOKIES
CSRF_COOKIE_SECURE = SECURE_COOKIES
if SECURE_COOKIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31_536_000

LOGGING = logs.configure(level=env.str("LOG_LEVEL", "INFO"), json=env.str("LOG_FORMAT", "text") == "json")
