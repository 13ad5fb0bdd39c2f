"""What OpenTelemetry's instrumentations see: a span processor that turns client spans into the same figures.

Attribute names are those of the semantic conventions for databases, HTTP, RPC and messaging, the stable ones and those
before (https://opentelemetry.io/docs/specs/semconv/non-normative/db-migration/ and
https://opentelemetry.io/docs/specs/semconv/non-normative/http-migration/).

Nothing counts twice: a span within another one that is counted is left out, and so are the spans of a library of
which something is watched by a hook of its own. SQLAlchemy's instrumentation leaves the context of its span before the
statement is executed, so the driver's span is no child of it; the context remembers which one is open.
"""

from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar
from time import perf_counter
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from huoyan.client.calls import Call, Series, SeriesCache, abandon, begin, is_claimed, series
from huoyan.client.guard import guard
from huoyan.client.outbound import OutboundRequests, host_label
from huoyan.client.reporter import Reporter
from huoyan.client.statement import OTHER, Statements
from huoyan.signals.metric import Metric
from huoyan.signals.metrics.application import (
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    REDIS_COMMAND_DURATION,
    REDIS_COMMAND_ERRORS,
)

_MAX_OPEN = 10_000
_MAX_LABEL_CHARS = 100
_KINDS = frozenset({SpanKind.CLIENT, SpanKind.PRODUCER})
_REDIS = frozenset({"redis", "valkey"})
_SQLALCHEMY = "sqlalchemy"
_DRIVERS = frozenset(
    ("psycopg", "psycopg2", "asyncpg", "aiopg", "sqlite3", "mysql", "mysqlclient", "pymysql", "pymssql", "dbapi")
)
_CONNECT = "connect"
_SHOWN_WAIT_S = 0.001
_OWN_HOOK = {
    **dict.fromkeys((_SQLALCHEMY, *_DRIVERS), "sqlalchemy"),
    "redis": "redis",
    "httpx": "httpx",
    "requests": "requests",
    "urllib3": "requests",
}
"""Instrumentation → the library whose watched objects make its spans superfluous."""

Attributes = Mapping[str, Any]


class _Open(NamedTuple):
    """A span that has begun."""

    span: Any
    call: Call
    parent: "_Open | None"


_executing: ContextVar[_Open | None] = ContextVar("huoyan_otel_executing", default=None)
"""The span of SQLAlchemy that was begun last here."""


