"""Settings: everything an operator may change comes from the environment, with its reason here."""

import os
import re
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from kjxlkj import logs
from kjxlkj.secret_key import load_secret_key

# Lets classes of Django be written as the generics that their type stubs make them.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent


def _flag(name: str, *, default: bool = False) -> bool:
    return os.environ.get(name, str(default)).strip().lower() in {"1", "true", "yes", "on"}


def _words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def _count(name: str, default: int) -> int:
    given = os.environ.get(name, "").strip() or str(default)
    if not re.fullmatch(r"[0-9]{1,9}", given):
        raise ImproperlyConfigured(f"{name}: {given!r} is not a number of 0 or more.")
    return int(given)


def _address_or_none(name: str) -> str | None:
    given = os.environ.get(name, "").strip()
    if given and not re.fullmatch(r"https?://[!-~]+", given):
        raise ImproperlyConfigured(f"{name}: {given!r} is no address. Write it as in 'https://notes.example.com/'.")
    return given or None


# Everything that is not code: database, attachments, exports, secret key.
DATA_DIR = Path(os.environ.get("KJXLKJ_DATA_DIR") or BASE_DIR / "var").expanduser().resolve()

DEBUG = _flag("KJXLKJ_DEBUG")
SECRET_KEY = os.environ.get("KJXLKJ_SECRET_KEY") or load_secret_key(DATA_DIR)

# --- Who may ask ------------------------------------------------------------------------------------------
ALLOWED_HOSTS = _words("KJXLKJ_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _words("KJXLKJ_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "kjxlkj.admin_site.out_of_date"
# On behind a TLS proxy. Off by default: on http://localhost a secure cookie would never come back.
HTTPS = _flag("KJXLKJ_HTTPS")
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
# How many proxies of one's own stand before the web server: each adds to X-Forwarded-For who came to it, and only
# what they have added is believed. 0: whoever connects is who asks.
PROXIES = _count("KJXLKJ_PROXIES", 0)
SECURE_REFERRER_POLICY = "same-origin"

INSTALLED_APPS = [
    "kjxlkj.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "pgtrigger",
    "django_q",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "axes",
    "csp",
    "django_htmx",
    "kjxlkj.apps.ProjectConfig",
    "kjxlkj.jobs",
    "kjxlkj.workspaces",
    "kjxlkj.notes",
    "automation",
    "librarian",
    "exports",
]

MIDDLEWARE = [
    "kjxlkj.request_id.RequestIdMiddleware",
    "kjxlkj.origin.OriginMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    # Last, as its documentation asks: it turns a locked-out login into a response.
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "kjxlkj.urls"
WSGI_APPLICATION = "kjxlkj.wsgi.application"

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


# --- Database -----------------------------------------------------------------------------------------------
def _database() -> dict[str, Any]:
    url = os.environ.get("DATABASE_URL")
    if not url:
        return {
            "ENGINE": "kjxlkj.embedded_postgres",
            "NAME": "kjxlkj",
            "EMBEDDED_DATA_DIR": str(DATA_DIR / "postgres"),
        }
    scheme = url.partition(":")[0]
    if scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"DATABASE_URL: kjxlkj needs PostgreSQL 14 or newer and cannot use “{scheme}”. "
            "Give postgres://user:password@host:5432/name, or leave DATABASE_URL unset for the embedded server."
        )
    parsed = dj_database_url.parse(url)
    # A link that drops everything is noticed within a minute, not after the hours that TCP waits by itself.
    patience = {
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 50_000,  # ms
    }
    return {**parsed, "OPTIONS": {**patience, **parsed.get("OPTIONS", {})}}


DATABASES = {
    "default": {
        **_database(),
        # Workers and web threads live long; a restarted database is noticed at the next use.
        # No connection pool: workers fork.
        "CONN_MAX_AGE": 300,
        # A worker's first statement is a claim, which is made again where the connection turns out to be dead.
        "CONN_HEALTH_CHECKS": "KJXLKJ_CLUSTER" not in os.environ,
    }
}
if DATABASES["default"]["ENGINE"] == "kjxlkj.embedded_postgres":
    INSTALLED_APPS.append("kjxlkj.embedded_postgres")  # for its makemigrations, which starts no server
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- People ---------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "workspaces.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "home"
# Ten wrong passwords for one address and one account: a pause. Never by address alone (shared offices).
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "kjxlkj.origin.address_of"
AXES_USERNAME_FORM_FIELD = "username"
AXES_USERNAME_CALLABLE = "kjxlkj.workspaces.login.counted_name"
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "kjxlkj.workspaces.login.locked_out"
AXES_HTTP_RESPONSE_CODE = 429
AXES_VERBOSE = False

# --- Pages ------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
USE_I18N = True
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
# Served from where the apps keep them: an upgrade needs no collectstatic.
WHITENOISE_USE_FINDERS = True
# No 'unsafe-' anywhere; what a note contains can load nothing and run nothing.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

# --- Files ------------------------------------------------------------------------------------------------------
# Private: nothing below this folder is served but through a view that asks who is there.
MEDIA_ROOT = DATA_DIR / "files"


def _storage() -> dict[str, Any]:
    """Where attachments and exports are: in a folder, or in a bucket, whose keys boto3 finds by itself."""
    bucket = os.environ.get("KJXLKJ_S3_BUCKET", "").strip()
    if not bucket:
        return {"BACKEND": "django.core.files.storage.FileSystemStorage"}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}", bucket):
        raise ImproperlyConfigured(f"KJXLKJ_S3_BUCKET: {bucket!r} is no bucket's name. Give the name alone.")
    options = {
        "bucket_name": bucket,
        "location": os.environ.get("KJXLKJ_S3_PREFIX", "").strip().strip("/"),
        "endpoint_url": _address_or_none("KJXLKJ_S3_ENDPOINT_URL"),
        "region_name": os.environ.get("KJXLKJ_S3_REGION", "").strip() or None,
    }
    return {"BACKEND": "kjxlkj.s3.S3", "OPTIONS": options}


