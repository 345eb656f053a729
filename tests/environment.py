"""Loaded by pytest before Django reads its settings: the tests' own VAR_DIR, removed at the end."""

import atexit
import os
import shutil
import tempfile

VAR_DIR = tempfile.mkdtemp(prefix="koala-test-")
os.environ["VAR_DIR"] = VAR_DIR
for name in ("DATABASE_URL", "REDIS_URL", "LIMITS_URL", "SECRET_KEY", "KEY_PEPPERS", "BASE_URL"):
    os.environ.pop(name, None)
# Playwright's event loop runs in the main thread; Django's guard against SQL in one is meant for servers.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
atexit.register(shutil.rmtree, VAR_DIR, ignore_errors=True)
