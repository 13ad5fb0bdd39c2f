"""SQLAlchemy engines, synchronous and asynchronous: every statement by operation and table, commits, and the pool.

What a dialect calls its driver by (`do_execute`, `do_commit`, …, see
https://docs.sqlalchemy.org/en/20/core/internals.html#sqlalchemy.engine.Dialect) is replaced on the dialect of the
watched engine, so that the time measured is the driver's alone. The events around a statement would do as well, but
SQLAlchemy needs several microseconds to call them (see `bench/dependency_overhead.py`), and there are none around a
commit or the wait for a connection.

SQLite looks for rows while they are fetched; there the statement lasts from its execution to its last row, the time
between two rows left out. A strategy of the execution context (`cursor_fetch_strategy`) measures that.
"""

from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine.cursor import CursorFetchStrategy
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.sql import selectable
from sqlalchemy.sql.dml import UpdateBase

from huoyan.client.calls import Call, LongCall, Series, SeriesCache, abandon, begin, claim, release, series
from huoyan.client.guard import guard, guarded, warn
from huoyan.client.measurements import Distribution, Gauge, Measurements
from huoyan.client.reporter import Reporter
from huoyan.client.statement import Statements
from huoyan.signals.metrics.application import (
    DB_POOL_IN_USE,
    DB_POOL_SIZE,
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
)

FRAMEWORK = "sqlalchemy"
_MAX_DEPTH = 30
_MAX_NAME_CHARS = 100
_SHOWN_WAIT_S = 0.001
_COMMIT = "COMMIT"
_CONNECT = "CONNECT"
_KEPT_AS = "_huoyan_watch"
_PLAIN_FETCH = DefaultExecutionContext.cursor_fetch_strategy
_REPLACED = ("do_execute", "do_executemany", "do_execute_no_params", "do_commit")