STORAGES = {
    "default": _storage(),
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# How long a link into the bucket opens a download. 0: no links, everything goes through us.
S3_LINK_SECONDS = _count("KJXLKJ_S3_LINK_SECONDS", 300)
_S3_LINK_MOST_SECONDS = 7 * 24 * 3600  # S3's own bound, of signatures of version 4
if S3_LINK_SECONDS > _S3_LINK_MOST_SECONDS:
    raise ImproperlyConfigured(
        f"KJXLKJ_S3_LINK_SECONDS: '{S3_LINK_SECONDS}' is no time that S3 allows. Give {_S3_LINK_MOST_SECONDS} or less."
    )
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
# A note of the largest size, escaped as JSON, with room to spare.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

# --- API --------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "knox.auth.TokenAuthentication",
        "kjxlkj.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["kjxlkj.parser.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "kjxlkj.pagination.Page",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "kjxlkj.envelope.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "kjxlkj",
    "DESCRIPTION": "Markdown notes, rules, proposed operations, review, exports.",
    "VERSION": "0.1.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "NoteKind": "kjxlkj.notes.models.NoteKind",
        "OperationKind": "librarian.models.OperationKind",
        "OperationStatus": "librarian.models.OperationStatus",
        "ExportKind": "exports.models.ExportKind",
        "JobStatus": "kjxlkj.jobs.models.JobStatus",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "kjxlkj.openapi.describe_errors",
    ],
}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token"}

# --- Limits -----------------------------------------------------------------------------------------------------
NOTE_BODY_MAX_BYTES = int(os.environ.get("KJXLKJ_NOTE_BODY_MAX_BYTES", 1024 * 1024))
ATTACHMENT_MAX_BYTES = int(os.environ.get("KJXLKJ_ATTACHMENT_MAX_BYTES", 100 * 1024 * 1024))
# A person waits for a preview, and a condition may take reading every text: no query of it takes longer.
PREVIEW_TIMEOUT_SECONDS = float(os.environ.get("KJXLKJ_PREVIEW_TIMEOUT_SECONDS", 10))


