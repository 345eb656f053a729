"""The environment, read once and strictly: every variable KoalaPanel knows is a field of `Environment`.

Each has a line in `docs/configuration.md` (a test holds the two together). A value that can't be parsed
stops the process with one sentence that names the variable.
"""

import json
import os
import re
import secrets
import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email
from redis import ConnectionPool

from koalapanel.made_once import made_once
from koalapanel.s3_url import checked_s3_url
from koalapanel.signing_key import checked

BASE_DIR = Path(__file__).resolve().parent.parent

# The longest path that fits into a Unix socket's address on every platform (macOS: 104 bytes with the NUL).
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Environment:
    """What the process was told by its environment, parsed and defaulted."""

    VAR_DIR: Path
    SECRET_KEY: str
    KEY_PEPPERS: dict[int, bytes]
    DATABASE_URL: str
    REDIS_URL: str
    LIMITS_URL: str
    LIMITS_TIMEOUT_MS: int
    BASE_URL: str
    ALLOWED_HOSTS: list[str]
    TRUSTED_PROXIES: list[IPv4Network | IPv6Network]
    IPV6_PREFIX: int
    UPLOAD_MAX_BYTES: int
    IMAGE_MAX_PIXELS: int
    JOB_WAIT_SECONDS: int
    POOL_QUEUE_LIMIT: int
    JOB_MEMORY_BYTES: int
    DISK_RESERVE_BYTES: int
    WEB_WORKERS: int
    WEB_THREADS: int
    WORKER_PROCESSES: int
    WEBHOOK_ALLOW_LOOPBACK: bool
    X_ACCEL_PREFIX: str
    S3_URL: str
    KEYS_PER_ACCOUNT: int
    REQUIRE_STAFF_MFA: bool
    OIDC_SIGNING_KEY: str
    CONTACT_EMAIL: str
    EMAIL_URL: str
    EMAIL_TIMEOUT: int
    DEFAULT_FROM_EMAIL: str

    @classmethod
    def names(cls) -> list[str]:
        return [field.name for field in fields(cls)]


def read_environment() -> Environment:
    """Parse `os.environ`; raises `ImproperlyConfigured` naming the variable that is wrong."""
    env = environ.Env()
    var_dir = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
    embedded_store = f"unix://{store_socket(var_dir)}"
    redis_url = env.str("REDIS_URL", default=embedded_store)
    database_url = env.str("DATABASE_URL", default=f"sqlite:///{var_dir / 'db.sqlite3'}")
    embedded = "REDIS_URL" not in os.environ and "DATABASE_URL" not in os.environ
    kept = _secrets_kept_under(var_dir) if embedded else {}
    return Environment(
        VAR_DIR=var_dir,
        SECRET_KEY=_secret("SECRET_KEY", kept),
        KEY_PEPPERS=_peppers(_secret("KEY_PEPPERS", kept)),
        DATABASE_URL=_address("DATABASE_URL", database_url, env.db_url_config),
        REDIS_URL=_address("REDIS_URL", redis_url, ConnectionPool.from_url),
        LIMITS_URL=_address("LIMITS_URL", env.str("LIMITS_URL", default=redis_url), ConnectionPool.from_url),
        LIMITS_TIMEOUT_MS=_positive(env, "LIMITS_TIMEOUT_MS", 50),
        BASE_URL=env.str("BASE_URL", default="http://127.0.0.1:8000").rstrip("/"),
        ALLOWED_HOSTS=env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]"]),
        TRUSTED_PROXIES=_networks(env.list("TRUSTED_PROXIES", default=[])),
        IPV6_PREFIX=_positive(env, "IPV6_PREFIX", 56, largest=128),
        UPLOAD_MAX_BYTES=_positive(env, "UPLOAD_MAX_BYTES", 25 * 1024 * 1024),
        IMAGE_MAX_PIXELS=_positive(env, "IMAGE_MAX_PIXELS", 50_000_000),
        JOB_WAIT_SECONDS=_positive(env, "JOB_WAIT_SECONDS", 10),
        POOL_QUEUE_LIMIT=_positive(env, "POOL_QUEUE_LIMIT", 10_000),
        JOB_MEMORY_BYTES=_positive(env, "JOB_MEMORY_BYTES", 3 * 1024**3),
        DISK_RESERVE_BYTES=_positive(env, "DISK_RESERVE_BYTES", 512 * 1024**2),
        WEB_WORKERS=_positive(env, "WEB_WORKERS", 1),
        WEB_THREADS=_positive(env, "WEB_THREADS", 32),
        WORKER_PROCESSES=_positive(env, "WORKER_PROCESSES", 2),
        WEBHOOK_ALLOW_LOOPBACK=_yes_or_no("WEBHOOK_ALLOW_LOOPBACK", False),
        X_ACCEL_PREFIX=_x_accel_prefix("X_ACCEL_PREFIX"),
        S3_URL=checked_s3_url(env.str("S3_URL", default="").strip()),
        KEYS_PER_ACCOUNT=_positive(env, "KEYS_PER_ACCOUNT", 20),
        REQUIRE_STAFF_MFA=_yes_or_no("REQUIRE_STAFF_MFA", False),
        OIDC_SIGNING_KEY=_signing_key("OIDC_SIGNING_KEY"),
        CONTACT_EMAIL=_email("CONTACT_EMAIL"),
        EMAIL_URL=_address("EMAIL_URL", env.str("EMAIL_URL", default="consolemail://"), env.email_url_config),
        EMAIL_TIMEOUT=_positive(env, "EMAIL_TIMEOUT", 10, largest=30),
        DEFAULT_FROM_EMAIL=env.str("DEFAULT_FROM_EMAIL", default="KoalaPanel <koalapanel@localhost>"),
    )


