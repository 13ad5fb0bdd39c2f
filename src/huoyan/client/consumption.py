"""What one execution takes of its process: CPU time and peak memory, where that can be told and never guessed."""

import importlib
import os
import sys
import threading
import time
from enum import StrEnum
from typing import Any, NamedTuple

# Windows knows no such figures.
_resource: Any = importlib.import_module("resource") if os.name == "posix" else None

# getrusage(2): Linux counts in KiB, macOS in bytes.
_MAXRSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


class Tenancy(StrEnum):
    """Who else uses the process that executes a run."""

    SHARED = "shared"
    """Other runs at the same time, in other threads or coroutines."""
    IN_TURN = "in turn"
    """Other runs before and after it, none at the same time: a child of a prefork pool."""
    ALONE = "alone"
    """The process was made for this one run: a work horse."""


class Consumption(NamedTuple):
    """What was taken, None where it cannot be told."""

    cpu_s: float | None = None
    peak_memory_bytes: int | None = None


class Meter:
    """Measures one execution from its making on, in the thread that made it.

    CPU time is that of the thread, or of the whole process when no other run uses it. Coroutines and greenlets take
    turns in one thread, whose time cannot be told apart. The kernel keeps the highest resident size of a process
    (`ru_maxrss`), so a peak is known only of a run that raised it, or had the process for itself.

    Args:
        tenancy: Who else uses the process, default others at the same time.
        blocking: Nothing else can run in its thread before it ends, even where an event loop runs (default False).
    """

    __slots__ = ("_cpu", "_cpu_s", "_memory_before", "_since", "_tenancy", "_thread")

    def __init__(self, tenancy: Tenancy = Tenancy.SHARED, *, blocking: bool = False) -> None:
        self._tenancy = tenancy
        self._thread = threading.get_ident()
        self._cpu = None
        if not _is_greenlet() and (blocking or not _in_event_loop()):
            self._cpu = time.thread_time if tenancy is Tenancy.SHARED else time.process_time
        self._cpu_s = 0.0
        self._since: float | None = None if self._cpu is None else self._cpu()
        self._memory_before = 0 if tenancy is Tenancy.SHARED else _highest_bytes()

    def pause(self) -> None:
        """Stop the clock: what follows is not the run's."""
        if self._cpu is not None and self._since is not None:
            if self._tenancy is Tenancy.SHARED and threading.get_ident() != self._thread:
                # The clock that could be read here is that of another thread.
                self._cpu = None
                return
            self._cpu_s += self._cpu() - self._since
            self._since = None

    def resume(self) -> None:
        """Let a paused clock go on; in another thread from there."""
        if self._cpu is not None and self._since is None:
            self._thread = threading.get_ident()
            self._since = self._cpu()

    def read(self) -> Consumption:
        """Stop the clock and return what was taken."""
        self.pause()
        return Consumption(None if self._cpu is None else max(0.0, self._cpu_s), self._peak_bytes())

    def _peak_bytes(self) -> int | None:
        if self._tenancy is Tenancy.SHARED:
            return None
        highest = _highest_bytes()
        return highest if highest and (self._tenancy is Tenancy.ALONE or highest > self._memory_before) else None


def of_child(usage: Any) -> Consumption:
    """Return what a child made for one run took, from what the kernel said when it ended (`os.wait4`), or None."""
    if usage is None:
        return Consumption()
    return Consumption(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * _MAXRSS_UNIT_BYTES or None)


def _highest_bytes() -> int:
    if _resource is None:
        return 0
    highest: int = _resource.getrusage(_resource.RUSAGE_SELF).ru_maxrss
    return highest * _MAXRSS_UNIT_BYTES


def _in_event_loop() -> bool:
    # A program that did not import asyncio runs no loop, and need not load it for this.
    asyncio: Any = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def _is_greenlet() -> bool:
    """Tell whether this is a greenlet of a pool (gevent, eventlet), which shares its thread with others."""
    greenlet = sys.modules.get("greenlet")
    current = getattr(greenlet, "getcurrent", None)
    return current is not None and getattr(current(), "parent", None) is not None
