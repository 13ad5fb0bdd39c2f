"""What this process and its host use: CPU, memory, files, threads, garbage collections, and how late the event loop is.

Read once for each report, from /proc where there is one (https://man7.org/linux/man-pages/man5/proc.5.html), from
psutil otherwise if it is installed.
"""

import gc
import os
import shutil
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huoyan.client.guard import guard
from huoyan.client.measurements import Distribution, Measurements
from huoyan.signals.metric import Metric
from huoyan.signals.metrics.process import (
    EVENT_LOOP_LAG,
    GC_COLLECTIONS,
    GC_PAUSE,
    HOST_CPU,
    HOST_DISK,
    HOST_MEMORY,
    PROCESS_CPU,
    PROCESS_OPEN_FILES,
    PROCESS_RSS,
    PROCESS_THREADS,
    PROCESS_VMS,
)

if TYPE_CHECKING:
    import asyncio

_LOOK_EVERY_S = 0.25
_PROC = Path("/proc")


class Figures:
    """Reads what a process uses into its measurements.

    Args:
        host: Name of the host.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._of: Measurements | None = None
        self._cpu_s = 0.0
        self._collections: list[int] = []
        self._host_cpu: tuple[float, float] | None = None

    def read(self, measurements: Measurements, worker: str) -> None:
        """Set the gauges and let the counters grow by what came since the last time."""
        collections = [int(generation["collections"]) for generation in gc.get_stats()]
        cpu_s = time.process_time()
        if measurements is self._of:
            measurements.counter(PROCESS_CPU).child((worker,)).add(cpu_s - self._cpu_s)
            for generation, count in enumerate(collections):
                grown = float(count - self._collections[generation])
                measurements.counter(GC_COLLECTIONS).child((worker, str(generation))).add(grown)
            _tell_pauses(measurements.distribution(GC_PAUSE).child((worker,)))
        else:
            _time_pauses()
        self._of, self._cpu_s, self._collections = measurements, cpu_s, collections
        figures = _of_process()
        for metric, value in figures.items():
            measurements.gauge(metric).child((worker,)).set(value)
        measurements.gauge(PROCESS_THREADS).child((worker,)).set(float(threading.active_count()))
        with guard("host figures"):
            for metric, share in self._of_host().items():
                measurements.gauge(metric).child((self._host,)).set(share)

    def _of_host(self) -> dict[Metric, float]:
        disk = shutil.disk_usage(".")
        found: dict[Metric, float] = {}
        # As df works it out: of what is kept for root, nothing can be used, and a full disk is one all the same.
        if disk.used + disk.free > 0:
            found[HOST_DISK] = disk.used / (disk.used + disk.free)
        memory = _memory_share()
        if memory is not None:
            found[HOST_MEMORY] = memory
        busy = _host_cpu_s()
        if busy is not None:
            before, self._host_cpu = self._host_cpu, busy
            if before is not None and busy[1] > before[1]:
                share = (busy[0] - before[0]) / (busy[1] - before[1])
                found[HOST_CPU] = min(max(share, 0.0), 1.0)
        return found


# Pauses since they were last told, in seconds, as many as are kept at most.
_pauses: deque[float] = deque(maxlen=10_000)
_pause_began: float | None = None


def _time_pauses() -> None:
    """Begin to time garbage collections, from now on; what a parent process timed is the parent's."""
    _pauses.clear()
    if _collected not in gc.callbacks:
        gc.callbacks.append(_collected)


def _collected(phase: str, _: dict[str, int]) -> None:
    # Called between any two instructions, also where a lock is held: it may take none.
    global _pause_began
    if phase == "start":
        _pause_began = time.perf_counter()
    elif _pause_began is not None:
        _pauses.append(time.perf_counter() - _pause_began)
        _pause_began = None


def _tell_pauses(to: Distribution) -> None:
    for _ in range(len(_pauses)):
        to.observe(_pauses.popleft())


