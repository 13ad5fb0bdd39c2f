"""Route templates: the `endpoint` label of a request, read from what the framework's router left in the scope."""

from collections.abc import Iterable, MutableMapping
from typing import Any

UNMATCHED = "unmatched"
"""Label of every request that no route took: paths are not labels."""

_MAX_DEPTH = 20


def template(scope: MutableMapping[str, Any], root_path: str, app: object) -> str:
    """Return the template of the route that took a request, with the prefixes of mounts and included routers.

    Args:
        scope: The scope after the router has seen it.
        root_path: The `root_path` that the request came with.
        app: The watched application, searched for the endpoint where its router leaves no route in the scope.
    """
    grown = str(scope.get("root_path") or "")
    prefix = grown[len(root_path) :] if grown.startswith(root_path) else ""
    fastapi = scope.get("fastapi")
    if isinstance(fastapi, dict):
        # FastAPI leaves the route as it was declared; with the prefixes of include_router it is in the context.
        included = fastapi.get("effective_route_context")
        path = getattr(included, "path_format", None)
        if isinstance(path, str):
            return (prefix + path) or "/"
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    if isinstance(path, str):
        if getattr(route, "app", None) is not None and not hasattr(route, "endpoint"):
            return _mounted(prefix) if prefix else path
        return (prefix + path) or "/"
    endpoint = scope.get("endpoint")
    if endpoint is not None:
        found = _search(getattr(app, "routes", None) or (), endpoint, "", 0)
        if found is not None:
            return found or "/"
    return _mounted(prefix) if prefix else UNMATCHED


def has_route(app: object, path: str) -> bool:
    """Tell whether an application has a route or a mount of its own at exactly this path."""
    return any(getattr(route, "path", None) == path for route in getattr(app, "routes", None) or ())


def _mounted(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/{{path}}"


def _search(routes: Iterable[Any], endpoint: object, prefix: str, depth: int) -> str | None:
    for route in routes:
        path = getattr(route, "path_format", None) or getattr(route, "path", "") or ""
        if getattr(route, "endpoint", None) is endpoint:
            return prefix + path
        inner = getattr(route, "routes", None)
        if inner and depth < _MAX_DEPTH:
            mount = (getattr(route, "path", "") or "").rstrip("/")
            found = _search(inner, endpoint, prefix + mount, depth + 1)
            if found is not None:
                return found
    return None
