"""A test client that enters by the WSGI application, as a server does, and not by Django's handler."""

from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client

from usage.guard.wsgi import GuardedApplication


class WsgiClient(Client):
    def __init__(self, **options):
        super().__init__(**options)
        application = GuardedApplication(WSGIHandler())

        def handle(environ):
            started = []
            body = application(environ, lambda status, headers: started.append((status, headers)))
            (status, headers) = started[0]
            if getattr(body, "streaming", False):
                response = StreamingHttpResponse(body, status=int(status[:3]))
                response._resource_closers.append(body.close)
            else:
                response = HttpResponse(b"".join(body), status=int(status[:3]))
            for name, value in headers:
                response[name] = value
            response.wsgi_request = WSGIRequest(environ)
            return response

        self.handler = handle
