"""Sees who holds an event loop, from outside of it: a loop that is held can say nothing itself.

The loop notes a beat 20 times a second while there is work, 4 times a second otherwise. A thread of our own sees when a
beat is overdue, and looks then, 50 times a second, whose code the thread of the loop executes. Nothing of this is done
for each request.

What comes of it is a lower bound. A hold counts from the beat that was due, so up to 50 ms of its beginning are left
out, and one that is over before the next beat is due is not seen. Who holds the loop is told by the context that its
code runs in; where that cannot be found out (below), the hold is not counted.
"""

import asyncio
import sys
import threading
import time
import weakref
from asyncio.events import Handle
from collections.abc import Callable, Mapping
from contextvars import Context
from time import perf_counter
from types import FrameType
from typing import Any, NamedTuple

from huoyan.client import breakdown
from huoyan.client import thread as threads
from huoyan.client.breakdown import Collector
from huoyan.client.execution import Execution
from huoyan.client.guard import guard
from huoyan.client.holds import Hold, Holds, Identity, identity

BEAT_S = 0.05
IDLE_BEAT_S = 0.25
GRACE_S = 0.01
"""So much overdue, and the loop is held."""
LOOK_S = 0.02
LATE_S = 0.03
"""A look that comes so late says that the machine is busy, not that the loop is held, unless the loop computed."""
_DEEPEST = 2000
_LONGEST_NAME = 200

_RUN_OF_HANDLE = Handle._run.__code__
_WORKERS = ("anyio/_backends/_asyncio.py", "concurrent/futures/thread.py")
_OF_HUOYAN = "huoyan.client."


class _Found(NamedTuple):
    """Whose code a thread executes."""

    collector: Collector | None
    name: str


class _Loop:
    """An event loop that is watched. Beats are written by the loop, the rest by the thread that looks."""

    __slots__ = ("__weakref__", "beat", "clock", "cpu_s", "due", "hold", "of_beat", "ref", "seen", "thread")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ref = weakref.ref(loop)
        self.thread = 0
        self.clock: int | None = None
        self.beat = perf_counter()
        self.due = self.beat + BEAT_S
        # The hold that goes on, the beat that it began with, and up to when it was looked at.
        self.hold: Hold | None = None
        self.of_beat = 0.0
        self.seen = 0.0
        self.cpu_s = 0.0

    def here(self) -> None:
        """Note which thread the loop runs in."""
        thread = threading.get_ident()
        if thread != self.thread:
            self.thread = thread
            self.clock = time.pthread_getcpuclockid(thread) if hasattr(time, "pthread_getcpuclockid") else None

    def computed_s(self) -> float | None:
        """Return the CPU time of the thread of the loop, None where it cannot be told."""
        try:
            return None if self.clock is None else time.clock_gettime(self.clock)
        except OSError:
            return None


