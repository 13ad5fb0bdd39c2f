"""The client of this process: its settings, and the one way by which events leave."""

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from huoyan import __version__ as VERSION  # noqa: N812
from huoyan.client import settings as client_settings
from huoyan.client.capture import Capture
from huoyan.client.delivery import Transport
from huoyan.client.emitter import Emitter
from huoyan.client.examples import Examples
from huoyan.client.figures import Figures, LoopLag
from huoyan.client.guard import guard, warn
from huoyan.client.identity import Process
from huoyan.client.measurements import Measurements
from huoyan.client.metrics import Metrics
from huoyan.client.outbox import Outbox
from huoyan.client.reporter import Reporter
from huoyan.client.settings import Settings
from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.model.event import EventKind, ProcessReport, QueueReading, TaskEvent
from huoyan.model.schedule import ScheduleReport

if TYPE_CHECKING:
    import asyncio

    from huoyan.client.loop_watch import LoopWatch
    from huoyan.client.spool import Spool

_MAX_ACTIVE = 100_000
_MAX_NAMED = 1_000
_ENDS = frozenset(
    {
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.RETRYING,
        EventKind.REVOKED,
        EventKind.REJECTED,
        EventKind.LOST,
        EventKind.DEAD,
    }
)


class Client:
    """Everything that Huoyan keeps in one process.

    Args:
        settings: Checked settings.
        clock: Wall and monotonic time.
        transport: Where batches go; over HTTP to `settings.url` by default, nowhere when that is empty.
    """

    settings: Settings
    capture: Capture

    def __init__(self, settings: Settings, *, clock: Clock = SYSTEM_CLOCK, transport: Transport | None = None) -> None:
        self.clock = clock
        self.process = Process(settings.service, clock)
        self.emitter: Emitter | None = None
        self._active: set[tuple[str, str]] = set()
        self._reporting = False
        self._ends_with_child = False
        self._heir = False
        self.measurements = Measurements(self.measures)
        self.examples = Examples()
        self.metrics = Metrics(self.measurements, self.examples)
        self.outbox = Outbox(clock, lambda: self.measurements, lambda: (self.process.service, self.process.name))
        self.loop_lag = LoopLag(lambda: self.measurements, lambda: self.process.name, self._watch_loop)
        self._loop_watch: LoopWatch | None = None
        self._figures = Figures(self.process.host)
        self.outbox.readings.append(self._read_figures)
        self.outbox.readings.append(lambda measurements: self.metrics.requests.read(measurements))
        self._apply(settings, transport)
        _clients.add(self)

    def configure(self, settings: Settings, transport: Transport | None = None) -> None:
        """Go on with other settings. What the old ones still hold is sent first, within `exit_timeout_s`."""
        if settings == self.settings and transport is None:
            return
        old = self.emitter
        self._apply(settings, transport)
        if old is not None:
            old.close(self.settings.exit_timeout_s)
        if self.emitter is not None and self._reporting:
            self.emitter.ensure_started()
        elif self._heir:
            self.inherit()

    def _apply(self, settings: Settings, transport: Transport | None) -> None:
        self.settings = settings
        self.process.belongs_to(settings.service, "")
        self.examples.labels = self._labels()
        self.capture = Capture(enabled=settings.capture, names=settings.scrub)
        spool = None
        if transport is None and settings.connected:
            from huoyan.client.transport.http import HttpTransport

            transport = HttpTransport(settings.url, settings.token, self.clock.now, VERSION)
            spool = _spool(settings)
        self.emitter = (
            Emitter(
                settings, self.clock, transport, self._report, self.outbox, spool, lambda: self.examples, self._speaks
            )
            if transport is not None
            else None
        )
        # One run is counted at one endpoint: with a server, huoyan_task_* are the server's.
        self.metrics.expose_tasks = self.emitter is None

    def _watch_loop(self, loop: "asyncio.AbstractEventLoop") -> None:
        """See who holds a loop, where a server is told of it."""
        if self.emitter is None:
            return
        if self._loop_watch is None:
            # Whoever runs no event loop does not load asyncio for this.
            from huoyan.client.loop_watch import LoopWatch

            self._loop_watch = LoopWatch(lambda: self.metrics.requests.in_flight > 0 or bool(self._active))
        self._loop_watch.watch(loop)

    def _labels(self) -> dict[str, str]:
        """Return what may set a request here apart from one elsewhere."""
        version = self.settings.version
        return {"host": self.process.host, **({"version": version} if version else {})}

    def record(self, event: TaskEvent) -> None:
        """Take one event; never raises."""
        try:
            kind = event.kind
            if kind is EventKind.STARTED:
                self.loop_lag.watch()
                if len(self._active) < _MAX_ACTIVE:
                    self._active.add((event.run_id, event.execution or ""))
            elif kind in _ENDS:
                self._active.discard((event.run_id, event.execution or ""))
            if self.emitter is not None:
                self.emitter.put(event)
            elif self.settings.enabled:
                self.metrics.tasks.record(event)
        except Exception as error:  # noqa: BLE001 - nothing may reach the host
            warn("record", "huoyan: an event could not be recorded", error=error)

    def record_queue(self, reading: QueueReading) -> None:
        """Take one queue reading; never raises."""
        with guard("record_queue"):
            if self.emitter is not None:
                self.emitter.put_queue(reading)

    def record_schedule(self, report: ScheduleReport) -> None:
        """Take what is new about a schedule; never raises."""
        with guard("record_schedule"):
            if self.emitter is not None:
                self.emitter.put_schedule(report)

    def identify(
        self, reporter: Reporter, worker: str, *, queues: list[str] | None, reports: bool, children: bool
    ) -> None:
        """Name the process, see `Reporter.identify`."""
        with guard("identify"):
            self.process.identify(reporter.framework, worker, queues, reports=reports, children=children)

    def consumes(self, queue: str) -> None:
        """Name a queue in the reports of this process."""
        with guard("consumes"):
            if queue not in self.process.queues:
                self.process.queues = [*self.process.queues, queue]

    def watched(self, reporter: Reporter) -> None:
        """Begin to report: something in this process is watched."""
        with guard("watched"):
            self.process.belongs_to(reporter.service, reporter.framework)
            self.process.settled = True
            self._reporting = True
            if not self._ends_with_child and _is_child_of_multiprocessing():
                self._end_with_child()
            if self.emitter is not None:
                self.emitter.ensure_started()

    def inherit(self) -> None:
        """Begin to send before anything runs, if a process that was killed left something.

        Functions are decorated while modules are imported, and a thread that nobody needs has no place there: it stays
        behind when the host forks. So it starts only when there is something for it to do.
        """
        with guard("inherit"):
            self._heir = True
            if self.emitter is not None and not self._reporting and self.emitter.has_heritage:
                # What is watched later in the import may say whose process it is: until then it has no name of its own.
                self.process.settled = False
                self.emitter.ensure_started()

    @property
    def active(self) -> int:
        """How many runs this process executes right now."""
        return len(self._active)

    def flush(self, timeout_s: float | None = None, *, closing: bool = False) -> bool:
        """Wait until what was reported has left, see `huoyan.flush`."""
        # Children of pools flush last and end by os._exit, with a server and without.
        _tell_of_end()
        if self.emitter is None:
            return True
        try:
            wait_s = self.settings.exit_timeout_s if timeout_s is None else timeout_s
            return self.emitter.flush(wait_s, closing=closing)
        except Exception as error:  # noqa: BLE001
            warn("flush", "huoyan: flushing failed", error=error)
            return False

    def close(self) -> None:
        """Send the last events and stop, within `exit_timeout_s`."""
        with guard("close"):
            _tell_of_end()
            if self.emitter is not None:
                self.emitter.close(self.settings.exit_timeout_s)

    def forked(self) -> None:
        """Start afresh in a child process."""
        with guard("fork"):
            self._active = set()
            self._ends_with_child = False
            self.process.forked()
            # What the parent measured is the parent's.
            self.measurements = Measurements(self.measures)
            self.examples = Examples(self._labels())
            self.metrics.forked(self.measurements, self.examples)
            self.outbox.forked()
            self.loop_lag.forked()
            if self._loop_watch is not None:
                self._loop_watch.forked()
            self._figures = Figures(self.process.host)
            if self.emitter is not None:
                self.emitter.forked()
            self._finish_with_multiprocessing()

    def _finish_with_multiprocessing(self) -> None:
        """Close with the child: those of multiprocessing end by os._exit, which runs no atexit functions.

        The finalizer is registered by an after-fork function of multiprocessing itself, because a new child first
        clears the finalizers that it inherited.
        """
        util: Any = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.register_after_fork(self, Client._end_with_child)

    def _end_with_child(self) -> None:
        self._ends_with_child = True
        sys.modules["multiprocessing.util"].Finalize(None, self.close, exitpriority=0)

    def _read_figures(self, measurements: Measurements) -> None:
        # A program that reports nothing and measures nothing has nobody who would ask. A child that lives for one job
        # would be a series of its own for nothing: those of a pool are told when they have lived for an interval.
        if (self._reporting or measurements.families()) and (
            self.process.reports or self.clock.now() - self.process.started_at >= self.settings.report_interval_s
        ):
            self._figures.read(measurements, self.process.name)

    def measures(self) -> None:
        """Begin to send in a child process, too: a worker of a server that loads its application before it forks, or of
        a pool, may have nothing to say but what it measures."""
        with guard("measures"):
            if self.emitter is not None and self._reporting:
                self.emitter.ensure_started()

    def _speaks(self) -> tuple[str, list[str] | None]:
        """Return who events are from, and the runs that are executed here, None where children execute some, too."""
        known = len(self._active) <= _MAX_NAMED and self.process.knows_all
        return self.process.worker, [run_id for run_id, _ in list(self._active)] if known else None

    def _report(self, dropped: int, closing: bool) -> ProcessReport | None:
        if not self.process.settled:
            return None
        return self.process.report(self.settings, len(self._active), dropped, closing=closing)


