"""Where a service sends people to sign in: what it asks for is checked, then the person is asked."""

import time
from typing import Any
from urllib.parse import quote

from allauth.account.internal.flows.login import get_authentication_records
from allauth.core.internal.httpkit import add_query_params, authenticated_user
from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.internal.oauthlib.utils import extract_headers, get_validator_context
from allauth.idp.oidc.models import Client
from django.contrib.auth.views import redirect_to_login
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST
from oauthlib.common import Request, urlencoded
from oauthlib.oauth2.rfc6749.errors import FatalClientError, InvalidRequestError, OAuth2Error
from oauthlib.openid.connect.core.exceptions import LoginRequired

from accounts.identity.consent_form import ConsentForm
from accounts.identity.scopes import in_words
from accounts.identity.sending_back import send_back
from accounts.identity.server import Provider
from accounts.models import User

# Whoever signed in so many seconds ago needn't do it again, whatever the service says: it was for its sake.
JUST_NOW = 60
# How long the consent page may stay open, in seconds.
CONSENT_LIFETIME = 3600
_SALT = "accounts.identity.consent"


@csrf_exempt  # a service may post what it asks for; it is read like an address and changes nothing
@never_cache
@require_http_methods(["GET", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """The request of a service, which a browser brings. Not HEAD, which nobody counts."""
    if request.method == "POST":
        return HttpResponseRedirect(_address(request.POST.urlencode()))
    query = request.META.get("QUERY_STRING", "")
    try:
        scopes, facts = _check(request, query)
        return _answer(request, query, scopes, facts)
    except FatalClientError as error:
        return refuse(request, error)
    except OAuth2Error as error:
        return HttpResponseRedirect(_with_issuer(_refusal(error)))
    except ValueError:
        return refuse(request, InvalidRequestError())


@never_cache
@require_POST
def consent(request: HttpRequest) -> HttpResponse:
    """The answer of the person: *Allow* or *Deny* to exactly what the page said."""
    try:
        asked = signing.loads(request.POST.get("asked", ""), salt=_SALT, max_age=CONSENT_LIFETIME)
    except signing.BadSignature:
        return refuse(request, None)
    query = asked["query"]
    if not request.user.is_authenticated or request.user.pk != asked["user"]:
        # Signed out meanwhile, or somebody else: ask whoever it is now.
        return HttpResponseRedirect(_address(query))
    try:
        scopes, facts = _check(request, query)
        if request.POST.get("action") != "allow":
            return send_back(request, facts["request"].client, _with_issuer(_denial(facts)))
        form = ConsentForm(request.POST, user=authenticated_user(request), scopes=scopes)
        if not form.is_valid():
            return _ask(request, query, facts, form)
        get_validator_context().email = form.cleaned_data.get("email")
        return send_back(request, facts["request"].client, _allow(request, query, scopes))
    except FatalClientError as error:
        return refuse(request, error)
    except OAuth2Error as error:
        return HttpResponseRedirect(_with_issuer(_refusal(error)))


def refuse(request: HttpRequest, error: Exception | None) -> HttpResponse:
    """The page that says what is wrong; nobody is sent anywhere. `None`: a consent page that is too old."""
    page = render(request, "idp/oidc/error.html", {"error": error, "kind": type(error).__name__})
    return HttpResponseBadRequest(page.content)


def _check(request: HttpRequest, query: str) -> tuple[list[str], dict[str, Any]]:
    """The scopes asked for, and what else was; raises one of oauthlib's errors."""
    checked: tuple[list[str], dict[str, Any]] = Provider().validate_authorization_request(
        _address(query), "GET", None, _headers(request)
    )
    return checked


def _answer(request: HttpRequest, query: str, scopes: list[str], facts: dict[str, Any]) -> HttpResponse:
    asked: Request = facts["request"]
    prompt = facts["prompt"]
    must_sign_in = not request.user.is_authenticated or _is_too_long_ago(request, asked, prompt)
    if "none" in prompt:
        if must_sign_in:
            raise LoginRequired(request=asked)
        return HttpResponseRedirect(_allow(request, query, scopes))
    if must_sign_in:
        door = "account_reauthenticate" if request.user.is_authenticated else "account_login"
        return redirect_to_login(_address(query), reverse(door))
    if asked.client.skip_consent and "consent" not in prompt:
        return send_back(request, asked.client, _allow(request, query, scopes))
    return _ask(request, query, facts, ConsentForm(user=authenticated_user(request), scopes=scopes))


def _ask(request: HttpRequest, query: str, facts: dict[str, Any], form: ConsentForm) -> HttpResponse:
    client: Client = facts["request"].client
    return render(
        request,
        "idp/oidc/authorization_form.html",
        {
            "client": client,
            "form": form,
            "learns": in_words(facts["request"].scopes),
            "stays": Client.GrantType.REFRESH_TOKEN in client.get_grant_types(),
            "asked": signing.dumps({"query": query, "user": request.user.pk}, salt=_SALT),
            "host": _host(facts["redirect_uri"]),
        },
    )


def _allow(request: HttpRequest, query: str, scopes: list[str]) -> str:
    """The address with a fresh code, for the person who is signed in."""
    user = authenticated_user(request)
    headers, _, _ = Provider().create_authorization_response(
        _address(query),
        "GET",
        None,
        _headers(request),
        scopes=scopes,
        credentials={"user": user, "auth_time": signed_in_at(request, user)},
    )
    return _with_issuer(headers["Location"])


def _refusal(error: OAuth2Error) -> str:
    """In the query: oauthlib would put it where a `response_mode` says that we refuse."""
    return str(add_query_params(error.redirect_uri, dict(error.twotuples)))


def _denial(facts: dict[str, Any]) -> str:
    said = {"error": "access_denied"} | ({"state": facts["state"]} if facts["state"] else {})
    return str(add_query_params(facts["redirect_uri"], said))


def signed_in_at(request: HttpRequest, user: User) -> int:
    """When this session last proved who it is, in Unix seconds."""
    records = get_authentication_records(request, user)
    if records:
        return int(max(record["at"] for record in records))
    return int(user.last_login.timestamp()) if user.last_login else 0


def _is_too_long_ago(request: HttpRequest, asked: Request, prompt: set[str]) -> bool:
    """Whether the service wants a more recent proof: by `prompt=login` or `max_age`."""
    accepted = [0] if "login" in prompt else []
    if asked.max_age is not None:
        if not asked.max_age.isascii() or not asked.max_age.isdigit() or len(asked.max_age) > 9:
            raise InvalidRequestError(description="max_age must be a number of seconds.", request=asked)
        accepted.append(int(asked.max_age))
    if not accepted:
        return False
    age = time.time() - signed_in_at(request, authenticated_user(request))
    return age > max(min(accepted), JUST_NOW)


def _address(query: str) -> str:
    """Our own address with this query, in the characters that oauthlib reads."""
    return f"{reverse('idp:oidc:authorization')}?{quote(query, safe=''.join(urlencoded))}"


def _headers(request: HttpRequest) -> dict[str, str]:
    headers: dict[str, str] = extract_headers(request)
    return headers


def _with_issuer(uri: str) -> str:
    """So that a service with several providers knows which one answers (RFC 9207)."""
    return str(add_query_params(uri, {"iss": get_adapter().get_issuer()}))


def _host(uri: str) -> str:
    return uri.split("/", 3)[2]