def _of_process() -> dict[Metric, float]:
    """Return memory and open files of this process, as far as they can be told."""
    try:
        pages = (_PROC / "self/statm").read_text().split()
        size = os.sysconf("SC_PAGE_SIZE")
        files = sum(1 for _ in (_PROC / "self/fd").iterdir())
    except (OSError, ValueError, IndexError):
        psutil = _psutil()
        if psutil is None:
            return {}
        process = psutil.Process()
        memory = process.memory_info()
        files = process.num_handles() if os.name == "nt" else process.num_fds()
        return {PROCESS_RSS: float(memory.rss), PROCESS_VMS: float(memory.vms), PROCESS_OPEN_FILES: float(files)}
    return {
        PROCESS_VMS: float(pages[0]) * size,
        PROCESS_RSS: float(pages[1]) * size,
        # Listing the directory opens it, which counts as one.
        PROCESS_OPEN_FILES: float(files - 1),
    }


def _memory_share() -> float | None:
    try:
        lines = (_PROC / "meminfo").read_text().splitlines()
        parts = [line.split() for line in lines]
        kib = {part[0].rstrip(":"): float(part[1]) for part in parts if len(part) > 1}
        return 1.0 - kib["MemAvailable"] / kib["MemTotal"]
    except (OSError, KeyError, ValueError, ZeroDivisionError):
        psutil = _psutil()
        return None if psutil is None else float(psutil.virtual_memory().percent) / 100.0


def _host_cpu_s() -> tuple[float, float] | None:
    """Return how long the processors were busy, and how long there were processors, in any unit."""
    try:
        first = (_PROC / "stat").read_text().split("\n", 1)[0].split()
        # user nice system idle iowait irq softirq steal; guest time is part of user time.
        parts = [float(part) for part in first[1:9]]
        return sum(parts) - parts[3] - parts[4], sum(parts)
    except (OSError, ValueError, IndexError):
        psutil = _psutil()
        if psutil is None:
            return None
        times = psutil.cpu_times()
        return sum(times) - times.idle, sum(times)


def _psutil() -> Any:
    try:
        import psutil
    except ImportError:
        return None
    return psutil


class LoopLag:
    """Looks at event loops four times a second and notes how late they call back.

    Args:
        measurements: Returns what the process measures now.
        worker: Returns the name of the process.
        watched: Is called with each loop that is watched from now on, while it runs.
    """

    def __init__(
        self,
        measurements: Callable[[], Measurements],
        worker: Callable[[], str],
        watched: "Callable[[asyncio.AbstractEventLoop], None]" = lambda _: None,
    ) -> None:
        self._tell_watched = watched
        self._measurements = measurements
        self._worker = worker
        self._watched: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    def watch(self) -> None:
        """Watch the event loop that runs here, once. Without one it does nothing; it never raises."""
        # Whoever has no loop running does not pay for the import.
        module: Any = sys.modules.get("asyncio")
        if module is None:
            return
        try:
            loop: asyncio.AbstractEventLoop = module.get_running_loop()
        except RuntimeError:
            return
        if loop in self._watched:
            return
        with guard("event loop lag"):
            self._watched.add(loop)
            self._look(loop)
            self._tell_watched(loop)

    def running(self) -> "asyncio.AbstractEventLoop | None":
        """Return a watched loop that runs now, if there is one."""
        return next((loop for loop in list(self._watched) if loop.is_running()), None)

    def forked(self) -> None:
        """Forget loops: none runs in a new child process."""
        self._watched = weakref.WeakSet()

    def _look(self, loop: "asyncio.AbstractEventLoop") -> None:
        due = loop.time() + _LOOK_EVERY_S

        def looked() -> None:
            with guard("event loop lag"):
                family = self._measurements().distribution(EVENT_LOOP_LAG)
                child: Distribution = family.child((self._worker(),))
                child.observe(max(0.0, loop.time() - due))
                self._look(loop)

        loop.call_at(due, looked)
