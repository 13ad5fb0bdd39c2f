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

from huoyan.client import breakdown, process, routes
from huoyan.client.context import RequestContext
from huoyan.client.exposition import in_thread, metrics_app, register
from huoyan.client.guard import guard, warn
from huoyan.client.measurements import Gauge
from huoyan.client.metrics import RequestMetrics, RequestSeries
from huoyan.client.reporter import Reporter
from huoyan.client.routes import METHODS, OTHER_METHOD, has_route, template, trace_id
from huoyan.signals.metrics.application import HTTP_WEBSOCKETS, HTTP_WEBSOCKETS_OPEN

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLIENT_CLOSED_REQUEST = 499
_MAX_ROUTES = 10_000
_MAX_LAYERS = 100
# What carries the body, each perhaps for the last time
# (https://asgi.readthedocs.io/en/latest/specs/www.html, https://asgi.readthedocs.io/en/latest/extensions.html).
_BODIES = frozenset({"http.response.body", "http.response.pathsend", "http.response.zerocopysend"})
_NOTE = "huoyan.websocket"
"""Key of the scope of a connection that is counted already."""


class Request(breakdown.Collector):
    """One request: what it calls is collected, what is sent is watched, and with the last byte it is counted.

    One object is all of this, and what `send` is for the application: each further object, call and coroutine of a
    request is a tenth of what watching adds to it (`bench/request_overhead.py`).

    Args:
        middleware: What it passes through.
        requests: Where it is counted.
        scope: Its scope.
        root_path: The `root_path` that it came with.
        send: Takes what is sent.
        parent: The collector that was current before.
    """

    __slots__ = ("_middleware", "_requests", "_root_path", "_scope", "_send", "_status")

    def __init__(
        self,
        middleware: "Middleware",
        requests: RequestMetrics,
        scope: Scope,
        root_path: str,
        send: Send,
        parent: breakdown.Collector | None,
    ) -> None:
        self._middleware = middleware
        self._requests = requests
        self._root_path = root_path
        self._scope = scope
        self._send = send
        self._status = 0
        breakdown.Collector.__init__(self, "request", parent)

    @property
    def request(self) -> RequestContext:
        """This request, for what is found by it later."""
        return self._middleware.owner, self._scope, self._root_path

    @property
    def name(self) -> str:
        """Its method and route template."""
        return f"{self._scope['method']} {template(self._scope, self._root_path, self._middleware.owner)}"

    def goes_on_in(self, scope: Scope) -> bool:
        """Tell whether a scope is of this request and not of another one that is made while it is answered; if so, the
        route is read from there.

        What dispatches to other applications may hand them a copy, with other headers even. A note in the scope would
        say the same, but make it grow, which costs each request half a microsecond.
        """
        asgi = scope.get("asgi")
        if scope is not self._scope and (asgi is None or asgi is not self._scope.get("asgi")):
            return False
        self._scope = scope
        return True

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the response. Only for the last one a coroutine stands in between."""
        kind = message["type"]
        if kind == "http.response.start":
            self._status = message["status"]
        elif kind in _BODIES and not message.get("more_body", False):
            return self._send_last(message)
        return self._send(message)

    async def _send_last(self, message: Message) -> None:
        await self._send(message)
        if not self.closed:
            self.end(500)

    def end(self, unsaid: int) -> None:
        """Count it; never raises.

        Args:
            unsaid: Its status when the response had none yet.
        """
        ended = perf_counter()
        # Its time is over with the last byte: what background tasks call is not part of it.
        try:
            self.over()
            requests = self._requests
            requests.in_flight -= 1
            scope = self._scope
            status = self._status or unsaid
            fastapi = scope.get("fastapi")
            route = fastapi.get("effective_route_context") if fastapi is not None else None
            if route is None:
                route = scope.get("route") or scope.get("endpoint")
            middleware = self._middleware
            series = middleware.known.get((id(route), scope.get("root_path", ""), scope["method"]))
            if series is None or middleware.known_of is not requests:
                series = middleware.series(requests, scope, self._root_path, route)
            duration_s = ended - self.started
            series.observe(duration_s)
            (series.statuses.get(status) or series.status(status)).value += 1.0
            kept = series.kept
            kept.seen += 1
            if duration_s > kept.floor_s or kept.seen >= kept.next_sample or status >= 500:
                at = time() - duration_s
                requests.examples.keep(kept, status, at, duration_s, self.told(ended), None, _trace_id(scope))
        except Exception as error:  # noqa: BLE001 - counting must not fail a request
            warn("asgi.count", "huoyan: a request could not be counted", error=error)


class Middleware:
    """Counts the requests that pass through it.

    Args:
        app: What answers.
        owner: The watched application.
        excluded: Paths that are not counted.

    Attributes:
        known: The series of routes seen before, by the identity of the route, `root_path` and method.
        known_of: Where these are counted.
    """

    def __init__(self, app: App, owner: Any, excluded: Container[str]) -> None:
        self.app = app
        self.owner = owner
        self._excluded = excluded
        self.known: dict[tuple[int, str, str], RequestSeries] = {}
        self.known_of: RequestMetrics | None = None
        self._routes: list[object] = []

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
        around = breakdown.current()
        if around is not None and isinstance(around, Request) and around.goes_on_in(scope):
            # An application that is watched and is part of a watched one: its request is counted once, there.
            return await self.app(scope, receive, send)
        root_path = scope.get("root_path", "")
        path = scope["path"]
        requests = client.metrics.requests
        request = Request(self, requests, scope, root_path, send, around)
        if path in self._excluded or (root_path and path.removeprefix(root_path) in self._excluded):
            # Nothing is counted, but background tasks are to know what they belong to.
            request.over()
            watched_send = send
        else:
            requests.in_flight += 1
            watched_send = request.send
        token = breakdown.make_current(request)
        try:
            await self.app(scope, receive, watched_send)
        except BaseException as error:
            if not request.closed:
                request.end(_CLIENT_CLOSED_REQUEST if isinstance(error, CancelledError) else 500)
            raise
        finally:
            if not request.closed:
                request.end(500)
            breakdown.suspend(token)

    def series(self, requests: RequestMetrics, scope: Scope, root_path: str, route: object) -> RequestSeries:
        """Return the series of a request whose route is seen for the first time."""
        if self.known_of is not requests or len(self.known) >= _MAX_ROUTES:
            self.known, self._routes = {}, []
            self.known_of = requests
        method = scope["method"] if scope["method"] in METHODS else OTHER_METHOD
        series = requests.open(method, template(scope, root_path, self.owner))
        if method is not OTHER_METHOD:
            self.known[id(route), scope.get("root_path", ""), method] = series
            # Kept so that its identity cannot pass to another one.
            self._routes.append(route)
        return series

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a connection from when it is accepted until the application is done with it."""
        client = process.current()
        if client is None or _NOTE in scope:
            return await self.app(scope, receive, send)
        scope[_NOTE] = True
        root_path = scope.get("root_path", "")
        accepted: Gauge | None = None

        async def watched_send(message: Message) -> None:
            nonlocal accepted
            await send(message)
            if message["type"] == "websocket.accept" and accepted is None:
                with guard("asgi.websocket"):
                    endpoint = template(scope, root_path, self.owner)
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

        def build_middleware_stack() -> Any:
            stack = build()
            with guard("asgi.build"):
                if thing.__dict__.get(_BUILD) is not build_middleware_stack:
                    return stack
                _expose(thing, metrics_path, registry)
                if thing.__dict__.get("build_middleware_stack") is build_middleware_stack:
                    return Middleware(stack, thing, excluded)
                # Whoever put a build of its own around this one expects a stack as Starlette makes it, and may take it
                # apart, as OpenTelemetry's instrumentation does, which instruments nothing otherwise.
                stack.app = Middleware(stack.app, thing, excluded)
            return stack

        thing.__dict__[_BUILD] = thing.build_middleware_stack = build_middleware_stack
        if thing.middleware_stack is not None:
            _expose(thing, metrics_path, registry)
            thing.middleware_stack = Middleware(thing.middleware_stack, thing, excluded)

    def unwatch(self, thing: Any) -> None:
        """Take the middleware and the route out again."""
        # One that something else has put a build around stays, and does nothing any more.
        if thing.__dict__.pop(_BUILD, None) is thing.__dict__.get("build_middleware_stack"):
            thing.__dict__.pop("build_middleware_stack", None)
        outer, name = thing, "middleware_stack"
        for _ in range(_MAX_LAYERS):
            layer = getattr(outer, name, None)
            if isinstance(layer, Middleware):
                setattr(outer, name, layer.app)
                break
            outer, name = layer, "app"
        thing.router.routes[:] = [r for r in thing.router.routes if getattr(r, "name", "") != _ROUTE_NAME]


