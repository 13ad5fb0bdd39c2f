"""SQLAlchemy engines, synchronous and asynchronous: every statement by operation and table, commits, and the pool.

What a dialect calls its driver by (`do_execute`, `do_commit`, …, see
https://docs.sqlalchemy.org/en/20/core/internals.html#sqlalchemy.engine.Dialect) is replaced on the dialect of the
watched engine, so that the time measured is the driver's alone. The events around a statement would do as well, but
SQLAlchemy needs several microseconds to call them (see `bench/dependency_overhead.py`), and there are none around a
commit or the wait for a connection.
"""

from collections.abc import Callable, Mapping
from typing import Any

from huoyan.client.calls import Call, Series, SeriesCache, begin, claim, release, series
from huoyan.client.dependencies.sqlalchemy.fetching import Fetching, has_rows_to_come
from huoyan.client.dependencies.sqlalchemy.pool import PoolWatch
from huoyan.client.dependencies.sqlalchemy.tree import from_tree
from huoyan.client.guard import guard, warn
from huoyan.client.reporter import Reporter
from huoyan.client.statement import OTHER, Statements
from huoyan.signals.metrics.application import DB_QUERY_DURATION, DB_QUERY_ERRORS

_COMMIT = "COMMIT"
_CONNECT = "CONNECT"
_MAX_KEPT_CHARS = 10_000
_KEPT_AS = "_huoyan_watch"
_REPLACED = ("do_execute", "do_executemany", "do_execute_no_params", "do_commit")


class _Watch:
    """The hooks in one engine."""

    def __init__(self, engine: Any, reporter: Reporter) -> None:
        self._client = reporter.client
        self._database = target_of(engine.url)
        self._statements = Statements(engine.dialect.name)
        self._series = SeriesCache()
        self._pool: PoolWatch | None = None
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
            if error is None and self._looks_while_fetching and has_rows_to_come(context):
                context.cursor_fetch_strategy = Fetching(series, call)
            else:
                series.finish(call, failed)
        except Exception as own:  # noqa: BLE001 - the statement was executed all the same
            warn("sqlalchemy.statement", "huoyan: a statement could not be measured", error=own)

    def _describe(self, statement: str, compiled: Any) -> Series:
        told = None
        with guard("sqlalchemy.describe"):
            told = from_tree(compiled)
        if told is None or not told[1]:
            # The tree of a text with columns, or of a query that reads from none but within `EXISTS`, names no table.
            read = self._statements.describe(statement)
            told = told if told is not None and read[1] == OTHER else read
        if len(statement) > _MAX_KEPT_CHARS:
            # Thousands of long texts, each with other values in it, would fill memory.
            return self._named(*told)
        return self._series.put(statement, self._make(told))

    def _make(self, what: tuple[str, str]) -> Series:
        values = (*what, self._database)
        return series(
            self._client,
            ("database", *what),
            (DB_QUERY_DURATION, values),
            (DB_QUERY_ERRORS, values),
            ("database", self._database),
        )

    def _named(self, operation: str, table: str = "") -> Series:
        """Return the series of an operation, of what is no statement for instance."""
        what = (operation, table)
        return self._series.get(what) or self._series.put(what, self._make(what))

    def _watch_pool(self, pool: Any) -> None:
        """Watch the pool, a new one after each `Engine.dispose`."""
        if self._pool is not None:
            self._pool.detach()
        self._pool = PoolWatch(pool, self._client, self._database, lambda: self._named(_CONNECT))
        self._pool.attach(self._watch_pool)


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
