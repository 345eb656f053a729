"""The product's settings; static files have plain names, so that none need be collected."""

from koalapanel.settings import *  # noqa: F403

STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
