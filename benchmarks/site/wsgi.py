"""What granian loads: the site with nothing in front of the view but the limiter under test.

The product's list is replaced only once Django is set up, because an app may insist on its own middleware.
"""

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

django.setup(set_prefix=False)
guarded = os.environ["BENCHMARK_LIMITER"] == "guard"
settings.MIDDLEWARE = ["usage.guard.middleware.GuardMiddleware"] if guarded else []

from usage.guard.wsgi import GuardedApplication  # noqa: E402  (once Django is set up)

application = GuardedApplication(WSGIHandler()) if guarded else WSGIHandler()
