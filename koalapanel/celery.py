"""What the worker and beat load: `celery -A koalapanel worker`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koalapanel.settings")

app = Celery("koalapanel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
