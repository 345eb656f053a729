"""Django's settings: one file for every way KoalaPanel runs. What varies comes from `koalapanel.env`."""

from urllib.parse import urlsplit

import django_stubs_ext
import environ
from csp.constants import NONE, SELF
from django.utils.functional import SimpleLazyObject

from koalapanel.env import BASE_DIR, read_environment
from koalapanel.s3_url import s3_options
from koalapanel.signing_key import private_keys

# Lets classes name their model in brackets, as the type checker reads them: `ModelAdmin[Tier]`.
django_stubs_ext.monkeypatch()

ENV = read_environment()

VAR_DIR = ENV.VAR_DIR
SECRET_KEY = ENV.SECRET_KEY
KEY_PEPPERS = ENV.KEY_PEPPERS
BASE_URL = ENV.BASE_URL
ALLOWED_HOSTS = ENV.ALLOWED_HOSTS
CSRF_TRUSTED_ORIGINS = [BASE_URL]
TRUSTED_PROXIES = ENV.TRUSTED_PROXIES
IPV6_PREFIX = ENV.IPV6_PREFIX
UPLOAD_MAX_BYTES = ENV.UPLOAD_MAX_BYTES
IMAGE_MAX_PIXELS = ENV.IMAGE_MAX_PIXELS
JOB_WAIT_SECONDS = ENV.JOB_WAIT_SECONDS
POOL_QUEUE_LIMIT = ENV.POOL_QUEUE_LIMIT
JOB_MEMORY_BYTES = ENV.JOB_MEMORY_BYTES
DISK_RESERVE_BYTES = ENV.DISK_RESERVE_BYTES
WEBHOOK_ALLOW_LOOPBACK = ENV.WEBHOOK_ALLOW_LOOPBACK
X_ACCEL_PREFIX = ENV.X_ACCEL_PREFIX
S3_URL = ENV.S3_URL
WEB_WORKERS = ENV.WEB_WORKERS
WEB_THREADS = ENV.WEB_THREADS
KEYS_PER_ACCOUNT = ENV.KEYS_PER_ACCOUNT
REQUIRE_STAFF_MFA = ENV.REQUIRE_STAFF_MFA
CONTACT_EMAIL = ENV.CONTACT_EMAIL
DEBUG = False

# --- What it is made of ----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "koalapanel",
    "images",
    "usage",
    "accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.idp.oidc",
    "django_htmx",
    "csp",
]

MIDDLEWARE = [
    # The guard comes first: a refused request costs nothing of what stands below it.
    "usage.guard.middleware.GuardMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "accounts.account.last_seen.LastSeenMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "accounts.sign_in.staff_mfa.StaffMFAMiddleware",
    "usage.endpoint_limits.middleware.EndpointLimitMiddleware",
    "koalapanel.store_down.StoreDownMiddleware",
    "koalapanel.unfit_queries.UnfitQueryMiddleware",
]

ROOT_URLCONF = "koalapanel.urls"
WSGI_APPLICATION = "koalapanel.wsgi.application"
APPEND_SLASH = True

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
            ],
        },
    },
]

# --- Where things are kept -------------------------------------------------------------------------------

