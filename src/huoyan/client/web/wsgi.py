"""Requests of WSGI applications: counted and timed by route template, `/metrics` served.

The middleware stands around the application, so it sees what the client gets: also the 500 made from an unexpected
exception. A request ends when the server has taken the last part of the response and closed it
(https://peps.python.org/pep-3333/).
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from huoyan.client import breakdown, process, routes
from huoyan.client.exposition import answer, register
from huoyan.client.guard import guard, warn
from huoyan.client.metrics import RequestMetrics
from huoyan.client.reporter import Reporter
from huoyan.client.routes import METHODS, OTHER_METHOD, UNMATCHED, trace_id

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

Environ = dict[str, Any]
StartResponse = Callable[..., Callable[[bytes], object]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]
Template = Callable[[Environ], str]

_REASONS = {200: "OK", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed", 429: "Too Many Requests"}
_NOTE = "huoyan.request"


class Middleware:
    """Counts the requests that pass through it.

    Args:
        app: What answers.
        template: Returns the route template of a request once it was answered.
        excluded: Paths that are not counted.
        metrics_path: Where `/metrics` is served; None: nowhere.
        registry: What is served there.
        owns: Tells whether the application has something of its own at a path, which then is left in charge.
    """

    def __init__(
        self,
        app: App,
        template: Template,
        excluded: Container[str],
        metrics_path: str | None,
        registry: "CollectorRegistry | None",
        owns: Callable[[str], bool] | None = None,
    ) -> None:
        self.app = app
        self._template = template
        self._excluded = excluded
        self._metrics_path = metrics_path
        self._owns = owns
        self._registry = register(registry)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == self._metrics_path and not (self._owns and self._owns(path)):
            return self._metrics(environ, start_response)
        client = process.current()
        # One that is watched twice, e.g. as an application and as a part of another one, is counted once.
        if client is None or _NOTE in environ or path in self._excluded:
            return self.app(environ, start_response)
        environ[_NOTE] = request = _Request(client.metrics.requests, self._template, environ)

        def watched_start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            request.status = _status(status)
            return start_response(status, headers, *error)

        try:
            body = self.app(environ, watched_start)
        except BaseException:
            request.end(500)
            raise
        finally:
            # What the thread does next, and the server between two parts of a stream, is not this request.
            breakdown.suspend(request.entry.token)
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            # The server hands such a file to the kernel, but only when it gets it as it is.
            request.end()
            return body
        return _Body(body, request)

    def _metrics(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = answer(
            self._registry,
            environ.get("REQUEST_METHOD", "GET"),
            environ.get("HTTP_ACCEPT", ""),
            environ.get("HTTP_AUTHORIZATION", ""),
        )
        start_response(f"{status} {_REASONS[status]}", headers)
        return [body]


class _Request:
    """One request, from its first moment to its last.

    Args:
        requests: Where it is counted.
        template: Returns its route template.
        environ: Its environment.
    """

    __slots__ = ("_environ", "_open", "_requests", "_started", "_template", "entry", "status")

    def __init__(self, requests: RequestMetrics, template: Template, environ: Environ) -> None:
        self._requests = requests
        self._template = template
        self._environ = environ
        self._open = True
        self.status = 0
        requests.in_flight += 1
        self.entry = breakdown.enter("request")
        self._started = perf_counter()

    def end(self, status: int = 0) -> None:
        """Count it, once; never raises.

        Args:
            status: What the client got; by default what the application said, 500 when it said nothing.
        """
        if not self._open:
            return
        self._open = False
        ended = perf_counter()
        duration_s = ended - self._started
        try:
            collector = self.entry.collector
            collector.over()
            requests = self._requests
            requests.in_flight -= 1
            method = self._environ.get("REQUEST_METHOD", "")
            series = requests.open(method if method in METHODS else OTHER_METHOD, self._template(self._environ))
            status = self.status or status or 500
            series.duration.observe(duration_s)
            (series.statuses.get(status) or series.status(status)).add()
            kept = series.kept
            kept.seen += 1
            if duration_s > kept.floor_s or kept.seen >= kept.next_sample or status >= 500:
                trace = trace_id(self._environ.get("HTTP_TRACEPARENT", ""))
                at = time() - duration_s
                requests.examples.keep(kept, status, at, duration_s, collector.told(ended), None, trace)
        except Exception as error:  # noqa: BLE001 - counting must not fail a request
            warn("wsgi.count", "huoyan: a request could not be counted", error=error)


class _Body:
    """The response as the server takes it; the request ends with its last part, or when it is closed before."""

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body = body
        self._request = request
        if hasattr(body, "__len__"):
            # Servers set the length of a response that is one part.
            self.__class__ = _SizedBody

    def __iter__(self) -> Iterator[bytes]:
        request = self._request
        try:
            parts = iter(self._body)
            while True:
                # What makes a part may call dependencies; the server that sends it is not this request.
                token = breakdown.resume(request.entry.collector)
                try:
                    part = next(parts)
                except StopIteration:
                    break
                finally:
                    breakdown.suspend(token)
                yield part
        except GeneratorExit:
            raise  # The client went away; the server closes the response.
        except BaseException:
            request.end(500)
            raise
        request.end()

    def close(self) -> None:
        """Close the response of the application, as the server does in every case."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.end()


