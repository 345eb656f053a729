"""What the worker and beat load: `celery -A koalapanel worker`."""

import os

from celery import Celery
from celery.signals import worker_ready

from koalapanel.up.worker_ready import announce_worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koalapanel.settings")

app = Celery("koalapanel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
worker_ready.connect(announce_worker_ready)
