"""The closed set of API routes: which there are, which are charged, which dialect each speaks.

Apps register theirs when they are loaded (`images.routes`), so that the guard knows a request's route by a
look at its method and path, and nothing that a client makes up becomes a name in the books.
"""

from dataclasses import dataclass

from usage.limits.refusals import Dialect


@dataclass(frozen=True, slots=True)
class ApiRoute:
    """One route. A path that ends in a slash stands for everything below it.

    `charged` requests count against minute, day and concurrency; the others only carry the headers. What
    `starts_job` is refused while the limit store is down; other charged routes then go on within a share.
    `open_to_suspended` routes serve what was already paid for.
    """

    name: str
    method: str
    path: str
    charged: bool = False
    starts_job: bool = False
    dialect: Dialect = Dialect.API
    open_to_suspended: bool = False


# A request below a known prefix that no route answers: it gets headers, a 404 or 405, and is never charged.
OTHER = ApiRoute("other", "*", "/api/")
OTHER_SHORT = ApiRoute("other", "*", "/", dialect=Dialect.SHORT)

_exact: dict[tuple[str, str], ApiRoute] = {}
_below: list[ApiRoute] = []
# The API's paths: these, and whatever is below them.
_roots: set[str] = {"/api"}
_prefixes: tuple[str, ...] = ("/api/",)


def register(*routes: ApiRoute) -> None:
    """Make routes known; the same route may be registered again."""
    global _prefixes
    for route in routes:
        if route.path.endswith("/"):
            if route not in _below:
                _below.append(route)
        else:
            _exact[route.method, route.path] = route
        if not route.path.startswith("/api/"):
            _roots.add(route.path.rstrip("/"))
            _prefixes = tuple(f"{root}/" for root in sorted(_roots))


def is_api_path(path: str) -> bool:
    """Whether the guard has any business with this path."""
    return path in _roots or path.startswith(_prefixes)


def find(method: str, path: str) -> ApiRoute:
    """The route that answers; call only for an API path. Methods compare as in Django: `post` is POST.

    What answers GET answers HEAD, unless there is a route for that.
    """
    method = method.upper()
    route = _known(method, path) or (_known("GET", path) if method == "HEAD" else None)
    if route is not None:
        return route
    return OTHER if path.startswith("/api") else OTHER_SHORT


def _known(method: str, path: str) -> ApiRoute | None:
    route = _exact.get((method, path))
    if route is not None:
        return route
    for route in _below:
        if route.method == method and path.startswith(route.path):
            return route
    return None


def names() -> set[str]:
    """Of all routes."""
    return {route.name for route in (*_exact.values(), *_below, OTHER)}


def charged_names() -> set[str]:
    """Of the routes whose requests are counted."""
    return {route.name for route in (*_exact.values(), *_below) if route.charged}
