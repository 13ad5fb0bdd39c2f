"""`huoyan.backlog`: what waits in a list, stream, sorted set or table, read when somebody asks, never in the way."""

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from huoyan.client import process
from huoyan.client.guard import guard, warn
from huoyan.client.measurements import Measurements
from huoyan.client.thread import start as start_thread
from huoyan.model.labels import clean_label_value
from huoyan.signals.metrics.application import BACKLOG

_WAIT_S = 0.2
_OLDEST_S = 30.0
_MAX_BACKLOGS = 200
_LENGTHS = {"list": "llen", "stream": "xlen", "zset": "zcard", "set": "scard", "hash": "hlen"}
"""Redis type → the command that counts (https://redis.io/docs/latest/commands/type/)."""


class Backlog:
    """One backlog and its reader.

    A read runs in a thread of its own. One that hangs leaves the backlog unknown and starts no other.
    """

    def __init__(self, name: str, read: Callable[[], float], timeout_s: float) -> None:
        self.name = name
        self._read = read
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
            value = float(self._read())
        except Exception as error:  # noqa: BLE001 - the backlog is unknown, and that is all
            warn(f"backlog-{self.name}", "huoyan: backlog %s cannot be read: %s", self.name, error)
        if monotonic() - self._began > self._timeout_s:
            value = None
        self._value, self._value_at = value, monotonic()
        self._done.set()


_lock = threading.Lock()
_backlogs: dict[str, Backlog] = {}


def backlog(
    name: str, source: Any, *, key: str | None = None, sql: str | None = None, timeout_s: float = 1.0
) -> Backlog | None:
    """Report how much waits in a backlog, at each report and scrape; again harmlessly.

    While it cannot be read, or not within `timeout_s`, there is no value.

    Args:
        name: Name of the backlog, its label in `huoyan_backlog`.
        source: A Redis client (with `key`), a SQLAlchemy engine (with `sql`), or a function that returns a number.
        key: Key of a Redis list, stream, sorted set, set or hash, whichever it is.
        sql: A statement whose first value is the number: `SELECT count(*) FROM mails WHERE sent_at IS NULL`.
        timeout_s: How long a read may take, in seconds. Default 1.
    """
    with guard("backlog"):
        label = clean_label_value(name)
        with _lock:
            known = _backlogs.get(label)
            if known is None and len(_backlogs) >= _MAX_BACKLOGS:
                warn("backlogs", "huoyan: more than %d backlogs; %s is not read", _MAX_BACKLOGS, label)
                return None
            made = Backlog(label, _reader(source, key, sql), timeout_s)
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


def _reader(source: Any, key: str | None, sql: str | None) -> Callable[[], float]:
    if key is not None:
        return lambda: _redis_length(source, key)
    if sql is not None:
        return lambda: _sql_number(source, sql)
    if not callable(source):
        raise TypeError("expected a Redis client with key=, an engine with sql=, or a function")
    return lambda: float(source())


def _redis_length(client: Any, key: str) -> float:
    kind = client.type(key)
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    if kind == "none":
        # A list that is empty is not there at all.
        return 0.0
    return float(getattr(client, _LENGTHS[kind])(key))


def _sql_number(engine: Any, sql: str) -> float:
    with engine.connect() as connection:
        return float(connection.exec_driver_sql(sql).scalar())


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for each in _backlogs.values():
        each.forked()


process.after_fork(_after_fork)
