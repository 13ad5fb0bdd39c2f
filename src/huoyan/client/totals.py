"""What `/metrics` shows: what this process counts, and where a server runs several of them, the sum of all.

Workers of a server (uvicorn, gunicorn, anything that forks or uses multiprocessing) share a scrape: whichever answers
must speak for all. Each writes down what it has counted every second; the one that answers adds up.
"""

import atexit
import os
import sys
import threading
import time
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

from huoyan.client import process, snapshot
from huoyan.client.guard import guard, warn
from huoyan.client.thread import start as start_thread
from huoyan.signals.exposition import Family
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS_IN_FLIGHT

if TYPE_CHECKING:
    from huoyan.client.pool import Pool

INTERVAL_S = 1.0
"""How often a process writes, in seconds; less often where writing takes more than a fiftieth of the time."""

_lock = threading.Lock()
_pool: "Pool | None" = None
_children: "Pool | None" = None
_wanted = False
_root_pid: int | None = None
_thread: threading.Thread | None = None
_written = b""
_left = False


def want() -> None:
    """Make what this process counts part of the sum, if it is one of several. Never raises."""
    global _wanted, _root_pid
    with guard("totals"):
        if _wanted:
            return
        _wanted = True
        _root_pid = os.getppid() if _is_worker() else None
        process.after_fork(_forked)
        process.in_child(_start)
        process.before_close(_write_last)
        atexit.register(_leave)
        _start()


def families() -> list[Family]:
    """Return what is counted by this process and by those that it stands for."""
    client = process.existing()
    if client is None:
        return []
    with _lock:
        own = _own(client)
        pools = [pool for pool in (_place(), _descendants()) if pool is not None]
        if not pools:
            return own
        # What was told once is never untold: whichever process answers next, and though this one is killed now, its sum
        # must not fall. To Prometheus a counter that falls has begun anew, and all of it counts a second time.
        _put(own)
        # Who has left its place is among those that are gone.
        living, gone = [] if _root_pid is not None and _left else [own], []
        for pool in pools:
            with guard("totals"):
                others, total = pool.others()
                living += [snapshot.decode(data) for data in others]
                if total:
                    gone.append(snapshot.decode(total))
    return snapshot.add_up(living, over=gone) if len(living) > 1 or gone else own


def _own(client: process.Client, *, read: bool = True) -> list[Family]:
    """Return what this process counts; `read` anew what has to be read each time, backlogs and its own figures."""
    measurements = client.outbox.read() if read else client.measurements
    counted = [_traced(family, client) for family in snapshot.measured(measurements)]
    if all(family.metric is not HTTP_REQUESTS_IN_FLIGHT for family in counted):
        counted.append(Family(HTTP_REQUESTS_IN_FLIGHT, [()], [float(client.metrics.requests.in_flight)]))
    return counted + snapshot.tasks(client.metrics.tasks) if client.metrics.expose_tasks else counted


def _traced(family: Family, client: process.Client) -> Family:
    if family.metric is not HTTP_REQUEST_DURATION:
        return family
    exemplars = client.examples.traced()
    return replace(family, exemplars=exemplars) if exemplars else family


def _is_worker() -> bool:
    """Tell whether a server started this process as one of several."""
    multiprocessing: Any = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        return True
    if "gunicorn.arbiter" not in sys.modules:
        return False
    # The arbiter of gunicorn loads the application itself when it is told to preload it; only a worker does so while it
    # is being spawned.
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "spawn_worker" and frame.f_globals.get("__name__") == "gunicorn.arbiter":
            return True
        frame = frame.f_back
    return False


def _place() -> "Pool | None":
    global _pool
    if _pool is None and _root_pid is not None:
        _pool = _opened(_root_pid)
    return _pool


def _descendants() -> "Pool | None":
    """Return the pool of the processes that this one forked, once there is one."""
    global _children
    if _children is None and _root_pid is None:
        _children = _opened(os.getpid())
    return _children


def _opened(root_pid: int) -> "Pool | None":
    try:
        from huoyan.client import pool
    except ImportError:
        return None  # No fcntl: files cannot be told to belong to a process that lives.
    with guard("totals"):
        folder = pool.folder(root_pid)
        if folder is not None:
            return pool.Pool(folder, _added)
        warn("totals-folder", "huoyan: the folder for metrics of several processes is not this user's alone; unused")
    return None


def _added(written: "list[bytes] | tuple[bytes, ...] | Any") -> bytes:
    return snapshot.encode(snapshot.add_up((), over=[snapshot.decode(data) for data in written]))


def _start() -> None:
    global _thread
    if _root_pid is not None and (_thread is None or not _thread.is_alive()):
        _thread = threading.Thread(target=_write_on, name="huoyan-totals", daemon=True)
        start_thread(_thread)


def _write_on() -> None:
    pause_s = INTERVAL_S
    while True:
        # Waits first: a child that only starts another program is gone before it has counted anything.
        time.sleep(pause_s)
        began = time.monotonic()
        _write()
        pause_s = max(INTERVAL_S, 50 * (time.monotonic() - began))


def _write(*, read: bool = True) -> None:
    client = process.existing()
    if client is not None:
        with _lock, guard("totals.write"):
            _put(_own(client, read=read))


def _put(counted: list[Family]) -> None:
    """Write down what this process has counted, if it is one of several, holding the lock. Never raises."""
    global _written
    with guard("totals.write"):
        place = _place()
        if place is None or _left:
            return
        data = snapshot.encode(counted)
        if data != _written:
            place.write(data)
            _written = data


def _write_last() -> None:
    # Once it has left its place, a process must not take another one: it would count twice.
    if _root_pid is not None and not _left:
        # Of a process that is gone no gauge counts: a job must not wait at its end for the length of a queue.
        _write(read=False)


def _leave() -> None:
    global _left
    _write_last()
    _left = True
    with guard("totals.leave"), _lock:
        if _pool is not None:
            _pool.close()
        if _children is not None:
            import shutil

            shutil.rmtree(_children.folder, ignore_errors=True)


def _forked() -> None:
    global _lock, _pool, _children, _root_pid, _thread, _written
    _lock = threading.Lock()
    if _root_pid is None:
        _root_pid = os.getppid()
    if _pool is not None:
        _pool.forked()
    _pool, _children, _thread, _written = None, None, None, b""


def is_one_of_several() -> bool:
    """Tell whether this process shares what it counts with others that the same server started."""
    want()
    return _root_pid is not None
