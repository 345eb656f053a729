"""A web process of its own, for tests: asked `METHOD PATH KEY` line by line, it says each answer's status.

It keeps what it knows from one request to the next, as a real one does.
"""

import os
import sys

import django
from django.core.handlers.wsgi import WSGIHandler


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "koalapanel.settings"
    django.setup()
    from usage.guard.wsgi import GuardedApplication

    application = GuardedApplication(WSGIHandler())
    statuses: list[str] = []
    for line in sys.stdin:
        method, path, key = line.split()
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "HTTP_AUTHORIZATION": f"Bearer {key}",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "CONTENT_LENGTH": "0",
            "wsgi.input": sys.stdin.buffer,
            "wsgi.url_scheme": "http",
        }
        body = application(environ, lambda status, headers: statuses.append(status))
        if hasattr(body, "close"):
            body.close()
        sys.stdout.write(f"{statuses.pop()[:3]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
