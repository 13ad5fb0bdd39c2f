"""Requests of ASGI applications: counted and timed by route template, `/metrics` served, the last events sent at
shutdown.

The middleware stands around the whole stack of the application, so it sees what the client gets: also the 500 made from
an unexpected exception. A request ends with the last byte of its response; background tasks are not part of it.
"""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping, MutableMapping
from functools import partial
from time import perf_counter, time
from typing import Any

from huoyan.client import breakdown, context, process, routes
from huoyan.client.exposition import in_thread, metrics_app, register
from huoyan.client.guard import guard, warn
from huoyan.client.measurements import Gauge
from huoyan.client.metrics import RequestMetrics, RequestSeries
from huoyan.client.reporter import Reporter
from huoyan.client.routes import METHODS, OTHER_METHOD, has_route, template, trace_id
from huoyan.signals.metrics import HTTP_WEBSOCKETS, HTTP_WEBSOCKETS_OPEN

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLIENT_CLOSED_REQUEST = 499
_MAX_ROUTES = 10_000


class Middleware:
    """Counts the requests that pass through it.

    Args:
        app: What answers.
        owner: The watched application.
        excluded: Paths that are not counted.
    """

    def __init__(self, app: App, owner: Any, excluded: Container[str]) -> None:
        self.app = app
        self._owner = owner
        self._excluded = excluded
        self._known: dict[tuple[int, str, str], tuple[object, RequestSeries]] = {}
        self._known_of: RequestMetrics | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                return await self._lifespan(scope, receive, send)
            if scope["type"] == "websocket":
                return await self._websocket(scope, receive, send)
            return await self.app(scope, receive, send)
        client = process.current()
        if client is None:
            return await self.app(scope, receive, send)
        root_path = scope.get("root_path", "")
        token = context.request.set((self._owner, scope, root_path))
        path = scope["path"]
        if path in self._excluded or (root_path and path.removeprefix(root_path) in self._excluded):
            try:
                return await self.app(scope, receive, send)
            finally:
                context.request.reset(token)
        requests = client.metrics.requests
        requests.in_flight += 1
        entry = breakdown.enter("request")
        status = 0
        open_ = True

        async def watched_send(message: Message) -> None:
            nonlocal status, open_
            await send(message)
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
            elif open_ and not message.get("more_body", False) and kind != "http.response.debug":
                open_ = False
                self._count(requests, scope, root_path, status, perf_counter() - started, entry)

        started = perf_counter()
        try:
            await self.app(scope, receive, watched_send)
        except BaseException as error:
            if open_:
                open_ = False
                cancelled = isinstance(error, CancelledError)
                status = status or (_CLIENT_CLOSED_REQUEST if cancelled else 500)
                self._count(requests, scope, root_path, status, perf_counter() - started, entry)
            raise
        finally:
            if open_:
                self._count(requests, scope, root_path, status or 500, perf_counter() - started, entry)
            breakdown.suspend(entry.token)
            context.request.reset(token)

    def _count(
        self,
        requests: RequestMetrics,
        scope: Scope,
        root_path: str,
        status: int,
        duration_s: float,
        entry: breakdown.Entry,
    ) -> None:
        try:
            requests.in_flight -= 1
            # Its time is over with the last byte: what background tasks call is not part of it.
            parts = entry.collector.close()
            fastapi = scope.get("fastapi")
            route = fastapi.get("effective_route_context") if fastapi is not None else None
            if route is None:
                route = scope.get("route") or scope.get("endpoint")
            key = (id(route), scope.get("root_path", ""), scope["method"])
            known = self._known.get(key)
            if known is None or known[0] is not route or self._known_of is not requests:
                series = self._series(requests, scope, root_path, key, route)
            else:
                series = known[1]
            series.duration.observe(duration_s)
            counter = series.statuses.get(status) or series.status(status)
            counter.value += 1
            kept = series.kept
            kept.seen += 1
            if duration_s > kept.floor_s or kept.seen >= kept.next_sample or status >= 500:
                at = time() - duration_s
                requests.examples.keep(kept, status, at, duration_s, parts, None, _trace_id(scope))
        except Exception as error:  # noqa: BLE001 - counting must not fail a request
            warn("asgi.count", "huoyan: a request could not be counted", error=error)

    def _series(
        self, requests: RequestMetrics, scope: Scope, root_path: str, key: tuple[int, str, str], route: object
    ) -> RequestSeries:
        if self._known_of is not requests or len(self._known) >= _MAX_ROUTES:
            self._known = {}
            self._known_of = requests
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        series = requests.open(method, template(scope, root_path, self._owner))
        if method is not OTHER_METHOD:
            # The route is kept with the series so that its id cannot pass to another one.
            self._known[key] = (route, series)
        return series

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a connection from when it is accepted until the application is done with it."""
        client = process.current()
        if client is None:
            return await self.app(scope, receive, send)
        root_path = scope.get("root_path", "")
        accepted: Gauge | None = None

        async def watched_send(message: Message) -> None:
            nonlocal accepted
            await send(message)
            if message["type"] == "websocket.accept" and accepted is None:
                with guard("asgi.websocket"):
                    endpoint = template(scope, root_path, self._owner)
                    client.measurements.counter(HTTP_WEBSOCKETS).child((endpoint,)).add()
                    accepted = client.measurements.gauge(HTTP_WEBSOCKETS_OPEN).child((endpoint,))
                    accepted.add()

        try:
            await self.app(scope, receive, watched_send)
        finally:
            if accepted is not None:
                accepted.add(-1.0)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Start reporting with the application, and send the last events before the server ends the process.

        Servers may end it by the signal that stopped them, and then nothing registered with atexit runs.
        """
        with guard("asgi.startup"):
            client = process.current()
            if client is not None:
                client.loop_lag.watch()
                if client.emitter is not None:
                    client.emitter.ensure_started()

        async def watched_send(message: Message) -> None:
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed"}:
                client = process.current()
                if client is not None:
                    # With runs still executing the process is not done: whether they finish, their reports or silence
                    # will say.
                    await in_thread(partial(client.flush, closing=client.active == 0))
            await send(message)

        await self.app(scope, receive, watched_send)