# --- Webhooks ---------------------------------------------------------------------------------------------------
def _hosts_and_networks(name: str) -> list[str]:
    words = [word.lower() for word in _words(name)]
    for word in words:
        if re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", word) and not re.fullmatch(r"[\d.]+", word):
            continue
        try:
            ip_network(word.replace("%", " "))  # zones are read, and mean nothing elsewhere
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name}: {error}, and no host. Name them as in '10.1.0.0/16,hooks.lan'."
            ) from error
    return words


# Which addresses that are not public rules may reach all the same: hosts, networks or single addresses.
WEBHOOK_ALLOW = _hosts_and_networks("KJXLKJ_WEBHOOK_ALLOW")


# --- Language models --------------------------------------------------------------------------------------------
def _number_or_none(name: str) -> float | None:
    given = os.environ.get(name, "").strip()
    try:
        number = float(given) if given else None
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {given!r} is not a number.") from error
    if number is not None and not 0 <= number < 1e12:
        raise ImproperlyConfigured(f"{name}: {given!r} is not a number of 0 or more.")
    return number


# Where rules may send notes to: the beginnings of addresses. This machine itself (loopback) is always allowed. Keys are
# read from the environment where they are used (`librarian.providers.keys`), and stand in no setting.
LLM_ALLOW = _words("KJXLKJ_LLM_ALLOW", "https://openrouter.ai/api/v1")
# An answer that is larger is cut off and refused, however much more would come.
LLM_ANSWER_BYTES = int(os.environ.get("KJXLKJ_LLM_ANSWER_BYTES", 8 * 1024 * 1024))
# What all rules together may use in a day. Unset: what the rules' own limits say.
_llm_tokens = _number_or_none("KJXLKJ_LLM_TOKENS_PER_DAY")
LLM_TOKENS_PER_DAY = None if _llm_tokens is None else int(_llm_tokens)
_llm_cost = _number_or_none("KJXLKJ_LLM_COST_PER_DAY")
LLM_COST_PER_DAY = None if _llm_cost is None else Decimal(str(_llm_cost))


# OpenRouter lists applications by their address. Where an installation is, is told to nobody unless somebody says so.
OPENROUTER_REFERER = _address_or_none("KJXLKJ_OPENROUTER_REFERER")


# --- Jobs -------------------------------------------------------------------------------------------------------
def _numbers(name: str, default: str = "", *, least: int = 0) -> dict[str, int]:
    """`default:2,long:1` as name → number."""
    numbers = {}
    for word in _words(name, default):
        key, _, number = word.partition(":")
        if not (re.fullmatch(r"[a-z0-9_-]{1,32}", key) and number.isdecimal() and int(number) >= least):
            number_of = f"a number of {least} or more" if least else "a number"
            raise ImproperlyConfigured(f"{name}: {word!r} is not a name and {number_of}, as in 'default:2,long:1'.")
        numbers[key] = int(number)
    return numbers


def _queues() -> dict[str, int]:
    """Each queue with the number of its worker processes on this host; 0: other hosts serve it."""
    queues = _numbers("KJXLKJ_QUEUES", "default:2")
    if "default" not in queues:
        raise ImproperlyConfigured(
            "KJXLKJ_QUEUES needs a queue named 'default': it takes the jobs of all queues that are not named. "
            "Name it 'default:0' where other hosts serve it."
        )
    return queues


