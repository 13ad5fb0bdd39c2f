"""Where the time of a request or run went: its calls to databases, caches and other services, the rest its own.

Whoever executes a request or run enters a collector; each dependency reports its calls to the current one. The current
collector is found by a context variable, so coroutines, `asyncio.to_thread` and AnyIO's worker threads find the one of
the code that started them, and greenlets keep theirs apart. A plain `ThreadPoolExecutor` and `gevent.spawn` copy no
context: what is called there counts as the run's own time.

Time in which another one held the event loop is told apart as `event_loop`, as far as it was seen
(`huoyan.client.loop_watch`). Whether an answer was there already while the loop was held nobody knows, so such time and
the call that was waited for share it like calls that overlap.

Calls that overlap (`asyncio.gather`, threads) share the wall time in which they overlap in equal parts, so that
everything adds up to what really passed.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from contextvars import ContextVar, Token
from itertools import pairwise
from time import perf_counter
from typing import Any, NamedTuple

from huoyan.client.context import RequestContext
from huoyan.client.holds import Holds

MAX_PARTS = 32
"""Parts told at most, the last of which is `other`."""
MANY_CALLS = 128
"""With so many calls held, a collector sums them up, see `Collector.added`."""

_MAX_KEPT = 128

_MAX_CALLS_HELD = 384
_OTHER = ("other", "", "")
# Nanoseconds: what the clock resolves.
_DIGITS = 9

Key = tuple[str, str, str]
Breakdown = dict[str, Any]


Call = tuple[float, float, Key, bool | None]
"""Readings of `perf_counter` before and after one call of a dependency, what it was, and whether it failed; None where
it goes on with a call that was counted already."""


class _Part:
    """What is known of all calls with one component, operation and target."""

    __slots__ = ("calls", "covered_s", "errors", "max_s", "total_s")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.total_s = 0.0
        self.covered_s = 0.0
        self.max_s = 0.0

    def add(self, other: "_Part") -> None:
        """Count what `other` counted, too."""
        self.calls += other.calls
        self.errors += other.errors
        self.total_s += other.total_s
        self.covered_s += other.covered_s
        self.max_s = max(self.max_s, other.max_s)

    def json(self, key: Key) -> dict[str, Any]:
        """Return it as one of the `parts`."""
        component, operation, target = key
        return {
            "component": component,
            "operation": operation,
            "target": target,
            "calls": self.calls,
            "total_s": round(self.total_s, _DIGITS),
            "covered_s": round(self.covered_s, _DIGITS),
            "max_s": round(self.max_s, _DIGITS),
            "errors": self.errors,
        }


class Collector:
    """Collects the calls of one request or run, from now until it is closed.

    Calls are held, and summed up when somebody wants to know, which for nearly all requests is nobody; or when they are
    many and none is open, or very many. A call that began before such a moment and ends after it is given only the time
    after it, so that nothing is ever counted twice.

    Args:
        kind: `request` or `run`.
        parent: The collector of what this is a part of; it is told of every call, too.

    Attributes:
        calls: Calls that have ended and are not summed up.
        open: Calls that have begun and not ended.
        closed: Whether it is over: what is called now counts nowhere.
        started: When it began, a reading of `perf_counter`.
    """

    __slots__ = ("_parts", "_settled_until", "_stopped", "calls", "closed", "kind", "open", "parent", "started")

    def __init__(self, kind: str, parent: "Collector | None" = None) -> None:
        self.kind = kind
        self.parent = parent
        self.open = 0
        self.closed = False
        self.calls: list[Call] = []
        self._parts: dict[Key, _Part] = {}
        self._stopped: float | None = None
        self.started = self._settled_until = perf_counter()

    @property
    def request(self) -> RequestContext | None:
        """The ASGI request that it collects for, if it does."""
        return None

    @property
    def name(self) -> str:
        """What it collects for: an endpoint or a task; empty when that has no name."""
        return ""

    def add(self, started: float, ended: float, key: Key, failed: bool | None) -> None:
        """Count one call here and in the parents, unless they are over; see `Call`."""
        calls = self.calls
        calls.append((started, ended, key, failed))
        if self.parent is not None or len(calls) >= MANY_CALLS:
            self.added(started, ended, key, failed)

    def added(self, started: float, ended: float, key: Key, failed: bool | None) -> None:
        """Do the rest of `add` for a call that was appended to `calls`: needed with a parent, or with `MANY_CALLS`."""
        if len(self.calls) >= MANY_CALLS:
            self._relieve(ended)
        if self.parent is not None:
            self.parent.add(started, ended, key, failed)

    def _relieve(self, until: float) -> None:
        if self.closed:
            self.calls.clear()
        elif not self.open or len(self.calls) >= _MAX_CALLS_HELD:
            # With none open, nothing that comes can overlap what is held.
            self._wait(until)
            self._settle(until)

    def stop(self) -> None:
        """End its time here, unless it goes on by `resume`."""
        self._stopped = perf_counter()

    def resume(self) -> None:
        """Let its time go on."""
        self._stopped = None

    def close(self) -> Breakdown | None:
        """End it, and return the breakdown; None when no dependency was called."""
        ended = self._stopped if self._stopped is not None else perf_counter()
        self.closed = True
        self.parent = None
        return self.told(ended)

    def told(self, ended: float) -> Breakdown | None:
        """Return the breakdown of one that is closed; None when no dependency was called.

        Args:
            ended: When it was closed, a reading of `perf_counter`.
        """
        self._wait(ended)
        if not self.calls and not self._parts:
            return None
        self._settle(ended)
        return self._json(ended - self.started)

    def _wait(self, until: float) -> None:
        """Add the times in which another one held the event loop, since what is summed up already."""
        since = self._settled_until
        if since < holds.until:
            for hold in holds.over(self, since, until):
                waited = max(hold.since, since), min(hold.until, until)
                self.calls.append((*waited, ("event_loop", "", hold.holder), False))

    def _settle(self, until: float) -> None:
        with _lock:
            # Other threads may append meanwhile; those calls stay for the next time.
            calls = self.calls[:]
            del self.calls[: len(calls)]
            last = since = self._settled_until
            covered = []
            for started, ended, _, _ in calls:
                if not last <= started <= ended <= until:
                    # Some overlap, or reach out of what is summed up.
                    spans = [(min(max(call[0], since), until), min(max(call[1], since), until)) for call in calls]
                    covered = shares(spans)
                    last = max(since, *(end for _, end in spans))
                    break
                covered.append(ended - started)
                last = ended
            for (started, ended, key, failed), covered_s in zip(calls, covered, strict=True):
                part = self._parts.get(key) or self._part(key)
                duration_s = max(0.0, ended - started)
                part.calls += failed is not None
                part.errors += failed is True
                part.total_s += duration_s
                part.covered_s += covered_s
                if duration_s > part.max_s:
                    part.max_s = duration_s
            self._settled_until = last

    def _part(self, key: Key) -> _Part:
        return self._parts.setdefault(key if len(self._parts) < _MAX_KEPT else _OTHER, _Part())

    def _json(self, total_s: float) -> Breakdown:
        parts = sorted(self._parts.items(), key=lambda item: -item[1].covered_s)
        if len(parts) > MAX_PARTS:
            rest = _Part()
            named: list[tuple[Key, _Part]] = []
            for key, part in parts:
                if key != _OTHER and len(named) < MAX_PARTS - 1:
                    named.append((key, part))
                else:
                    rest.add(part)
            parts = [*named, (_OTHER, rest)]
        told = [part.json(key) for key, part in parts]
        covered_s = sum(part["covered_s"] for part in told)
        own_s = max(0.0, round(total_s - covered_s, _DIGITS))
        return {"total_s": round(covered_s + own_s, _DIGITS), "own_s": own_s, "parts": told}


def shares(spans: Sequence[tuple[float, float]]) -> list[float]:
    """Return the wall time of each span that belongs to it: where k spans overlap, each gets the k-th part.

    Args:
        spans: (start, end), in any order and one unit.

    Returns:
        The shares in the same order. They are not negative, and their sum is the time that the spans cover together.
    """
    if all(end <= start for (_, end), (start, _) in pairwise(spans)):
        return [max(0.0, end - start) for start, end in spans]
    # earned[t] is what a span that is open all the time has got until t; a span gets what was earned while it was open.
    changes = sorted(_changes(spans))
    earned: dict[float, float] = {}
    active, sum_s, last = 0, 0.0, changes[0][0] if changes else 0.0
    for at, change in changes:
        if active and at > last:
            sum_s += (at - last) / active
        last = at
        active += change
        earned[at] = sum_s
    return [max(0.0, earned[end] - earned[start]) if end > start else 0.0 for start, end in spans]


def _changes(spans: Iterable[tuple[float, float]]) -> Iterable[tuple[float, int]]:
    for start, end in spans:
        if end > start:
            yield start, 1
            yield end, -1


class RunCollector(Collector):
    """Collects the calls of one run.

    Args:
        task: Name of the task.
        parent: As of every collector.
    """

    __slots__ = ("_task",)

    def __init__(self, task: str, parent: Collector | None = None) -> None:
        self._task = task
        Collector.__init__(self, "run", parent)

    @property
    def name(self) -> str:
        """Name of the task."""
        return self._task


class Entry(NamedTuple):
    """What `enter` gives, for `leave`."""

    collector: Collector
    token: Token[Collector | None]


variable: ContextVar[Collector | None] = ContextVar("huoyan_breakdown", default=None)
"""The current collector, for whoever looks at the context of others."""

holds = Holds()
"""When event loops of this process were held."""

_lock = threading.Lock()

current = variable.get
"""Return the collector of the request or run that this code belongs to, or None."""

make_current = variable.set
"""Make a collector current in this context; give the token to `suspend`."""


def request() -> RequestContext | None:
    """Return the ASGI request to a watched application that this code belongs to, or None."""
    collector = current()
    while collector is not None:
        found = collector.request
        if found is not None:
            return found
        collector = collector.parent
    return None


def enter(kind: str) -> Entry:
    """Begin to collect for a request or run (`request`, `run`) in this context."""
    collector = Collector(kind, current())
    return Entry(collector, make_current(collector))


def leave(entry: Entry) -> Breakdown | None:
    """End what `enter` began and return its breakdown; None when it called no dependency."""
    suspend(entry.token)
    return entry.collector.close()


def resume(collector: Collector) -> Token[Collector | None]:
    """Make a collector current here (again); give the token to `suspend`."""
    collector.resume()
    return make_current(collector)


def suspend(token: Token[Collector | None]) -> None:
    """Make current what was current before. In another context than that of the token there is nothing to restore."""
    try:
        variable.reset(token)
    except ValueError:
        return


def begin() -> tuple[Collector, float] | None:
    """Begin a call of a dependency; None when nothing collects."""
    collector = current()
    if collector is None:
        return None
    collector.open += 1
    return collector, perf_counter()


def finish(
    span: tuple[Collector, float] | None,
    component: str,
    operation: str,
    target: str,
    error: BaseException | bool | None,
) -> None:
    """End a call of a dependency. Each `begin` needs one; a call that never ends costs the others some speed.

    Args:
        span: What `begin` returned.
        component: `database`, `redis`, `http`, `smtp`, `queue`, `event_loop`, `pool`, …
        operation: What was done: `SELECT`, `GET`, …
        target: With what: a table, a host.
        error: What it raised, or whether it failed.
    """
    if span is not None:
        collector, started = span
        ended = perf_counter()
        collector.open -= 1
        collector.add(started, ended, (component, operation, target), error is not None and error is not False)


def _renew_lock() -> None:
    """Take a free lock in a child: another thread of the parent may have held it at the moment of the fork."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
