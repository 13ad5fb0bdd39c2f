"""`huoyan.backlog`: what waits in a list, stream, sorted set or table, read when somebody asks, never in the way."""

import math
import sys
import threading
from collections.abc import Callable, Coroutine
from inspect import iscoroutinefunction
from time import monotonic
from typing import Any

from huoyan.client import process
from huoyan.client.guard import guard, warn
from huoyan.client.measurements import Measurements
from huoyan.client.thread import start as start_thread
from huoyan.model.labels import clean_label_value
from huoyan.signals.metrics.application import BACKLOG

_WAIT_S = 0.2
_TIMEOUT_S = 1.0
_OLDEST_S = 30.0
_MAX_BACKLOGS = 200
_LENGTHS = {"list": "llen", "stream": "xlen", "zset": "zcard", "set": "scard", "hash": "hlen"}
"""Redis type → the command that counts (https://redis.io/docs/latest/commands/type/)."""


class Backlog:
    """One backlog and its reader.

    A read runs in a thread of its own. One that hangs leaves the backlog unknown and starts no other.

    Args:
        name: Its name.
        read: Returns how much waits, or a coroutine that does, which runs on an event loop of the program.
        timeout_s: How long a read may take, in seconds.
    """

    def __init__(self, name: str, read: Callable[[], Any], timeout_s: float) -> None:
        self.name = name
        self._read = read
        self.loop: Any = _running_loop()
        self._timeout_s = timeout_s
        self.forked()

    def forked(self) -> None:
        """Start afresh in a child process, where no reading thread lives on."""
        self._done = threading.Event()
        self._done.set()
        self._began = 0.0
        self._value: float | None = None
        self._value_at = float("-inf")

    def begin(self) -> None:
        """Start a read unless one is under way."""
        if self._done.is_set():
            self._done.clear()
            self._began = monotonic()
            try:
                start_thread(threading.Thread(target=self._run, name="huoyan-backlog", daemon=True))
            except RuntimeError:
                # No more threads, or the interpreter ends.
                self._done.set()

    def value(self, wait_s: float) -> float | None:
        """Return what was read last, waiting a moment for a read under way; None when that is unknown."""
        if not self._done.wait(max(0.0, wait_s)) and monotonic() - self._began > self._timeout_s:
            return None
        return self._value if monotonic() - self._value_at <= _OLDEST_S else None

    def _run(self) -> None:
        value: float | None = None
        try:
            found = self._read()
            found = float(self._awaited(found) if isinstance(found, Coroutine) else found)
            value = found if math.isfinite(found) else None
        except Exception as error:  # noqa: BLE001 - the backlog is unknown, and that is all
            warn(f"backlog-{self.name}", "huoyan: backlog %s cannot be read: %s", self.name, error)
        if monotonic() - self._began > self._timeout_s:
            value = None
        self._value, self._value_at = value, monotonic()
        self._done.set()

    def _awaited(self, read: Coroutine[Any, Any, Any]) -> Any:
        """Return what a coroutine finds out on the loop that the program runs: its connections belong to that one."""
        import asyncio

        client = process.existing()
        loop = self.loop
        if loop is None or not loop.is_running():
            loop = client.loop_lag.running() if client is not None else None
        if loop is None:
            read.close()
            raise RuntimeError("no event loop is known to run")
        future = asyncio.run_coroutine_threadsafe(read, loop)
        try:
            return future.result(self._timeout_s)
        finally:
            future.cancel()


def _running_loop() -> Any:
    # Whoever has no loop running does not pay for the import.
    module: Any = sys.modules.get("asyncio")
    return module._get_running_loop() if module is not None else None


_lock = threading.Lock()
_backlogs: dict[str, Backlog] = {}


