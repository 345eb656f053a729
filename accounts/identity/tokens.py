"""The addresses that services call themselves: token, userinfo, revoke."""

from collections.abc import Callable

from allauth.idp.oidc.internal.oauthlib.utils import convert_response, extract_params, respond_json_error
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from oauthlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error

from accounts.identity.server import Provider

# One of the provider's endpoints: address, method, body and headers in; headers, body and status out.
Endpoint = Callable[[str, str, str, dict[str, str]], tuple[dict[str, str], object, int]]


@csrf_exempt
@cache_control(no_store=True)
@require_POST
@transaction.atomic  # a refusal commits as well: it may have taken tokens back
def token(request: HttpRequest) -> HttpResponse:
    """A code, or a refresh token, becomes tokens."""
    return _answer(request, Provider().create_token_response)


@csrf_exempt
@cache_control(no_store=True)
@require_http_methods(["GET", "POST"])
def userinfo(request: HttpRequest) -> HttpResponse:
    """What the access token's scopes tell about its person."""
    return _answer(request, Provider().create_userinfo_response)


@csrf_exempt
@cache_control(no_store=True)
@require_POST
def revoke(request: HttpRequest) -> HttpResponse:
    """A service gives back what it was given. It is told the same about a token that nobody knows."""
    return _answer(request, Provider().create_revocation_response)


def _answer(request: HttpRequest, endpoint: Endpoint) -> HttpResponse:
    response: HttpResponse
    try:
        _refuse_what_comes_twice(request)
        response = convert_response(*endpoint(*extract_params(request)))
    except OAuth2Error as error:
        response = respond_json_error(request, error)
    except ValueError:  # oauthlib's parser, at characters that no address has
        response = respond_json_error(request, InvalidRequestError())
    return response


def _refuse_what_comes_twice(request: HttpRequest) -> None:
    """RFC 6749, 3.2: of two values of one parameter, each program would read another."""
    twice = [name for name, values in request.POST.lists() if len(values) > 1]
    if twice:
        raise InvalidRequestError(description="A parameter was given twice.")
