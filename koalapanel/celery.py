"""What the worker and beat load: `celery -A koalapanel worker`."""

import os

from celery import Celery
from celery.signals import worker_init, worker_ready
from django.core.exceptions import ImproperlyConfigured

from koalapanel.up.worker_ready import announce_worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koalapanel.settings")

app = Celery("koalapanel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
worker_ready.connect(announce_worker_ready)


@worker_init.connect
def refuse_to_start(**signal: object) -> None:
    """End a worker on a cache that isn't fit. What Django's checks say, Celery runs and doesn't heed."""
    from koalapanel.checks import refuse_an_unfit_cache

    try:
        refuse_an_unfit_cache()
    except ImproperlyConfigured as error:
        raise SystemExit(f"Configuration: {error}") from None  # any other exception, the signal would swallow
