import pytest
from django.test import Client

from tests.usage.wsgi_client import WsgiClient


@pytest.fixture(params=[Client, WsgiClient], ids=["middleware", "wsgi"])
def new_client(request):
    """Through Django's middleware, and through the door before Django: both must be the same guard."""
    return lambda: request.param(raise_request_exception=False)


@pytest.fixture
def api(new_client):
    return new_client()