def _spool(settings: Settings) -> "Spool | None":
    try:
        from huoyan.client.spool import spool
    except ImportError:
        return None  # No fcntl: files cannot be told to belong to a process that lives.
    return spool(settings.spool, f"{settings.url} {settings.token}", settings.buffer_bytes)


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()
_lock = threading.Lock()
_client: Client | None = None


def client() -> Client:
    """Return the client of this process, made from the environment at the first call.

    Raises:
        ConfigurationError: The environment holds a wrong setting.
    """
    global _client
    if _client is None:
        with _lock:
            if _client is None:
                _client = Client(client_settings.load())
    return _client


def current() -> Client | None:
    """Return the client of this process if watching is on, else None."""
    return _client if _client is not None and _client.settings.enabled else None


def existing() -> Client | None:
    """Return the client of this process if there is one already."""
    return _client


def install(new: Client | None) -> Client | None:
    """Make `new` the client of this process and return the one before, which goes on with what it holds until
    closed."""
    global _client
    with _lock:
        old, _client = _client, new
    return old


def _is_child_of_multiprocessing() -> bool:
    """Tell whether this process was started by multiprocessing; one that did not import it was not."""
    process: Any = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _close_at_exit() -> None:
    if _client is not None:
        _client.close()


def _before_fork() -> None:
    for each in list(_clients):
        each.process.before_fork()


_after_fork: list[Callable[[], None]] = []


def after_fork(renew: Callable[[], None]) -> None:
    """Let a module renew its locks in every child process, before anything is measured there."""
    _after_fork.append(renew)


_in_child: list[Callable[[], None]] = []


def in_child(begin: Callable[[], None]) -> None:
    """Let a module begin anew in every child process, once everything there counts from zero."""
    _in_child.append(begin)


_before_close: list[Callable[[], None]] = []


def before_close(settle: Callable[[], None]) -> None:
    """Let a module write down what it has before the process ends, however the end is learnt of."""
    _before_close.append(settle)


def _tell_of_end() -> None:
    for settle in _before_close:
        with guard("close"):
            settle()


def _forked() -> None:
    global _lock
    _lock = threading.Lock()
    for renew in _after_fork:
        with guard("fork"):
            renew()
    for each in list(_clients):
        each.forked()
    for begin in _in_child:
        with guard("fork"):
            begin()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_forked)
