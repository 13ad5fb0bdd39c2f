"""One execution of a run in this process, from start to end: what every adapter does around the code it watches."""

import uuid
from collections.abc import Callable
from contextvars import Token
from typing import Any

from huoyan.client import breakdown, context
from huoyan.client.attributes import base_names
from huoyan.client.breakdown import Collector
from huoyan.client.consumption import Meter, Tenancy
from huoyan.client.context import RunContext
from huoyan.client.guard import guard, warn
from huoyan.client.reporter import Reporter
from huoyan.model.event import EventKind, ExceptionInfo, Payload, Progress

_PROGRESS_INTERVAL_S = 0.5
_CANCELLATIONS = frozenset({"CancelledError", "Cancelled", "GreenletExit"})


def new_run_id() -> str:
    """Return the identity of a new run."""
    return str(uuid.uuid4())


class Execution:
    """Reports how one execution goes. No method raises; whatever happens first ends it, the rest is ignored.

    Args:
        reporter: Where to report.
        run_id: Identity of the run.
        task: Name of the task.
        queue: Where it waited, empty for none.
        attempt: Number of the try, from 1.
        key: Identity of this execution; `attempt@worker` by default.
        parent_id: The run that started it; by default the current one, if any.
        root_id: The first run of its tree, likewise.
        tenancy: Who else uses this process while it runs, default others at the same time.
        blocking: Nothing else can run in its thread meanwhile, even where an event loop runs (default False).
        from_queue: It was enqueued elsewhere, which knows its parent and root better than this process.
        fields: Further fields for the `started` event: args, kwargs, labels, eta, …
    """

    __slots__ = (
        "_blocking",
        "_collecting",
        "_collector",
        "_ended",
        "_fields",
        "_given_key",
        "_heartbeat_at",
        "_held_progress",
        "_meter",
        "_progress_at",
        "_promised_s",
        "_reporter",
        "_started",
        "_tenancy",
        "_token",
        "attempt",
        "key",
        "parent_id",
        "queue",
        "root_id",
        "run_id",
        "task",
    )

    def __init__(
        self,
        reporter: Reporter,
        run_id: str,
        task: str,
        *,
        queue: str = "",
        attempt: int | None = 1,
        key: str | None = None,
        parent_id: str | None = None,
        root_id: str | None = None,
        from_queue: bool = False,
        tenancy: Tenancy = Tenancy.SHARED,
        blocking: bool = False,
        **fields: Any,
    ) -> None:
        self._reporter = reporter
        self.run_id = run_id
        self.task = task
        self.queue = queue
        self.attempt = attempt
        self.key: str | None = None
        self._given_key = key
        if parent_id is None and root_id is None and not from_queue:
            parent_id, root_id = context.lineage()
        self.parent_id = parent_id
        self.root_id = root_id or (None if from_queue else run_id)
        self._fields = fields
        self._started: float | None = None
        self._ended = False
        self._progress_at = 0.0
        self._held_progress: Progress | None = None
        self._heartbeat_at = 0.0
        self._promised_s: float | None = fields.get("heartbeat_s")
        self._token: Token[RunContext | None] | None = None
        self._tenancy = tenancy
        self._blocking = blocking
        self._meter: Meter | None = None
        self._collector: Collector | None = None
        self._collecting: Token[Collector | None] | None = None

    def queue_up(self, kind: EventKind = EventKind.QUEUED, *, here: bool = False, **fields: Any) -> None:
        """Report that it waits. `Reporter.emit` is for producers that execute nothing themselves.

        Args:
            kind: Queued or scheduled.
            here: It waits in the memory of this process, and ends with it (default False).
            fields: Further fields of the event.
        """
        if here:
            worker = self._reporter.worker
            fields.update(attempt=self.attempt, execution=self._given_key or f"{self.attempt}@{worker}", worker=worker)
        fields.update(self._fields, parent_id=self.parent_id, root_id=self.root_id)
        self._reporter.emit(kind, self.run_id, task=self.task, queue=self.queue, **fields)

    def start(self, *, here: bool = True) -> None:
        """Report that it starts, and begin to measure.

        Args:
            here: This thread executes it (default True); what another process takes cannot be measured from here.
        """
        try:
            self.key = self._given_key or f"{self.attempt}@{self._reporter.worker}"
            self._emit(EventKind.STARTED, root_id=self.root_id, parent_id=self.parent_id, **self._fields)
            self._fields = {}
            self._started = self._reporter.clock.monotonic()
            if here:
                self._meter = Meter(self._tenancy, blocking=self._blocking)
        except Exception as error:  # noqa: BLE001
            warn("execution.start", "huoyan: a start could not be reported", error=error)

    def start_unless_started(self) -> None:
        """Report the start now, where nobody could see it happen."""
        if not self.started:
            self.start()

    def enter(self) -> None:
        """Make this the current run of the calling context, so that what is started there knows its parent."""
        self._token = context.enter(
            RunContext(self.run_id, self.root_id or self.run_id, self._progress, self._heartbeat)
        )
        if self._collector is None:
            self._collector = breakdown.RunCollector(self.task, breakdown.current())
        self._collecting = breakdown.resume(self._collector)
        if self._meter is not None:
            self._meter.resume()

    def stop_clock(self) -> float | None:
        """Return how long it has run so far, in seconds, for frameworks that decide on the outcome some time later."""
        if self._meter is not None:
            self._meter.pause()
        return None if self._started is None else self._reporter.clock.monotonic() - self._started

    def leave(self) -> None:
        """Undo `enter`."""
        if self._meter is not None:
            self._meter.pause()
        if self._token is not None:
            token, self._token = self._token, None
            context.leave(token)
        if self._collecting is not None and self._collector is not None:
            collecting, self._collecting = self._collecting, None
            self._collector.stop()
            breakdown.suspend(collecting)

    def succeed(self, result: Payload = None) -> None:
        """Report success. `result` must have gone through `Reporter.value`."""
        self.end(EventKind.SUCCEEDED, result=result)

    def fail(self, error: BaseException) -> None:
        """Report what an exception says: cancellation is `revoked`, everything else `failed`."""
        if is_cancellation(error):
            when = "while it ran" if self.started else "before it could start"
            self.end(EventKind.REVOKED, reason=f"cancelled {when}{self._said(error)}")
            return
        exception: ExceptionInfo | None = None
        with guard("execution.fail"):
            exception = self._reporter.exception(error)
        self.end(EventKind.FAILED, exception=exception)

    def end(self, kind: EventKind, **fields: Any) -> None:
        """Report how it ended; only the first end counts. What never started is no execution: the run itself ends."""
        if self._ended:
            return
        self._ended = True
        try:
            if self._held_progress is not None:
                self._emit(EventKind.PROGRESS, progress=self._held_progress)
            if self._started is not None:
                fields.setdefault("duration_s", self._reporter.clock.monotonic() - self._started)
            if self._collector is not None:
                fields.setdefault("breakdown", self._collector.close())
            if self._meter is not None:
                fields["cpu_s"], fields["peak_memory_bytes"] = self._meter.read()
            self._emit(kind, **fields)
        except Exception as error:  # noqa: BLE001
            warn("execution.end", "huoyan: an end could not be reported", error=error)

    @property
    def collector(self) -> Collector | None:
        """What collects where its time goes, None before it was entered."""
        return self._collector

    @property
    def started(self) -> bool:
        """Whether a start was reported."""
        return self._started is not None

    @property
    def ended(self) -> bool:
        """Whether an end was reported."""
        return self._ended

    def _said(self, error: BaseException) -> str:
        said = self._reporter.said(error, 200)
        return f": {said}" if said else ""

    def _emit(self, kind: EventKind, **fields: Any) -> None:
        if self.key is not None:
            fields.update(attempt=self.attempt, execution=self.key, worker=self._reporter.worker)
        self._reporter.emit(kind, self.run_id, task=self.task, queue=self.queue, **fields)

    def _progress(self, progress: Progress) -> None:
        """Report progress, at most twice a second, for a loop may call this for every row; the last is always told."""
        now = self._reporter.clock.monotonic()
        complete = progress.total is not None and progress.done is not None and progress.done >= progress.total
        if self._ended:
            return
        if now < self._progress_at and not complete:
            self._held_progress = progress
            return
        self._held_progress = None
        self._progress_at = now + _PROGRESS_INTERVAL_S
        self._emit(EventKind.PROGRESS, progress=progress)

    def _heartbeat(self, interval_s: float | None) -> None:
        """Report a sign of life, at most twice a second unless it makes another promise."""
        now = self._reporter.clock.monotonic()
        if self._ended or (now < self._heartbeat_at and interval_s in (None, self._promised_s)):
            return
        self._heartbeat_at = now + _PROGRESS_INTERVAL_S
        promise = {} if interval_s is None or interval_s == self._promised_s else {"heartbeat_s": interval_s}
        self._promised_s = interval_s or self._promised_s
        self._emit(EventKind.PROGRESS, **promise)


def task_name(function: Callable[..., Any]) -> str:
    """Return `module.qualname` of a function, of the function inside a partial, of an object's class."""
    inner = function
    for _ in range(10):
        wrapped = getattr(inner, "func", None)
        if not callable(wrapped) or hasattr(inner, "__qualname__"):
            break
        inner = wrapped
    if not hasattr(inner, "__qualname__"):
        inner = type(inner)
    module = getattr(inner, "__module__", None)
    name = str(getattr(inner, "__qualname__", "")).replace(".<locals>", "")
    return f"{module}.{name}" if isinstance(module, str) and module else name


def is_cancellation(error: BaseException) -> bool:
    """Tell whether an exception says that its coroutine or greenlet was cancelled; by name, so no library is
    imported."""
    return not _CANCELLATIONS.isdisjoint(base_names(type(error)))
