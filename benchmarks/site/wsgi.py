"""What granian loads: the site with no middleware but the one under test.

The product's list is replaced only once Django is set up, because an app may insist on its own middleware.
"""

import os

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

django.setup(set_prefix=False)
settings.MIDDLEWARE = ["usage.middleware.Guard"] if os.environ["BENCHMARK_LIMITER"] == "guard" else []
application = WSGIHandler()