DATABASES = {"default": environ.Env.db_url_config(ENV.DATABASE_URL)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        # Readers never wait for the writer; a writer takes its lock at BEGIN, so that two of them queue up
        # instead of failing half-way (at the cost that a transaction that only reads takes the lock, too).
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
    # A file, not memory: the tests' worker processes and servers look at the same database.
    DATABASES["default"]["TEST"] = {"NAME": VAR_DIR / "test.sqlite3"}
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Seconds. To open SQLite anew for each request and each job cost a conversion 4 ms of 50.
DATABASES["default"]["CONN_MAX_AGE"] = 60

LIMITS_URL = ENV.LIMITS_URL
LIMITS_TIMEOUT_MS = ENV.LIMITS_TIMEOUT_MS

_CACHE = {
    "LOCATION": ENV.REDIS_URL,
    "KEY_PREFIX": "kpcache",
    "OPTIONS": {
        # A store that is away costs a page this long, once: redis-py's connection tries nothing twice.
        # Silence must last longer than one of `images.queue.endings`' waits, which share these connections.
        "SOCKET_CONNECT_TIMEOUT": 0.5,
        "SOCKET_TIMEOUT": 1.0,
    },
}
CACHES = {
    "default": {"BACKEND": "django_redis.cache.RedisCache", **_CACHE},
    "endpoint_limits": {"BACKEND": "accounts.endpoint_limits.counts.CountsCache", **_CACHE},
}
RATELIMIT_USE_CACHE = "endpoint_limits"

# nginx, which hands out files by X-Accel-Redirect, reads them as a member of our group.
_FILES, _FOLDERS = (0o640, 0o750) if X_ACCEL_PREFIX else (0o600, 0o700)
STORAGES: dict[str, dict[str, object]] = {
    # Uploads and results: never served by path, only through a download's token.
    "default": {
        "BACKEND": "images.local_files.LocalFiles",
        "OPTIONS": {
            "location": VAR_DIR / "files",
            "file_permissions_mode": _FILES,
            "directory_permissions_mode": _FOLDERS,
        },
    },
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if S3_URL:
    STORAGES["default"] = {"BACKEND": "images.bucket.Bucket", "OPTIONS": s3_options(S3_URL)}
STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]

# --- The worker ------------------------------------------------------------------------------------------


def _broker_url(redis_url: str) -> str:
    """Celery's spelling of a Redis address: a socket is `redis+socket://`, not `unix://`."""
    # By hand: urlunsplit() would leave out the "//" of a scheme it doesn't know.
    return f"redis+socket{redis_url.removeprefix('unix')}" if redis_url.startswith("unix://") else redis_url


CELERY_BROKER_URL = _broker_url(ENV.REDIS_URL)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": "kpqueue:",
    # Seconds after which the broker takes back a message that a worker never acknowledged.
    "visibility_timeout": 210,
}
CELERY_TASK_ROUTES = {"images.tasks.work": {"queue": "images"}}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True  # SQL holds what became of a job
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, object]] = {
    # Expires: a worker that was away finds one of them waiting, not a day of them.
    "recover jobs": {
        "task": "images.tasks.recover_jobs",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "remove what is over": {
        "task": "images.tasks.remove_what_is_over",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "mend queues": {"task": "images.tasks.mend_queues", "schedule": 60.0, "options": {"expires": 60}},
    "remove orphans": {
        "task": "images.tasks.remove_orphans",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "send webhooks": {
        "task": "images.send_webhooks",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "forget old webhooks": {
        "task": "images.tasks.forget_old_webhooks",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "book closed minutes": {
        "task": "usage.book_closed_minutes",
        "schedule": 10.0,
        "options": {"expires": 10},
    },
    "total what is booked": {
        "task": "usage.total_what_is_booked",
        "schedule": 15.0,
        "options": {"expires": 15},
    },
    "book last uses": {
        "task": "usage.book_last_uses",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "follow changes of the ladder": {
        "task": "usage.follow_changes",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
    "announce the ladder": {
        "task": "usage.announce_ladder",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "forget what is old": {
        "task": "usage.forget_what_is_old",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "owe mail about keys that end": {
        "task": "usage.owe_expiry_notices",
        "schedule": 3600.0,
        "options": {"expires": 3600},
    },
    "run a replay": {
        "task": "usage.run_replay",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "send the mail that is owed": {
        "task": "usage.send_mail",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
}

# --- People ----------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.sign_in.backend.EmailBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_ADAPTER = "accounts.sign_in.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_FORMS = {
    "signup": "accounts.sign_in.sign_up_form.SignUpForm",
    "login": "accounts.sign_in.sign_in_form.SignInForm",
    "reset_password": "accounts.sign_in.password_forms.ForgottenPasswordForm",
    "reset_password_from_key": "accounts.sign_in.password_forms.NewPasswordForm",
    "change_password": "accounts.sign_in.password_forms.ChangedPasswordForm",
    "set_password": "accounts.sign_in.password_forms.FirstPasswordForm",
    "add_email": "accounts.sign_in.change_address_form.ChangeAddressForm",
}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True  # a letter after each change of what opens the account
ACCOUNT_CHANGE_EMAIL = True  # one address an account: a new one replaces the old when it is verified
ACCOUNT_REAUTHENTICATION_REQUIRED = True  # an open browser alone doesn't change the address
# Strict: an address that another account only asks for keeps nobody from signing up with it.
ACCOUNT_PREVENT_ENUMERATION = "strict"
# Requests of one network are counted by our own endpoint limits, whose wait can be told; allauth's windows
# slide, and would refuse what ours admit. Its counts stay where ours don't look: whom it is about.
ACCOUNT_RATE_LIMITS = {
    "login": None,  # the endpoint limit `login`
    # Wrong passwords for one address from anywhere, whether or not it has an account. Whoever is kept out by
    # somebody else's guessing sets a new password, which clears the count.
    "login_failed": "50/h/key",
    "reauthenticate": None,  # the endpoint limit `login`, and what is wrong counts as `login_failed`
    # No endpoint limit of ours: accounts and letters made by one network.
    "signup": "10/m/ip,100/h/ip",
    # Letters to one address, beside the endpoint limit `password_reset`, which admits up to 30 in an hour.
    "reset_password": "30/h/key",
    # New passwords by one link, nearly all of them refused for being too simple.
    "reset_password_from_key": "20/m/ip",
    # Letters with a link to verify one address. More is not refused: the last link still works.
    "confirm_email": "1/m/key,10/h/key",
    # Guesses at the present password by whoever found a browser open.
    "change_password": "5/m/user,20/h/user",
    # Wrong codes of one account's second factor, by whoever has its password. Three of a million are right at
    # any time: so many a day hit one in 30 years.
    "second_factor": "10/h/key,30/d/key",
    # Letters to addresses that somebody says are theirs.
    "manage_email": "10/h/user",
}
ALLAUTH_RATE_LIMIT_IPV6_PREFIX = IPV6_PREFIX
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = None  # the sign-in page asks
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "usage"
LOGOUT_REDIRECT_URL = "account_login"

MFA_ADAPTER = "accounts.account.two_factor.adapter.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "KoalaPanel"
MFA_TOTP_TOLERANCE = 1  # periods of 30 s on either side, for a phone whose clock is off
# Nobody is in before an address is verified. Another one that waits for it is no reason to refuse a factor,
# nor is a factor one to refuse a change of the address.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_FORMS = {
    "authenticate": "accounts.account.two_factor.forms.SignInCodeForm",
    "authenticate_webauthn": "accounts.account.two_factor.forms.SignInKeyForm",
    "reauthenticate": "accounts.account.two_factor.forms.ConfirmCodeForm",
    "reauthenticate_webauthn": "accounts.account.two_factor.forms.ConfirmKeyForm",
    "activate_totp": "accounts.account.two_factor.forms.SetUpAppForm",
    "add_webauthn": "accounts.account.two_factor.forms.AddKeyForm",
    "edit_webauthn": "accounts.account.two_factor.forms.RenameKeyForm",
}
# Not MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN: it takes a key's answer that was given to any site whatever, and
# http://localhost, which browsers trust, works without it.
USERSESSIONS_TRACK_ACTIVITY = False  # a write for each request; see accounts.account.last_seen

# --- Signing in to other services (docs/decisions/0015-identity-provider.md) -------------------------------

IDP_OIDC_ADAPTER = "accounts.identity.adapter.IdentityAdapter"
# Found, and the first time made, when the first token is signed or somebody asks for the keys.
IDP_OIDC_PRIVATE_KEYS = SimpleLazyObject(lambda: private_keys(ENV.OIDC_SIGNING_KEY, VAR_DIR))
IDP_OIDC_AUTHORIZATION_CODE_EXPIRES_IN = 60
IDP_OIDC_ID_TOKEN_EXPIRES_IN = 5 * 60
IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN = 60 * 60
IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN = 30 * 24 * 60 * 60  # from its last use: each use gives a new one
IDP_OIDC_ROTATE_REFRESH_TOKEN = True

vars().update(environ.Env.email_url_config(ENV.EMAIL_URL))
EMAIL_TIMEOUT = ENV.EMAIL_TIMEOUT
DEFAULT_FROM_EMAIL = ENV.DEFAULT_FROM_EMAIL
SERVER_EMAIL = ENV.DEFAULT_FROM_EMAIL

# --- Language and time: stored and booked in UTC, shown in the viewer's zone -----------------------------

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = "koalapanel.formats"

# --- Safety ----------------------------------------------------------------------------------------------

_HTTPS = urlsplit(BASE_URL).scheme == "https"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],  # data: Tabler's own style sheets draw their checkboxes that way
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    },
}
# A form's text fields; a file's size is bounded where it is received.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # Not a line for each 4xx: refusals are counted, and a client that hammers must not fill the disk.
        "django.request": {"level": "ERROR"},
        # Nor for each webhook that a receiver, or its name, makes trouble for: the delivery log says what.
        "urllib3": {"level": "ERROR"},
        "requests_hardened": {"level": "ERROR"},
    },
}