class AsgiIntegration:
    """FastAPI and Starlette applications."""

    framework = "fastapi"
    options = frozenset({"metrics_path", "registry", "exclude"})

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put the middleware around the application, whether or not its stack is built yet."""
        metrics_path = routes.metrics_path(options, process.client().settings)
        excluded = routes.excluded(metrics_path, options.get("exclude", ()))
        registry = routes.registry(options)
        register(registry)
        build = thing.build_middleware_stack

        def build_middleware_stack() -> App:
            stack: App = build()
            with guard("asgi.build"):
                _expose(thing, metrics_path, registry)
                return Middleware(stack, thing, excluded)
            return stack

        build_middleware_stack.huoyan_original = build  # type: ignore[attr-defined]
        thing.build_middleware_stack = build_middleware_stack
        if thing.middleware_stack is not None:
            _expose(thing, metrics_path, registry)
            thing.middleware_stack = Middleware(thing.middleware_stack, thing, excluded)

    def unwatch(self, thing: Any) -> None:
        """Take the middleware and the route out again."""
        current = thing.__dict__.get("build_middleware_stack")
        if hasattr(current, "huoyan_original"):
            del thing.__dict__["build_middleware_stack"]
        if isinstance(thing.middleware_stack, Middleware):
            thing.middleware_stack = thing.middleware_stack.app
        thing.router.routes[:] = [r for r in thing.router.routes if getattr(r, "name", "") != _ROUTE_NAME]


_ROUTE_NAME = "huoyan_metrics"


def _trace_id(scope: Scope) -> str:
    for name, value in scope.get("headers") or ():
        if name == b"traceparent":
            return trace_id(value.decode("latin-1"))
    return ""


def _expose(app: Any, path: str | None, registry: Any) -> None:
    """Add the metrics route, in front of routes that take everything; one of the application's own is left in
    charge."""
    if not path or has_route(app, path):
        return
    from starlette.routing import Route

    app.router.routes.insert(0, Route(path, metrics_app(registry), name=_ROUTE_NAME, include_in_schema=False))


def asgi(
    app: App,
    *,
    metrics_path: str | None = "/metrics",
    exclude: Iterable[str] = (),
    registry: Any = None,
) -> App:
    """Return an ASGI application that answers as `app` does and counts its requests.

    Args:
        app: Any ASGI application; those of FastAPI and Starlette are given to `watch`.
        metrics_path: Where `/metrics` is served; None: nowhere.
        exclude: Paths that are not counted: exact, or with `*` for any characters.
        registry: What is served; prometheus-client's default registry when None.

    Raises:
        ConfigurationError: An option has a wrong value.
    """
    client = process.client()
    options = {"metrics_path": metrics_path, "registry": registry}
    path = routes.metrics_path(options, client.settings)
    excluded = routes.excluded(path, exclude)
    served = metrics_app(routes.registry(options))
    if not client.settings.enabled:
        return app
    register(registry)
    client.watched(Reporter(client, "asgi", client.settings.service, None))
    counted = Middleware(app, app, excluded)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == path:
            await served(scope, receive, send)
        else:
            await counted(scope, receive, send)

    return watched


integration = AsgiIntegration()
