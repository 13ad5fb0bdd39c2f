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
from contextvars import ContextVar, Token
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from huoyan.client.context import RequestContext
from huoyan.client.holds import Holds
from huoyan.client.part import DIGITS, Key, Part
from huoyan.client.shares import shares

if TYPE_CHECKING:
    from huoyan.client.measurements import Distribution

MAX_PARTS = 32
"""Parts told at most, the last of which is `other`."""
MANY_CALLS = 128
"""With so many calls held, a collector sums them up, see `Collector.added`."""

_MAX_KEPT = 128

_MAX_CALLS_HELD = 384
_MAX_OPEN = 10_000
_OTHER = ("other", "", "")
Breakdown = dict[str, Any]


class Measured(Protocol):
    """Calls whose durations nobody has measured: a collector does it for all of its calls together.

    Attributes:
        key: Component, operation and target.
        distribution: Gets their durations, if it is wanted.
    """

    key: Key
    distribution: "Distribution | None"

    def measured(self, ended: float) -> None:
        """Take note of durations that were appended to those that the distribution holds; the last one ended then."""


Call = tuple[float, float, Key | Measured, bool | None]
"""Readings of `perf_counter` before and after one call of a dependency, what it was, and whether it failed; None where
it goes on with a call that was counted already."""


class Collector:
    """Collects the calls of one request or run, from now until it is closed.

    Calls are held, and summed up when somebody wants to know, which for nearly all requests is nobody; or when they are
    many and none is open, or very many. A call that began before such a moment and ends after it is given only the time
    after it, so that nothing is ever counted twice.

    Durations are put into their distributions when it is over, summed up, or somebody reads what is measured.

    Args:
        kind: `request` or `run`.
        parent: The collector of what this is a part of; it is told of every call, too.

    Attributes:
        calls: Calls that have ended and are not summed up; None before `first`, which most requests never need.
        open: Calls that have begun and not ended. Commands of Redis are not counted: they are over before it
            matters, and cost little more than such a count.
        closed: Whether it is over: what is called now counts nowhere.
        started: When it began, a reading of `perf_counter`.
    """

    __slots__ = (
        "_measured",
        "_parts",
        "_settled_until",
        "_stopped",
        "calls",
        "closed",
        "kind",
        "open",
        "parent",
        "started",
    )

    def __init__(self, kind: str, parent: "Collector | None" = None) -> None:
        self.kind = kind
        self.parent = parent
        self.open = 0
        self.closed = False
        self.calls: list[Call] | None = None
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

    def add(self, started: float, ended: float, what: Key | Measured, failed: bool | None) -> None:
        """Count one call here and in the parents, unless they are over; see `Call`."""
        calls = self.calls
        if calls is None:
            calls = self.first()
        calls.append((started, ended, what, failed))
        if self.parent is not None or self.closed or len(calls) >= MANY_CALLS:
            self.added(started, ended, what, failed)

    def first(self) -> list[Call]:
        """Get ready for the first call, and return `calls`."""
        with _lock:
            # Another thread may have been quicker.
            calls = self.calls
            if calls is None:
                # So many of the calls held are in their distributions.
                self._measured = 0
                self._parts: dict[Key, Part] = {}
                self.calls = calls = []
                if not self.closed:
                    self._enter()
        return calls

    def _enter(self) -> None:
        if len(_open) >= _MAX_OPEN:
            # Ended without anybody saying so, probably. Those that go on are measured when they are over.
            _open.clear()
        _open[self] = None

    def _leave(self) -> None:
        if self.calls is not None:
            _open.pop(self, None)
            self.measure()

    def added(self, started: float, ended: float, what: Key | Measured, failed: bool | None) -> None:
        """Do the rest of `add` for a call that was appended to `calls`: needed with a parent, or with `MANY_CALLS`."""
        if self.closed:
            # Another thread closed it since the caller looked, and nobody measures it again.
            self.measure()
        if self.calls is not None and len(self.calls) >= MANY_CALLS:
            self._relieve(self.calls, ended)
        if self.parent is not None:
            # Measured once, here.
            self.parent.add(started, ended, what if isinstance(what, tuple) else what.key, failed)

    def measure(self) -> None:
        """Put the durations of calls that are over into their distributions."""
        if self.calls is not None:
            with _lock:
                self._measure(self.calls[:])

    def _measure(self, calls: list[Call]) -> None:
        """Measure, under the lock, those of the calls held that are not measured."""
        last: dict[Measured, float] = {}
        for started, ended, what, _ in calls[self._measured :]:
            if not isinstance(what, tuple):
                if what.distribution is not None:
                    what.distribution.held.append(ended - started)
                last[what] = ended
        self._measured = len(calls)
        for what, ended in last.items():
            what.measured(ended)

    def _relieve(self, calls: list[Call], until: float) -> None:
        if self.closed:
            with _lock:
                over = calls[:]
                self._measure(over)
                # Other threads may append meanwhile.
                del calls[: len(over)]
                self._measured = 0
        elif not self.open or len(calls) >= _MAX_CALLS_HELD:
            # With none open, nothing that comes can overlap what is held.
            self._wait(until)
            self._settle(calls, until)

    def stop(self) -> None:
        """End its time here, unless it goes on by `resume`."""
        self._stopped = perf_counter()
        self._leave()

    def resume(self) -> None:
        """Let its time go on."""
        self._stopped = None
        if self.calls is not None:
            self._enter()

    def over(self) -> None:
        """End it: what is called from now on counts nowhere."""
        self.closed = True
        self.parent = None
        if self.calls is not None:
            self._leave()

    def close(self) -> Breakdown | None:
        """End it, and return the breakdown; None when no dependency was called."""
        ended = self._stopped if self._stopped is not None else perf_counter()
        self.over()
        return self.told(ended)

    def told(self, ended: float) -> Breakdown | None:
        """Return the breakdown of one that is closed; None when no dependency was called.

        Args:
            ended: When it was closed, a reading of `perf_counter`.
        """
        self._wait(ended)
        if self.calls is None:
            return None
        self._settle(self.calls, ended)
        return self._json(ended - self.started)

    def _wait(self, until: float) -> None:
        """Add the times in which another one held the event loop, since what is summed up already."""
        since = self._settled_until
        if since < holds.until:
            for hold in holds.over(self, since, until):
                waited = max(hold.since, since), min(hold.until, until)
                calls = self.first() if self.calls is None else self.calls
                calls.append((*waited, ("event_loop", "", hold.holder), False))

    def _settle(self, held: list[Call], until: float) -> None:
        with _lock:
            # Other threads may append meanwhile; those calls stay for the next time.
            calls = held[:]
            del held[: len(calls)]
            self._measure(calls)
            self._measured = 0
            last = since = self._settled_until
            covered = []
            for started, ended, _, _ in calls:
                if not last <= started <= ended <= until:
                    # Some overlap, or reach out of what is summed up.
                    spans = [(min(max(call[0], since), until), min(max(call[1], since), until)) for call in calls]
                    covered = shares(spans)
                    last = max(since, *(end for _, end in spans))
                    break
                last = ended
            parts = self._parts
            part, of = Part(), None
            for at, (started, ended, what, failed) in enumerate(calls):
                if what is not of:
                    key = what if isinstance(what, tuple) else what.key
                    part, of = parts.get(key) or self._part(key), what
                duration_s = ended - started if ended > started else 0.0
                if failed is not None:
                    part.calls += 1
                    if failed:
                        part.errors += 1
                part.total_s += duration_s
                part.covered_s += covered[at] if covered else duration_s
                if duration_s > part.max_s:
                    part.max_s = duration_s
            self._settled_until = last

    def _part(self, key: Key) -> Part:
        return self._parts.setdefault(key if len(self._parts) < _MAX_KEPT else _OTHER, Part())

    def _json(self, total_s: float) -> Breakdown:
        parts = sorted(self._parts.items(), key=lambda item: -item[1].covered_s)
        if len(parts) > MAX_PARTS:
            rest = Part()
            named: list[tuple[Key, Part]] = []
            for key, part in parts:
                if key != _OTHER and len(named) < MAX_PARTS - 1:
                    named.append((key, part))
                else:
                    rest.add(part)
            parts = [*named, (_OTHER, rest)]
        told = [part.json(key) for key, part in parts]
        covered_s = sum(part["covered_s"] for part in told)
        own_s = max(0.0, round(total_s - covered_s, DIGITS))
        return {"total_s": round(covered_s + own_s, DIGITS), "own_s": own_s, "parts": told}


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

# What is collected when objects go may call dependencies, too.
_lock = threading.RLock()
_open: dict[Collector, None] = {}

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


def measure_open() -> None:
    """Put into their distributions what open requests and runs have called until now."""
    for collector in list(_open):
        collector.measure()


def _forked() -> None:
    """Begin anew in a child: what is open is the parent's, of which another thread may have held the lock.

    The child may well end without ending the request that it was forked in, so that what it calls would never be
    measured; it counts on its own.
    """
    global _lock
    _lock = threading.RLock()
    _open.clear()
    make_current(None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
