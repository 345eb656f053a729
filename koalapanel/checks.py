"""What is refused at start: a cache or a limit store on which limits would be counted wrongly, or forgotten.

Every `manage.py` command runs these; a web or worker process runs no checks of Django's, and calls
`refuse_an_unfit_cache`. A server that can't be reached is no error: the panel explains itself without it.
"""

from collections.abc import Sequence
from typing import Any

import redis
from django.apps.config import AppConfig
from django.conf import settings
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, ProgrammingError
from django.utils.module_loading import import_string
from django_redis.cache import RedisCache
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.endpoint_limits.counts import CountsCache
from accounts.endpoint_limits.names import NAMES
from accounts.models import EndpointLimit

OLDEST_STORE = 7  # of Redis
PATIENCE = 0.5  # seconds for the limit store to connect, and to answer

_UNFIT = {
    LocMemCache: "each process has one of its own, so a limit would hold once per process",
    DummyCache: "it keeps nothing, so nothing would ever be refused",
    FileBasedCache: "it can't count atomically, so requests at the same moment would count as one",
    DatabaseCache: "it can't count atomically, so requests at the same moment would count as one",
}


@register(Tags.caches)
def check_cache(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Sign-in is limited, and ended jobs are told, by way of the default cache: it must be shared."""
    name = str(settings.CACHES["default"]["BACKEND"])
    backend = import_string(name)
    if issubclass(backend, RedisCache):
        return []
    reasons = [reason for unfit, reason in _UNFIT.items() if issubclass(backend, unfit)]
    reason = reasons[0] if reasons else "it doesn't give us its connection, over which ended jobs are told"
    return [
        Error(
            f"The default cache can't be {name}: {reason}.",
            hint="Use django_redis.cache.RedisCache on REDIS_URL, as koalapanel/settings.py does.",
            id="koalapanel.E001",
        )
    ]


@register(Tags.caches)
def check_counts_cache(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Endpoint limits are counted where two processes can't both be the first, nor a count last for ever."""
    alias = settings.RATELIMIT_USE_CACHE
    name = str(settings.CACHES.get(alias, {}).get("BACKEND", "none"))
    if alias in settings.CACHES and issubclass(import_string(name), CountsCache):
        return []
    return [
        Error(
            f"The cache {alias!r}, in which endpoint limits are counted, can't be {name}.",
            hint="Use accounts.endpoint_limits.counts.CountsCache, as koalapanel/settings.py does.",
            id="koalapanel.E004",
        )
    ]


@register(Tags.database)
def check_endpoint_limits(
    app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Each endpoint limit that code knows has its row; asked by `migrate` and `check --database default`."""
    if not databases:
        return []
    try:
        rows = set(EndpointLimit.objects.values_list("name", flat=True))
    except (OperationalError, ProgrammingError):
        return []  # before the migration that makes the table
    return [
        Warning(
            f"The endpoint limit {name!r} has no row: nothing is refused by it.",
            hint="Add it in the admin. To have no limit on purpose, leave its number of requests empty.",
            id="koalapanel.W001",
        )
        for name in NAMES
        if name not in rows
    ]


@register(Tags.caches)
def check_limit_store(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """The limit store's version and what it does when its memory is full, where it can be reached."""
    store = redis.Redis.from_url(
        settings.LIMITS_URL,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        # Not CONFIG GET, which hosted servers forbid.
        facts = store.info()
    except redis.RedisError:
        return []
    finally:
        store.close()
    errors: list[CheckMessage] = []
    version = str(facts["redis_version"])  # of the Redis it is compatible with, in a Valkey's answer
    if int(version.partition(".")[0]) < OLDEST_STORE:
        errors.append(
            Error(
                f"The limit store is Redis {version}, which is too old.",
                hint=f"Point LIMITS_URL (or REDIS_URL) to a Valkey, or to Redis {OLDEST_STORE} or newer.",
                id="koalapanel.E002",
            )
        )
    if (policy := facts["maxmemory_policy"]) != "noeviction":
        errors.append(
            Error(
                f"The limit store may forget limits and blocks: its maxmemory-policy is {policy}.",
                hint="Set it to noeviction, or point LIMITS_URL to a server of its own.",
                id="koalapanel.E003",
            )
        )
    return errors


def refuse_an_unfit_cache() -> None:
    """Raise `ImproperlyConfigured` for a cache on which this process would count wrongly."""
    for error in (*check_cache(), *check_counts_cache()):
        raise ImproperlyConfigured(f"{error.msg} {error.hint}")
