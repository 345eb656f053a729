"""The settings the tests run under: the product's own, in a VAR_DIR that is removed at the end.

On SQLite, unless TESTS_DATABASE_URL names a database of a PostgreSQL (`tests.on_postgresql`), which is not
touched: the tests make one beside it. What the developer's own environment says of a panel is not heard.
"""

import atexit
import os
import shutil
import tempfile

from koalapanel.env import Environment

for name in Environment.names():
    os.environ.pop(name, None)
os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="koala-")
atexit.register(shutil.rmtree, os.environ["VAR_DIR"], ignore_errors=True)
if url := os.environ.get("TESTS_DATABASE_URL"):
    os.environ |= {"DATABASE_URL": url, "SECRET_KEY": "tests", "KEY_PEPPERS": "1:" + "5a" * 32}
# Playwright's event loop runs in the main thread; Django's guard against SQL in one is meant for servers.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

from koalapanel.settings import *  # noqa: E402, F403

# Accounts are made by the hundred here; the product's hasher is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Served from where they are kept; the servers that tests start with `manage.py up` collect and hash them.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}  # noqa: F405