def backlog(
    name: str, source: Any, *, key: str | bytes | None = None, sql: Any = None, timeout_s: float = _TIMEOUT_S
) -> Backlog | None:
    """Report how much waits in a backlog, at each report and scrape; again harmlessly.

    While it cannot be read, or not within `timeout_s`, there is no value.

    Args:
        name: Name of the backlog, its label in `huoyan_backlog`.
        source: A Redis client (with `key`), a SQLAlchemy engine (with `sql`), or a function that returns a number; each
            of them synchronous or asynchronous. What is asynchronous is read on the event loop that the program runs.
        key: Key of a Redis list, stream, sorted set, set or hash, whichever it is.
        sql: A statement whose first value is the number: `SELECT count(*) FROM mails WHERE sent_at IS NULL`, as text or
            built with SQLAlchemy.
        timeout_s: How long a read may take, in seconds. Default 1.
    """
    with guard("backlog"):
        label = clean_label_value(name)
        with _lock:
            known = _backlogs.get(label)
            if known is None and len(_backlogs) >= _MAX_BACKLOGS:
                warn("backlogs", "huoyan: more than %d backlogs; %s is not read", _MAX_BACKLOGS, label)
                return None
            made = Backlog(label, _reader(source, key, sql), _limit(label, timeout_s))
            _backlogs[label] = made
        client = process.client()
        if client.settings.enabled:
            if read_all not in client.outbox.readings:
                client.outbox.readings.append(read_all)
            if client.emitter is not None:
                client.emitter.ensure_started()
        return made
    return None


def read_all(measurements: Measurements) -> None:
    """Read every backlog, side by side, and set what is known of each."""
    with _lock:
        every = list(_backlogs.values())
    for each in every:
        each.begin()
    until = monotonic() + _WAIT_S
    family = measurements.gauge(BACKLOG) if every else None
    for each in every:
        if family is not None:
            family.child((each.name,)).set(each.value(until - monotonic()))


def _limit(label: str, timeout_s: object) -> float:
    if isinstance(timeout_s, int | float) and 0 < timeout_s < math.inf:
        return timeout_s
    warn(f"backlog-{label}", "huoyan: backlog %s: timeout_s: expected seconds above 0, got %r", label, timeout_s)
    return _TIMEOUT_S


def _reader(source: Any, key: str | bytes | None, sql: Any) -> Callable[[], Any]:
    if key is not None:
        if iscoroutinefunction(getattr(source, "execute_command", None)):
            return lambda: _redis_length_later(source, key)
        return lambda: _redis_length(source, key)
    if sql is not None:
        if hasattr(source, "sync_engine"):
            return lambda: _sql_number_later(source, sql)
        return lambda: _sql_number(source, sql)
    if not callable(source):
        raise TypeError("expected a Redis client with key=, an engine with sql=, or a function")
    read: Callable[[], Any] = source
    return read


def _counting(kind: str | bytes) -> str:
    """Return the command that counts what is under a key, empty when nothing is: an empty list is not there at all."""
    told = kind.decode() if isinstance(kind, bytes) else str(kind)
    if told != "none" and told not in _LENGTHS:
        raise TypeError(f"expected the key of one of {', '.join(_LENGTHS)}, got a {told}")
    return _LENGTHS.get(told, "")


def _redis_length(client: Any, key: str | bytes) -> float:
    command = _counting(client.type(key))
    return float(getattr(client, command)(key)) if command else 0.0


async def _redis_length_later(client: Any, key: str | bytes) -> float:
    command = _counting(await client.type(key))
    return float(await getattr(client, command)(key)) if command else 0.0


def _sql_number(engine: Any, sql: Any) -> Any:
    with engine.connect() as connection:
        return (connection.exec_driver_sql(sql) if isinstance(sql, str) else connection.execute(sql)).scalar()


async def _sql_number_later(engine: Any, sql: Any) -> Any:
    async with engine.connect() as connection:
        result = connection.exec_driver_sql(sql) if isinstance(sql, str) else connection.execute(sql)
        return (await result).scalar()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for each in _backlogs.values():
        each.forked()
        each.loop = None


process.after_fork(_after_fork)
