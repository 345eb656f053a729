"""What the web server loads."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "koalapanel.settings")
_django = get_wsgi_application()

from koalapanel.charset import utf8_only  # noqa: E402
from koalapanel.checks import refuse_an_unfit_cache  # noqa: E402
from usage.guard import process_end  # noqa: E402
from usage.guard.wsgi import GuardedApplication  # noqa: E402  (once Django is set up)

refuse_an_unfit_cache()
process_end.listen()
application = utf8_only(GuardedApplication(_django))
