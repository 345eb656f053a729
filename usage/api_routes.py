"""The API's routes that this app answers, as the guard knows them."""

from usage.routes import ApiRoute
from usage.routes import register as register_routes

ROUTES = (
    ApiRoute("usage", "GET", "/api/v1/usage"),
    ApiRoute("validate", "POST", "/api/v1/keys/validate"),
)


def register() -> None:
    register_routes(*ROUTES)