class LoopWatch:
    """Watches event loops.

    Args:
        busy: Returns whether anything is under way that could have to wait.
        holds: Where to tell.
    """

    def __init__(self, busy: Callable[[], bool], holds: Holds = breakdown.holds) -> None:
        self._busy = busy
        self._holds = holds
        self._lock = threading.Lock()
        self._loops: list[_Loop] = []
        self._thread: threading.Thread | None = None

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Watch the loop that runs here, until it is closed. Call it once for each."""
        if not hasattr(sys, "_current_frames"):
            return
        watched = _Loop(loop)
        self._beat(watched)
        with self._lock:
            self._loops.append(watched)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="huoyan-loop-watch", daemon=True)
                threads.start(self._thread)

    def forked(self) -> None:
        """Forget loops and the thread: neither is in a new child process."""
        self._lock = threading.Lock()
        self._loops = []
        self._thread = None
        self._holds.clear()

    def _beat(self, watched: _Loop) -> None:
        loop = watched.ref()
        if loop is None or loop.is_closed():
            return
        with guard("loop watch"):
            watched.here()
            beat_s = BEAT_S if self._busy() else IDLE_BEAT_S
            watched.beat = perf_counter()
            watched.due = watched.beat + beat_s
            loop.call_later(beat_s, self._beat, watched)

    def _run(self) -> None:
        wait_s = 0.0
        while True:
            # An event that could wake it would cost several times as much.
            time.sleep(wait_s)
            with guard("loop watch"):
                wait_s = IDLE_BEAT_S
                for watched in list(self._loops):
                    loop = watched.ref()
                    if loop is None or loop.is_closed():
                        with self._lock:
                            self._loops.remove(watched)
                    else:
                        wait_s = min(wait_s, self.look(watched, loop))
                    del loop
            with self._lock:
                if not self._loops:
                    self._thread = None
                    return

    def look(self, watched: _Loop, loop: asyncio.AbstractEventLoop) -> float:
        """Look at a loop once, and return in how many seconds to look again."""
        due, now = watched.due, perf_counter()
        computed_s, watched.cpu_s = _grown(watched)
        if watched.hold is not None and watched.of_beat != due:
            self._holds.ended(watched.hold._replace(until=max(watched.hold.until, min(watched.beat, now))))
            watched.hold = None
        if now < due + GRACE_S:
            watched.seen = now
            return due + GRACE_S - now
        since = max(due, watched.seen)
        watched.seen = now
        if now - since > LATE_S + LOOK_S and (computed_s is None or computed_s < 0.5 * (now - since)):
            since = now
        frames = sys._current_frames()
        found = whose(loop, frames.get(watched.thread))
        awake = frozenset(
            each
            for ident, frame in frames.items()
            if ident not in (watched.thread, threading.get_ident())
            for each in _chain(_in_worker(frame))
        )
        del frames
        if watched.due != due or found is None:
            # It went on in between, or nobody can tell who it was.
            return LOOK_S if watched.due != due or watched.hold is not None else IDLE_BEAT_S / 2
        awake |= _chain(found.collector)
        hold = watched.hold
        if hold is not None and (hold.holder, hold.awake) == (found.name, awake) and since <= hold.until + GRACE_S:
            watched.hold = hold._replace(until=now)
        else:
            watched.hold = Hold(watched.thread, since, now, found.name, awake)
        watched.of_beat = due
        self._holds.goes_on(watched.hold)
        return LOOK_S


def whose(loop: asyncio.AbstractEventLoop, frame: FrameType | None) -> _Found | None:
    """Return whose code the thread of a loop executes, None where that cannot be told or the loop waits.

    The context of what runs is known by the handle that asyncio's own loop calls it through; by the task, from Python
    3.12 on; otherwise by our own frames below it, unless it is a task that the request began. The loop of uvloop and
    what SQLAlchemy executes in greenlets show no handle.

    Args:
        loop: The loop.
        frame: The innermost frame of its thread.
    """
    task = asyncio.current_task(loop)
    context: Context | None = None
    ours: Collector | None = None
    for _ in range(_DEEPEST):
        if frame is None:
            break
        if frame.f_code is _RUN_OF_HANDLE:
            context = getattr(frame.f_locals.get("self"), "_context", None)
            break
        if ours is None and str(frame.f_globals.get("__name__", "")).startswith(_OF_HUOYAN):
            ours = next(filter(None, map(_collector_in, frame.f_locals.values())), None)
        frame = frame.f_back
    if context is None and task is not None and hasattr(task, "get_context"):
        context = task.get_context()
    if context is not None:
        collector = context.get(breakdown.variable)
    elif ours is not None:
        collector = ours
    else:
        return None
    return _Found(collector, _name(collector, task))


def _collector_in(value: object) -> Collector | None:
    if isinstance(value, Execution):
        return value.collector
    return value if isinstance(value, Collector) else None


def _name(collector: Collector | None, task: "asyncio.Task[Any] | None") -> str:
    while collector is not None:
        if collector.name:
            return collector.name[:_LONGEST_NAME]
        collector = collector.parent
    coroutine = None if task is None else task.get_coro()
    return str(getattr(coroutine, "__qualname__", ""))[:_LONGEST_NAME]


def _chain(collector: Collector | None) -> frozenset[Identity]:
    """Return a collector and all that it is a part of."""
    found = set()
    while collector is not None:
        found.add(identity(collector))
        collector = collector.parent
    return frozenset(found)


def _in_worker(frame: FrameType | None) -> Collector | None:
    """Return for whom a thread of a pool executes something: of `asyncio.to_thread`, or of AnyIO, as FastAPI has it."""
    for _ in range(_DEEPEST):
        if frame is None:
            return None
        code = frame.f_code
        if code.co_name == "run" and code.co_filename.replace("\\", "/").endswith(_WORKERS):
            context = _context_of(frame.f_locals)
            if context is not None:
                return context.get(breakdown.variable)
        frame = frame.f_back
    return None


def _context_of(names: Mapping[str, Any]) -> Context | None:
    context = names.get("context")
    if context is None:
        # `functools.partial(context.run, …)` is what a pool is given by asyncio.
        call = getattr(names.get("self"), "fn", None)
        context = getattr(getattr(call, "func", None), "__self__", None)
    return context if isinstance(context, Context) else None


def _grown(watched: _Loop) -> tuple[float | None, float]:
    """Return how long the thread of a loop computed since the last look, None where that cannot be told."""
    now_s = watched.computed_s()
    return (None, 0.0) if now_s is None else (now_s - watched.cpu_s, now_s)
