"""The settings the tests run under: the product's own, in a VAR_DIR that is removed at the end."""

import atexit
import os
import shutil
import tempfile

os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="koala-")
atexit.register(shutil.rmtree, os.environ["VAR_DIR"], ignore_errors=True)
for name in ("DATABASE_URL", "REDIS_URL", "LIMITS_URL", "SECRET_KEY", "KEY_PEPPERS", "BASE_URL"):
    os.environ.pop(name, None)
# Playwright's event loop runs in the main thread; Django's guard against SQL in one is meant for servers.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

from koalapanel.settings import *  # noqa: E402, F403

# Accounts are made by the hundred here; the product's hasher is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Served from where they are kept; the servers that tests start with `manage.py up` collect and hash them.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
