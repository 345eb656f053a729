"""The API's routes, as the guard knows them. `images.urls` answers them; a test holds the two together."""

from usage.limits.refusals import Dialect
from usage.routes import ApiRoute
from usage.routes import register as register_routes

ROUTES = (
    ApiRoute("convert", "POST", "/api/v1/convert", charged=True, starts_job=True),
    ApiRoute("convert", "POST", "/convert", charged=True, starts_job=True, dialect=Dialect.SHORT),
    ApiRoute("compress", "POST", "/api/v1/compress", charged=True, starts_job=True),
    ApiRoute("compress", "POST", "/compress", charged=True, starts_job=True, dialect=Dialect.SHORT),
    ApiRoute("batch", "POST", "/api/v1/batch", charged=True, starts_job=True),
    ApiRoute("jobs", "GET", "/api/v1/jobs/"),
    ApiRoute("jobs", "DELETE", "/api/v1/jobs/"),
    ApiRoute("jobs", "GET", "/job/", dialect=Dialect.SHORT),
    ApiRoute("jobs", "DELETE", "/job/", dialect=Dialect.SHORT),
    ApiRoute("conversions", "GET", "/api/v1/conversions"),
    ApiRoute("conversions", "GET", "/conversions", dialect=Dialect.SHORT),
    ApiRoute("entitlements", "GET", "/api/v1/entitlements/me"),
    ApiRoute("entitlements", "GET", "/entitlements/me", dialect=Dialect.SHORT),
    ApiRoute("entitlements", "GET", "/convert/entitlements/me", dialect=Dialect.SHORT),
    ApiRoute("downloads", "GET", "/api/v1/downloads/", open_to_suspended=True),
    ApiRoute("downloads", "HEAD", "/api/v1/downloads/", open_to_suspended=True),
    ApiRoute("openapi", "GET", "/api/v1/openapi.json"),
)


def register() -> None:
    register_routes(*ROUTES)