class _Processor(SpanProcessor):
    """Counts the client spans of one provider."""

    def __init__(self, reporter: Reporter) -> None:
        self.active = True
        self._client = reporter.client
        self._open: OrderedDict[int, _Open] = OrderedDict()
        self._series = SeriesCache()
        self._outbound = OutboundRequests(reporter.client)
        self._statements: dict[str, Statements] = {}

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Begin a call, when the span is one."""
        with guard("opentelemetry.start"):
            if not self.active or span.kind not in _KINDS or span.context is None:
                return
            parent = self._open.get(trace.get_current_span(parent_context).get_span_context().span_id)
            library = _library(span)
            if library in _DRIVERS:
                around = _executing.get()
                if around is not None and around.span.context.span_id in self._open:
                    parent = around
            begun = self._open[span.context.span_id] = _Open(span, begin(), parent)
            if library == _SQLALCHEMY:
                _executing.set(begun)
            if len(self._open) > _MAX_OPEN:
                abandon(self._open.popitem(last=False)[1].call)

    def on_end(self, span: ReadableSpan) -> None:
        """End the call, and count it."""
        with guard("opentelemetry.end"):
            if span.context is None:
                return
            begun = self._open.pop(span.context.span_id, None)
            if begun is None:
                return
            attributes: Attributes = span.attributes or {}
            if not self.active or _is_seen_otherwise(span) or _is_within_counted(begun) or not _kind(attributes):
                abandon(begun.call)
                return
            call = begun.call
            if span.start_time is not None and span.end_time is not None:
                # A span may be given its times by who makes it.
                call = (call[0], perf_counter() - max(0, span.end_time - span.start_time) / 1e9)
            self._finish(call, span, attributes)

    def shutdown(self) -> None:
        """Count no more."""
        self.active = False

    def _finish(self, call: Call, span: ReadableSpan, attributes: Attributes) -> None:
        kind = _kind(attributes)
        failed = span.status.status_code is StatusCode.ERROR or "error.type" in attributes
        if kind == "http":
            status = _first(attributes, "http.response.status_code", "http.status_code")
            answered = status if isinstance(status, int) else None
            method = str(_first(attributes, "http.request.method", "http.method"))
            self._outbound.finish(call, method, _peer(attributes), answered, None, _reason(span, attributes))
            return
        if _library(span) == _SQLALCHEMY and span.name == _CONNECT:
            self._connect(call, failed, _server(kind, attributes))
            return
        what = self._database(span, attributes) if kind in ("database", "redis") else _exchange(kind, attributes)
        key = (kind, *what, _server(kind, attributes))
        (self._series.get(key) or self._make(key)).finish(call, failed)

    def _connect(self, call: Call, failed: bool, server: str) -> None:
        """Count a connection that was taken from the pool, or could not be had."""
        if failed:
            key = ("database", "CONNECT", "", server)
            (self._series.get(key) or self._make(key)).finish(call, failed)
            return
        waited_s = perf_counter() - call[1]
        wait = self._client.measurements.distribution(DB_POOL_WAIT).child((server,))
        if waited_s >= _SHOWN_WAIT_S:
            Series(wait, None, None, ("pool", _CONNECT, server)).finish(call)
        else:
            wait.observe(waited_s)
            abandon(call)

    def _database(self, span: ReadableSpan, attributes: Attributes) -> tuple[str, str]:
        system = str(_first(attributes, "db.system.name", "db.system"))
        text = _first(attributes, "db.query.text", "db.statement")
        operation = str(_first(attributes, "db.operation.name", "db.operation") or "").upper()[:_MAX_LABEL_CHARS]
        if system in _REDIS:
            words = str(text or operation or span.name).split(None, 1)
            several = "\n" in str(text or "").strip()
            return "PIPELINE" if several else (words[0].upper() if words else OTHER), ""
        table = str(_first(attributes, "db.collection.name", "db.sql.table") or "")[:_MAX_LABEL_CHARS]
        if isinstance(text, str) and text and not (operation and table):
            statements = self._statements.get(system)
            if statements is None and len(self._statements) < _MAX_LABEL_CHARS:
                statements = self._statements[system] = Statements(system)
            if statements is not None:
                told = statements.describe(text)
                return (told[0] if told[0] != OTHER or not operation else operation), table or told[1]
        return operation or OTHER, table or ("" if operation else OTHER)

    def _make(self, key: tuple[str, str, str, str]) -> Series:
        component, operation, target, server = key
        metrics: tuple[Metric, Metric] | None = None
        values: tuple[str, ...] = (operation, target, server)
        if component == "redis":
            metrics, values, target = (REDIS_COMMAND_DURATION, REDIS_COMMAND_ERRORS), (operation, server), server
        elif component == "database":
            metrics = (DB_QUERY_DURATION, DB_QUERY_ERRORS)
        made = series(
            self._client,
            (component, operation, target),
            None if metrics is None else (metrics[0], values),
            None if metrics is None else (metrics[1], values),
            (component, server or target),
        )
        return self._series.put(key, made)


def _kind(attributes: Attributes) -> str:
    """Return what a span is a call of, empty for anything else."""
    system = _first(attributes, "db.system.name", "db.system")
    if system is not None:
        return "redis" if system in _REDIS else "database"
    if _first(attributes, "http.request.method", "http.method") is not None:
        return "http"
    if _first(attributes, "rpc.system.name", "rpc.system") is not None:
        return "rpc"
    return "messaging" if "messaging.system" in attributes else ""


def _exchange(kind: str, attributes: Attributes) -> tuple[str, str]:
    """Return operation and target of a remote procedure or message."""
    if kind == "rpc":
        operation, target = _first(attributes, "rpc.method"), _first(attributes, "rpc.service", "rpc.system")
    else:
        operation = _first(attributes, "messaging.operation.type", "messaging.operation.name", "messaging.operation")
        target = _first(attributes, "messaging.destination.name", "messaging.destination")
    return str(operation or OTHER)[:_MAX_LABEL_CHARS], str(target or "")[:_MAX_LABEL_CHARS]


def _server(kind: str, attributes: Attributes) -> str:
    """Return what is called, in the words of the hooks: host:port/database for databases and Redis."""
    peer = _peer(attributes)
    if kind == "database":
        name = str(_first(attributes, "db.namespace", "db.name") or "")
        # Of a file the name alone.
        return (f"{peer}/{name}" if peer and name else peer or name.rpartition("/")[2])[:_MAX_LABEL_CHARS]
    if kind == "redis" and peer:
        number = _first(attributes, "db.namespace", "db.redis.database_index")
        return f"{peer}/{0 if number is None else number}"[:_MAX_LABEL_CHARS]
    return peer


def _peer(attributes: Attributes) -> str:
    host = _first(attributes, "server.address", "net.peer.name", "http.host")
    port = _first(attributes, "server.port", "net.peer.port")
    if host is None:
        url = _first(attributes, "url.full", "http.url")
        if url is None:
            return ""
        parts = urlsplit(str(url))
        host, port = parts.hostname, parts.port
    return host_label(str(host), port if isinstance(port, int) else None)[:_MAX_LABEL_CHARS]


def _first(attributes: Attributes, *names: str) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _is_within_counted(begun: _Open) -> bool:
    """Tell whether a span around this one is counted; its attributes may be set after its start."""
    parent = begun.parent
    while parent is not None:
        if _kind(parent.span.attributes or {}):
            return True
        parent = parent.parent
    return False


def _library(span: ReadableSpan) -> str:
    """Return the library that is instrumented: `opentelemetry.instrumentation.redis` is `redis`."""
    scope = span.instrumentation_scope
    return scope.name.rpartition(".")[2] if scope is not None else ""


def _is_seen_otherwise(span: ReadableSpan) -> bool:
    hooked = _OWN_HOOK.get(_library(span))
    return hooked is not None and is_claimed(hooked)


def _reason(span: ReadableSpan, attributes: Attributes) -> str:
    """Return the name of the exception that a span ended with, without its module."""
    raised = (event.attributes or {} for event in reversed(span.events) if event.name == "exception")
    told = attributes.get("error.type") or next(raised, {}).get("exception.type") or ""
    return str(told).rpartition(".")[2][:_MAX_LABEL_CHARS]


class OpenTelemetryIntegration:
    """Watches a tracer provider of the SDK."""

    framework = ""
    options: frozenset[str] = frozenset()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Add a span processor to a provider."""
        processor = _Processor(reporter)
        thing.add_span_processor(processor)
        thing._huoyan_processor = processor

    def unwatch(self, thing: Any) -> None:
        """Let the processor do nothing: the SDK cannot take one out."""
        processor = vars(thing).pop("_huoyan_processor", None)
        if processor is not None:
            processor.shutdown()


integration = OpenTelemetryIntegration()
