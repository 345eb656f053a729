"""The product's own settings, with one view instead of its pages; `benchmarks.site.wsgi` drops the rest."""

from koalapanel import settings as product
from koalapanel.settings import *  # noqa: F403

INSTALLED_APPS = [*product.INSTALLED_APPS, "benchmarks.site"]
ROOT_URLCONF = "benchmarks.site.urls"
DEBUG = False

# django-ratelimit keeps its counters in the default cache, which is django-redis on the limit store.
RATELIMIT_USE_CACHE = "default"
