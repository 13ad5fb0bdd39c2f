"""Rows that are fetched one after the other, as a part of the statement that finds them.

SQLite looks for rows while they are fetched; there the statement lasts from its execution to its last row, the time
between two rows left out. A strategy of the execution context (`cursor_fetch_strategy`) measures that.
"""

from time import perf_counter
from typing import Any

from sqlalchemy.engine.cursor import CursorFetchStrategy
from sqlalchemy.engine.default import DefaultExecutionContext

from huoyan.client.calls import Call, LongCall, Series
from huoyan.client.guard import warn

_PLAIN_FETCH = DefaultExecutionContext.cursor_fetch_strategy
_fetchone, _fetchmany, _fetchall = (
    CursorFetchStrategy.fetchone,
    CursorFetchStrategy.fetchmany,
    CursorFetchStrategy.fetchall,
)
_soft_close, _hard_close = CursorFetchStrategy.soft_close, CursorFetchStrategy.hard_close


class Fetching(CursorFetchStrategy):
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


def has_rows_to_come(context: Any) -> bool:
    """Tell whether a statement that was executed leaves rows to be fetched one after the other."""
    return (
        context is not None
        and context.cursor_fetch_strategy is _PLAIN_FETCH
        and context.cursor.description is not None
        and not context.execution_options.get("stream_results", False)
    )