def store_socket(var_dir: Path) -> Path:
    """Where the embedded limit store listens: the same place for every command that shares `VAR_DIR`."""
    path = var_dir / "valkey.sock"
    if len(str(path)) > LONGEST_SOCKET_PATH:
        raise ImproperlyConfigured(
            f"VAR_DIR is too long a path for a socket ({len(str(path))} > {LONGEST_SOCKET_PATH} characters): "
            f"choose a shorter one than {var_dir}, or set REDIS_URL."
        )
    return path


def _secrets_kept_under(var_dir: Path) -> dict[str, str]:
    """The embedded server's secrets: made on first use, readable by their owner alone."""
    path = var_dir / "secrets.json"
    kept: dict[str, str] = json.loads(made_once(path, _make_secrets))
    return kept


def _make_secrets() -> str:
    return json.dumps({"SECRET_KEY": secrets.token_urlsafe(48), "KEY_PEPPERS": f"1:{secrets.token_hex(32)}"})


def _secret(name: str, kept: dict[str, str]) -> str:
    value = os.environ.get(name) or kept.get(name)
    if not value:
        raise ImproperlyConfigured(f"Set {name}: with DATABASE_URL or REDIS_URL set, no secret is made up.")
    return value


def _signing_key(name: str) -> str:
    """The key as it was told, if it is one; empty without."""
    text = os.environ.get(name, "").strip()
    if text:
        checked(text, name)
    return text


def _peppers(text: str) -> dict[int, bytes]:
    """`"1:aabb…,2:ccdd…"` as version → bytes; at least 16 bytes each, in hexadecimal."""
    peppers: dict[int, bytes] = {}
    for part in text.split(","):
        version, _, pepper = part.strip().partition(":")
        try:
            peppers[int(version)] = bytes.fromhex(pepper)
        except ValueError:
            raise ImproperlyConfigured('KEY_PEPPERS must look like "1:HEX,2:HEX".') from None
        if len(pepper) < 32:
            raise ImproperlyConfigured(f"KEY_PEPPERS: pepper {version} is shorter than 16 bytes.")
    return peppers


def _address(name: str, text: str, parse: Callable[[str], object]) -> str:
    """`text`, if `parse` can make something of it."""
    with warnings.catch_warnings(action="ignore"):  # it warns of what we refuse
        try:
            understood = bool(parse(text))
        except Exception:
            understood = False
    if not understood:
        # Not the value itself: it may hold a password.
        raise ImproperlyConfigured(f"{name} is no address of a kind we know.")
    return text


def _email(name: str) -> str:
    """One address, as in `help@example.com`; empty without."""
    text = os.environ.get(name, "").strip()
    try:
        if text:
            validate_email(text)
    except ValidationError:
        raise ImproperlyConfigured(f"{name} must be one email address, not {text!r}.") from None
    return text


def _networks(texts: list[str]) -> list[IPv4Network | IPv6Network]:
    try:
        return [ip_network(text.strip()) for text in texts if text.strip()]
    except ValueError as error:
        raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}.") from None


def _x_accel_prefix(name: str) -> str:
    """A location of nginx, as in `/protected/`; empty without."""
    text = os.environ.get(name, "").strip()
    if text and not re.fullmatch(r"/([A-Za-z0-9_-]+/)+", text):
        raise ImproperlyConfigured(
            f"{name} must begin and end with a slash, as in /protected/, not be {text!r}."
        )
    if text and os.environ.get("S3_URL", "").strip():
        raise ImproperlyConfigured(f"{name} has nothing to hand out where S3_URL is set: unset one of them.")
    return text


def _yes_or_no(name: str, default: bool) -> bool:
    """By hand: django-environ reads whatever it doesn't know as no."""
    text = os.environ.get(name, "").strip().lower()
    if text in ("", "yes", "true", "on", "1", "no", "false", "off", "0"):
        return text in ("yes", "true", "on", "1") if text else default
    raise ImproperlyConfigured(f"{name} must be yes or no, not {os.environ[name]!r}.")


def _positive(env: environ.Env, name: str, default: int, largest: int | None = None) -> int:
    try:
        value: int = env.int(name, default=default)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {os.environ[name]!r}.") from None
    if value < 1 or (largest is not None and value > largest):
        bound = "at least 1" if largest is None else f"from 1 to {largest}"
        raise ImproperlyConfigured(f"{name} must be {bound}, not {value}.")
    return value