# Jobs ask for `default`, `long` (exports) or `llm` (runs that wait for somebody else: a model, a webhook's receiver);
# a queue that is not named here is served by the default one. Two workers at least, so that one long export does not
# hold up everything else.
JOB_QUEUES = _queues()
# How many requests each server of a kind of provider gets at once, over all runs and hosts; offline, as many as there
# are workers where it is not named. A run that finds no free slot goes back to the queue for a moment, and no worker
# waits for it. LM Studio answers one after the other unless told otherwise.
PROVIDER_SLOTS = {
    "lmstudio": 1,
    "openrouter": 8,
    "openai_compatible": 4,
    **_numbers("KJXLKJ_PROVIDER_SLOTS", least=1),
}
# A worker that has not renewed its lease for so long is taken for dead; it renews six times as often.
JOB_LEASE_SECONDS = float(os.environ.get("KJXLKJ_JOB_LEASE_SECONDS", 60))
# No attempt takes longer: a job that hangs gives its worker back.
JOB_TIMEOUT_SECONDS = int(os.environ.get("KJXLKJ_JOB_TIMEOUT_SECONDS", 1800))
# A worker that needs more gets a MemoryError, before the kernel kills whatever is largest. By default half of the
# machine's memory: what a container is allowed is not known here.
JOB_MEMORY_MB = int(
    os.environ.get("KJXLKJ_JOB_MEMORY_MB", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**21)
)
JOB_SWEEP_SECONDS = float(os.environ.get("KJXLKJ_JOB_SWEEP_SECONDS", 15))
JOB_CANARY_SECONDS = float(os.environ.get("KJXLKJ_JOB_CANARY_SECONDS", 5))
# A cluster that answers no canary for so long, with a worker free to do it, is killed and started anew.
JOB_STALL_SECONDS = float(os.environ.get("KJXLKJ_JOB_STALL_SECONDS", 20))
# What running jobs are given to end by themselves when everything stops.
JOB_GRACE_SECONDS = float(os.environ.get("KJXLKJ_JOB_GRACE_SECONDS", 20))

# Finished runs that are kept of each rule and kind of result; of what people decided about, all are.
RUNS_KEPT = int(os.environ.get("KJXLKJ_RUNS_KEPT", 200))

# Backups, and Markdown archives of each workspace, that are kept, and for how many days. 0: no such limit. The last one
# is kept in any case, and so is the last backup that was restored to check it.
KEEP_BACKUPS = _count("KJXLKJ_KEEP_BACKUPS", 14)
KEEP_BACKUPS_DAYS = _count("KJXLKJ_KEEP_BACKUPS_DAYS", 90)
KEEP_ARCHIVES = _count("KJXLKJ_KEEP_ARCHIVES", 10)
KEEP_ARCHIVES_DAYS = _count("KJXLKJ_KEEP_ARCHIVES_DAYS", 30)

# Whether each decision keeps how long it took, by key or by click, and how much of the proposal was edited.
REVIEW_TIMES = _flag("KJXLKJ_REVIEW_TIMES", default=True)

# Whether each backup is restored into a database of its own, right after it was made, to see whether it comes back.
VERIFY_BACKUPS = _flag("KJXLKJ_VERIFY_BACKUPS", default=True)

# Two messages more than workers are taken ahead of time, and their lock ticks meanwhile. Jobs do not depend on this
# redelivery: their leases and the sweep are quicker.
JOB_REDELIVERY_SECONDS = 2 * JOB_TIMEOUT_SECONDS + 60

Q_CLUSTER = {
    # Name of the default queue, and salt of the signatures: every cluster of an installation has the same.
    "name": "default",
    "workers": JOB_QUEUES["default"] or 1,
    "ALT_CLUSTERS": {name: {"workers": workers or 1} for name, workers in JOB_QUEUES.items() if name != "default"},
    # The same database as the data: a job and its wake-up call commit together.
    "orm": "default",
    "broker_class": "kjxlkj.jobs.broker.NotifyingBroker",
    # Seconds between looks into the queue when nothing is told, and what an orderly stop may have to wait for.
    "poll": 1,
    "timeout": JOB_TIMEOUT_SECONDS,
    "retry": JOB_REDELIVERY_SECONDS,
    # Few messages wait in one cluster while another is idle.
    "bulk": 1,
    "queue_limit": 1,
    # Our rows hold results and count attempts. With saved successes each one would lock and load all the others.
    "save_limit": -1,
    "max_attempts": 1,
    "ack_failures": True,
    # A schedule that was missed runs once, not once for each time it was missed.
    "catch_up": False,
    # A worker is replaced for the memory that it keeps: after many jobs, or one that took much. While it is, up to half
    # a second, one is missing.
    "recycle": 5000,
    "max_rss": JOB_MEMORY_MB * 1024 // 2 or None,  # kB
    "log_level": "WARNING",
}

LOGGING = logs.configuration()