class _SizedBody(_Body):
    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]


class WsgiIntegration:
    """Flask applications."""

    framework = "flask"
    options = frozenset({"metrics_path", "registry", "exclude"})

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put the middleware around the application."""
        path = routes.metrics_path(options, process.client().settings)
        excluded = routes.excluded(path, options.get("exclude", ()))
        registry = routes.registry(options)

        def owns(path: str) -> bool:
            # Asked when it matters: applications are watched before they have their rules.
            return any(rule.rule == path for rule in thing.url_map.iter_rules())

        thing.wsgi_app = Middleware(thing.wsgi_app, _rule, excluded, path, registry, owns)
        # Before the functions of the application, any of which may answer in place of the view.
        thing.before_request_funcs.setdefault(None, []).insert(0, _note_rule)

    def unwatch(self, thing: Any) -> None:
        """Take the middleware out again; one that something else stands around stays, and counts on."""
        if isinstance(thing.wsgi_app, Middleware):
            thing.wsgi_app = thing.wsgi_app.app
            thing.before_request_funcs[None].remove(_note_rule)


def _note_rule() -> None:
    """Note the rule that took a request: Flask keeps it with the request, which is gone when the response was sent."""
    with guard("flask.route"):
        from flask import request

        rule = request.url_rule
        if rule is not None:
            request.environ[f"{_NOTE}.rule"] = rule.rule


def _rule(environ: Environ) -> str:
    rule = environ.get(f"{_NOTE}.rule")
    return f"{environ.get('SCRIPT_NAME', '')}{rule}" if rule else UNMATCHED


def wsgi(
    app: App,
    *,
    template: Template | None = None,
    metrics_path: str | None = "/metrics",
    exclude: Iterable[str] = (),
    registry: "CollectorRegistry | None" = None,
) -> App:
    """Return a WSGI application that answers as `app` does and counts its requests.

    Args:
        app: Any WSGI application; Flask applications are given to `watch`.
        template: Returns the route template of a request from its environment, once it was answered. By default the
            rule that the router left in `wsgiorg.routing_args` or `huoyan.route`, else all requests share one value.
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
    if not client.settings.enabled:
        return app
    client.watched(Reporter(client, "wsgi", client.settings.service, None))
    return Middleware(app, template or _noted, excluded, path, routes.registry(options))


def _noted(environ: Environ) -> str:
    return str(environ.get("huoyan.route") or UNMATCHED)


def _status(line: str) -> int:
    try:
        return int(line[:3])
    except ValueError:
        return 500


integration = WsgiIntegration()
