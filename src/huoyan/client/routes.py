"""What the middlewares of all kinds of applications share: route templates, which are the `endpoint` label of requests,
read from what the framework's router left in the scope; what is not counted; where metrics are served."""

import re
import sys
from collections.abc import Container, Iterable, Mapping, MutableMapping
from typing import Any

from huoyan.client.settings import Settings
from huoyan.errors import ConfigurationError

EXCLUDED = ("/metrics", "/health", "/favicon.ico")
"""Paths that do not measure themselves."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
OTHER_METHOD = "OTHER"

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
    if prefix and scope.get("path_params"):
        prefix = _mounts(getattr(app, "routes", None) or (), prefix, 0) or prefix
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


def has_route(app: object, path: str, depth: int = 0) -> bool:
    """Tell whether an application has a route or a mount of its own at exactly this path.

    Args:
        app: The application, or a mount in it.
        path: The path from there.
        depth: How many mounts are around it.
    """
    for route in getattr(app, "routes", None) or ():
        own = getattr(route, "path", None)
        if own == path:
            return True
        # FastAPI keeps included routers as they are; each tells its routes with the prefixes of all around it.
        included = getattr(route, "effective_route_contexts", None)
        if included is not None and any(path == _path(context) for context in included()):
            return True
        inside = isinstance(own, str) and path.startswith(f"{own}/") and depth < _MAX_DEPTH
        if inside and has_route(route, path.removeprefix(str(own)), depth + 1):
            return True
    return False


def _path(context: Any) -> str | None:
    path = getattr(getattr(context, "starlette_route", None), "path", None) or getattr(context, "path", None)
    return path if isinstance(path, str) else None


def _mounted(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/{{path}}"


def _mounts(routes: Iterable[Any], prefix: str, depth: int) -> str | None:
    """Return the templates of the mounts that a request came through, None when these routes have no such mounts.

    Args:
        routes: Where the outermost of them is.
        prefix: What they took of the path.
        depth: How many mounts are around these routes.
    """
    for route in routes if depth < _MAX_DEPTH else ():
        inner = getattr(route, "routes", None) or ()
        if hasattr(route, "host_regex"):
            found = _mounts(inner, prefix, depth + 1)
            if found is not None:
                return found
            continue
        # A mount is a pattern with `{path:path}` behind it (https://www.starlette.io/routing/#submounting-routes).
        taken = None if hasattr(route, "endpoint") else getattr(route, "path_regex", None)
        match = taken.match(f"{prefix}/") if taken is not None else None
        if match is None or "path" not in match.groupdict():
            continue
        own = str(route.path_format).removesuffix("/{path}")
        rest = match.group("path").rstrip("/")
        deeper = _mounts(inner, f"/{rest}", depth + 1) if rest else ""
        if deeper is not None:
            return own + deeper
    return None


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


class _Patterns:
    """Paths, exact or with `*` for any characters."""

    def __init__(self, exact: frozenset[str], patterns: Iterable[str]) -> None:
        self._exact = exact
        written = "|".join(re.escape(pattern).replace(r"\*", ".*") for pattern in patterns)
        self._matches = re.compile(written, re.DOTALL).fullmatch

    def __contains__(self, path: object) -> bool:
        return path in self._exact or self._matches(str(path)) is not None


def excluded(metrics_path: str | None, given: object) -> Container[str]:
    """Return the paths that are not counted.

    Args:
        metrics_path: Where metrics are served, if they are.
        given: The option `exclude`: paths, exact or with `*` for any characters.

    Raises:
        ConfigurationError: The option is something else.
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigurationError("exclude", "a list of paths", given)
    paths = list(given)
    for path in paths:
        if not isinstance(path, str) or not path.startswith("/"):
            raise ConfigurationError("exclude", "paths that start with /", path)
    patterns = [path for path in paths if "*" in path]
    own = {*EXCLUDED, *([metrics_path] if metrics_path else [])}
    # What is mounted at such a path is answered with a slash behind it.
    exact = frozenset({*own, *(f"{path}/" for path in own), *paths})
    return _Patterns(exact, patterns) if patterns else exact


def metrics_path(options: Mapping[str, Any], settings: Settings) -> str | None:
    """Return where the application serves metrics, None when it does not.

    Raises:
        ConfigurationError: The option `metrics_path` is no path.
    """
    # With a port of their own they are no business of those who reach the application, unless somebody says so.
    path = options.get("metrics_path", None if settings.metrics_port else "/metrics")
    if path and (not isinstance(path, str) or not path.startswith("/")):
        raise ConfigurationError("metrics_path", "a path that starts with /, or None", path)
    return path if path and settings.metrics else None


def registry(options: Mapping[str, Any]) -> Any:
    """Return the registry that is served, None for prometheus-client's own.

    Raises:
        ConfigurationError: The option `registry` is none.
    """
    chosen = options.get("registry")
    if chosen is not None and not hasattr(chosen, "collect"):
        raise ConfigurationError("registry", "a prometheus_client.CollectorRegistry", chosen)
    return chosen


def trace_id(traceparent: str) -> str:
    """Return the trace that a request belongs to: that of the span which OpenTelemetry is in, else that of the header.

    Args:
        traceparent: The header, empty when there is none (https://www.w3.org/TR/trace-context/).
    """
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        number = trace.get_current_span().get_span_context().trace_id
        if number:
            return f"{number:032x}"
    parts = traceparent.split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""