class _Watch:
    """The hooks in one engine."""

    def __init__(self, engine: Any, reporter: Reporter) -> None:
        self._client = reporter.client
        self._database = target_of(engine.url)
        self._statements = Statements(engine.dialect.name)
        self._series = SeriesCache()
        self._pool: _PoolWatch | None = None
        # An asynchronous driver of SQLite has fetched every row when it says that the statement is executed.
        self._looks_while_fetching = engine.dialect.name == "sqlite" and not engine.dialect.is_async

    def attach(self, engine: Any) -> None:
        """Put the hooks in."""
        dialect = engine.dialect
        for name in ("do_execute", "do_executemany"):
            setattr(dialect, name, self._executing(getattr(dialect, name)))
        dialect.do_execute_no_params = self._executing_without(dialect.do_execute_no_params)
        dialect.do_commit = self._committing(dialect.do_commit)
        self._watch_pool(engine.pool)

    def detach(self, engine: Any) -> None:
        """Take the hooks out."""
        for name in _REPLACED:
            vars(engine.dialect).pop(name, None)
        if self._pool is not None:
            self._pool.detach()

    def _executing(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        finish = self._finish

        def call(cursor: Any, statement: str, parameters: Any, context: Any = None) -> Any:
            begun = begin()
            try:
                result = execute(cursor, statement, parameters, context)
            except BaseException as error:
                finish(begun, statement, context, error)
                raise
            finish(begun, statement, context, None)
            return result

        return call

    def _executing_without(self, execute: Callable[..., Any]) -> Callable[..., Any]:
        finish = self._finish

        def call(cursor: Any, statement: str, context: Any = None) -> Any:
            begun = begin()
            try:
                result = execute(cursor, statement, context)
            except BaseException as error:
                finish(begun, statement, context, error)
                raise
            finish(begun, statement, context, None)
            return result

        return call

    def _committing(self, commit: Callable[..., Any]) -> Callable[..., Any]:
        named = self._named

        def call(connection: Any) -> Any:
            begun = begin()
            failed = True
            try:
                result = commit(connection)
                failed = False
            finally:
                with guard("sqlalchemy.commit"):
                    named(_COMMIT).finish(begun, failed)
            return result

        return call

    def _finish(self, call: Call, statement: str, context: Any, error: BaseException | None) -> None:
        try:
            compiled = None if context is None else context.compiled
            if compiled is not None:
                # Before lists are expanded and rows multiplied: one text for one statement of the program.
                statement = compiled.string or statement
            # What was cancelled took its time, and says nothing about the database.
            failed = error is not None and isinstance(error, Exception)
            series = self._series.get(statement) or self._describe(statement, compiled)
            if error is None and self._looks_while_fetching and _has_rows_to_come(context):
                context.cursor_fetch_strategy = _Fetching(series, call)
            else:
                series.finish(call, failed)
        except Exception as own:  # noqa: BLE001 - the statement was executed all the same
            warn("sqlalchemy.statement", "huoyan: a statement could not be measured", error=own)

    def _describe(self, statement: str, compiled: Any) -> Series:
        told = None
        with guard("sqlalchemy.describe"):
            told = _from_tree(compiled)
        return self._series.put(statement, self._make(told or self._statements.describe(statement)))

    def _make(self, what: tuple[str, str]) -> Series:
        values = (*what, self._database)
        return series(
            self._client,
            ("database", *what),
            (DB_QUERY_DURATION, values),
            (DB_QUERY_ERRORS, values),
            ("database", self._database),
        )

    def _named(self, operation: str) -> Series:
        """Return the series of what is no statement."""
        return self._series.get((operation,)) or self._series.put((operation,), self._make((operation, "")))

    def _watch_pool(self, pool: Any) -> None:
        """Watch the pool, a new one after each `Engine.dispose`."""
        if self._pool is not None:
            self._pool.detach()
        self._pool = _PoolWatch(pool, self._client, self._database, lambda: self._named(_CONNECT))
        self._pool.attach(self._watch_pool)


_fetchone, _fetchmany, _fetchall = (
    CursorFetchStrategy.fetchone,
    CursorFetchStrategy.fetchmany,
    CursorFetchStrategy.fetchall,
)
_soft_close, _hard_close = CursorFetchStrategy.soft_close, CursorFetchStrategy.hard_close


class _Fetching(CursorFetchStrategy):
    """Fetches as SQLAlchemy does, and measures it: the rest of a call that its execution began."""

    __slots__ = ("_call", "_closed", "_fetches")

    def __init__(self, series: Series, call: Call) -> None:
        self._call = LongCall(series, call)
        self._fetches = False
        self._closed = False

    def fetchone(self, result: Any, dbapi_cursor: Any, hard_close: bool = False) -> Any:
        self._fetches = failed = True
        started = perf_counter()
        try:
            row = _fetchone(self, result, dbapi_cursor, hard_close)
            failed = False
        finally:
            self._fetched(started, failed)
        return row

    def fetchmany(self, result: Any, dbapi_cursor: Any, size: int | None = None) -> Any:
        self._fetches = failed = True
        started = perf_counter()
        try:
            rows = _fetchmany(self, result, dbapi_cursor, size)
            failed = False
        finally:
            self._fetched(started, failed)
        return rows

    def fetchall(self, result: Any, dbapi_cursor: Any) -> Any:
        self._fetches = failed = True
        started = perf_counter()
        try:
            rows = _fetchall(self, result, dbapi_cursor)
            failed = False
        finally:
            self._fetched(started, failed)
        return rows

    def soft_close(self, result: Any, dbapi_cursor: Any) -> None:
        self._close()
        _soft_close(self, result, dbapi_cursor)

    def hard_close(self, result: Any, dbapi_cursor: Any) -> None:
        self._close()
        _hard_close(self, result, dbapi_cursor)

    def yield_per(self, result: Any, dbapi_cursor: Any, num: int) -> None:
        # Its rows come through a buffer, which is not measured.
        self._close()
        super().yield_per(result, dbapi_cursor, num)

    def __del__(self) -> None:
        # Of a result that nobody read to its end.
        self._close()

    def _fetched(self, started: float, failed: bool) -> None:
        self._fetches = False
        try:
            self._call.add(started, failed)
            if self._closed or failed:
                self._call.end()
        except Exception as own:  # noqa: BLE001 - the rows were fetched all the same
            warn("sqlalchemy.fetch", "huoyan: a fetch could not be measured", error=own)

    def _close(self) -> None:
        self._closed = True
        if not self._fetches:
            try:
                self._call.end()
            except Exception as own:  # noqa: BLE001 - the result is closed all the same
                warn("sqlalchemy.fetch", "huoyan: a statement could not be measured", error=own)


def _has_rows_to_come(context: Any) -> bool:
    """Tell whether a statement that was executed leaves rows to be fetched one after the other."""
    return (
        context is not None
        and context.cursor_fetch_strategy is _PLAIN_FETCH
        and context.cursor.description is not None
        and not context.execution_options.get("stream_results", False)
    )


class _PoolWatch:
    """The hooks in the pool of an engine: how long a connection is waited for, and how many are lent out."""

    def __init__(self, pool: Any, client: Any, name: str, connecting: Callable[[], Series]) -> None:
        self.pool = pool
        self._client = client
        self._name = name
        self._connecting = connecting
        self._lent = getattr(pool, "checkedout", None)
        self._count = 0
        self._measurements: Measurements | None = None
        self._in_use = Gauge()
        self._wait = Distribution()

    def attach(self, on_new: Callable[[Any], None]) -> None:
        """Put the hooks in.

        Args:
            on_new: Called with the pool that comes in place of this one.
        """
        connect, recreate = self.pool.connect, self.pool.recreate

        def waiting_connect() -> Any:
            call = begin()
            try:
                connection = connect()
            except BaseException as error:
                with guard("sqlalchemy.connect"):
                    self._connecting().finish(call, isinstance(error, Exception))
                raise
            with guard("sqlalchemy.connect"):
                self._connected(call)
            return connection

        def watched_recreate() -> Any:
            # An event of the engine would tell, too, and make every statement slower.
            new = recreate()
            with guard("sqlalchemy.pool"):
                on_new(new)
            return new

        self.pool.connect = waiting_connect
        self.pool.recreate = watched_recreate
        self._checkin = guarded("sqlalchemy.checkin")(self._returned)
        event.listen(self.pool, "checkin", self._checkin)

    def detach(self) -> None:
        """Take the hooks out."""
        for name in ("connect", "recreate"):
            vars(self.pool).pop(name, None)
        with guard("sqlalchemy.unwatch"):
            event.remove(self.pool, "checkin", self._checkin)

    def _connected(self, call: Any) -> None:
        collector, started = call
        ended = perf_counter()
        if self._measurements is not self._client.measurements:
            self._renew()
        self._wait.observe(ended - started)
        if collector is not None:
            if ended - started >= _SHOWN_WAIT_S:
                collector.open -= 1
                collector.add(started, ended, ("pool", "connect", self._name), False)
            else:
                abandon(call)
        self._count += 1
        self._in_use.value = self._lent() if self._lent is not None else self._count

    def _returned(self, *_: object) -> None:
        if self._count > 0:
            self._count -= 1
        self._in_use.value = max(0, self._lent() - 1) if self._lent is not None else self._count

    def _renew(self) -> None:
        measurements = self._measurements = self._client.measurements
        labels = (self._name,)
        self._wait = measurements.distribution(DB_POOL_WAIT).child(labels)
        self._in_use = measurements.gauge(DB_POOL_IN_USE).child(labels)
        overflow = getattr(self.pool, "_max_overflow", -1)
        if overflow >= 0 and hasattr(self.pool, "size"):
            measurements.gauge(DB_POOL_SIZE).child(labels).set(self.pool.size() + overflow)


def _from_tree(compiled: Any) -> tuple[str, str] | None:
    """Return (operation, main table) of a statement that SQLAlchemy built; None for text and what is no query."""
    statement = getattr(compiled, "statement", None)
    if isinstance(statement, UpdateBase):
        operation = statement.__visit_name__.upper()
        return operation, _table(statement.table, 0)
    if isinstance(statement, selectable.SelectBase):
        return "SELECT", _table(statement, 0)
    return None


def _table(source: Any, depth: int) -> str:
    """Return the name of the table that a source of rows is first of all about."""
    if source is None or depth > _MAX_DEPTH:
        return ""
    if isinstance(source, selectable.Join):
        return _table(source.left, depth + 1)
    if isinstance(source, selectable.CTE):
        # A recursive one begins with what it starts from; its own name is no table.
        return _table(source.element, depth + 1)
    if isinstance(source, selectable.CompoundSelect):
        return _table(source.selects[0], depth + 1)
    if isinstance(source, selectable.Select):
        froms = source.get_final_froms()
        return _table(froms[0], depth + 1) if froms else ""
    if isinstance(source, selectable.TableClause):
        schema = getattr(source, "schema", None)
        return (f"{schema}.{source.name}" if schema else str(source.name))[:_MAX_NAME_CHARS]
    element = getattr(source, "element", None)
    if element is None or isinstance(source, selectable.TableValuedAlias):
        return ""
    return _table(element, depth + 1)


def target_of(url: Any) -> str:
    """Return the name of a database: its host and name, of a file the name alone, in memory that of the program."""
    # A file may be named by a URI with options: `file:shop.db?mode=ro&uri=true`.
    path = str(url.database or "").partition("?")[0].removeprefix("file:")
    name = path.rpartition("/")[2].replace(":memory:", "")
    if url.host:
        return f"{url.host}{f':{url.port}' if url.port else ''}/{name}"
    return name or str(url.get_backend_name())


class SQLAlchemyIntegration:
    """Watches engines. An `AsyncEngine` and its `sync_engine` are one, and so are those that `execution_options`
    makes of one."""

    framework = ""
    options: frozenset[str] = frozenset()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Put hooks into an engine."""
        engine = getattr(thing, "sync_engine", thing)
        if _KEPT_AS not in vars(engine.dialect):
            watch = _Watch(engine, reporter)
            # With the engine, so that it goes when the engine goes.
            setattr(engine.dialect, _KEPT_AS, watch)
            watch.attach(engine)
            claim("sqlalchemy", engine.dialect)

    def unwatch(self, thing: Any) -> None:
        """Take the hooks out again."""
        engine = getattr(thing, "sync_engine", thing)
        watch = vars(engine.dialect).pop(_KEPT_AS, None)
        if watch is not None:
            watch.detach(engine)
            release("sqlalchemy", engine.dialect)


integration = SQLAlchemyIntegration()