_ROUTE_NAME = "huoyan_metrics"
_BUILD = "_huoyan_build"
"""Where an application keeps the build of its stack that puts the middleware in."""


def _trace_id(scope: Scope) -> str:
    for name, value in scope.get("headers") or ():
        if name == b"traceparent":
            return trace_id(value.decode("latin-1"))
    return trace_id("")


def _expose(app: Any, path: str | None, registry: Any) -> None:
    """Add the metrics route; one of the application's own is left in charge."""
    if not path or has_route(app, path):
        return
    from starlette.routing import Route

    found = app.router.routes
    # A route that every request has to come by would cost it a fifth of what all of watching does.
    before = next((at for at, route in enumerate(found) if _takes(route, path)), len(found))
    found.insert(before, Route(path, metrics_app(registry), name=_ROUTE_NAME, include_in_schema=False))


def _takes(route: Any, path: str) -> bool:
    """Tell whether a route would hide one with this path behind it; in doubt, as with one for some hosts, it would."""
    with guard("asgi.expose"):
        scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
        return hasattr(route, "host") or bool(route.matches(scope)[0].value)
    return True


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
        # Servers put the path that they are mounted at in front (https://asgi.readthedocs.io/en/latest/specs/www.html).
        if scope["type"] == "http" and path and scope["path"] in {path, f"{scope.get('root_path', '')}{path}"}:
            await served(scope, receive, send)
        else:
            await counted(scope, receive, send)

    return watched


integration = AsgiIntegration()
