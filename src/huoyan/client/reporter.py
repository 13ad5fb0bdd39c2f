"""What an integration reports through: one reporter for each watched thing, bound to its service and framework."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from huoyan.client.guard import warn
from huoyan.model.event import EventKind, ExceptionInfo, Payload, QueueReading, TaskEvent
from huoyan.model.schedule import ScheduleReport

if TYPE_CHECKING:
    from huoyan.client.process import Client
    from huoyan.client.settings import Settings
    from huoyan.clock import Clock


class Reporter:
    """Says what happens to the runs of one watched thing. No method raises, blocks or waits for the server."""

    __slots__ = ("_client", "framework", "labels", "service")

    def __init__(
        self, client: "Client", framework: str, service: str = "", labels: Mapping[str, str] | None = None
    ) -> None:
        self._client = client
        self.framework = framework
        self.service = service
        self.labels = dict(labels) if labels else None

    @property
    def client(self) -> "Client":
        """The client of the process, for what is measured and no run."""
        return self._client

    @property
    def settings(self) -> "Settings":
        """The settings of the process."""
        return self._client.settings

    @property
    def clock(self) -> "Clock":
        """Where times come from: `now()` for events, `monotonic()` for durations."""
        return self._client.clock

    @property
    def worker(self) -> str:
        """Name of this process as events carry it: `service@host:pid`, or what `identify` set."""
        return self._client.process.worker

    def emit(self, kind: EventKind, run_id: str, *, at: float | None = None, **fields: Any) -> None:
        """Report one fact.

        Args:
            kind: What happened.
            run_id: Identity of the run.
            at: When, seconds since 1970 UTC; now by default.
            fields: Further fields of `TaskEvent`. Payloads must have gone through `call` or `value` before. Service,
                framework and the labels given to `watch` are filled in.
        """
        try:
            if self.labels:
                fields["labels"] = {**self.labels, **(fields.get("labels") or {})}
            fields.setdefault("service", self.service)
            fields.setdefault("framework", self.framework)
            now = self._client.clock.now() if at is None else at
            self._client.record(TaskEvent(kind=kind, run_id=run_id, at=now, **fields))
        except Exception as error:  # noqa: BLE001 - a report must never hurt what it reports
            warn("report", "huoyan: an event could not be recorded", error=error)

    def queue_reading(self, queue: str, depth: int, oldest_age_s: float | None = None) -> None:
        """Report how many messages wait in a queue, and for how many seconds the oldest has."""
        try:
            at = self._client.clock.now()
            self._client.record_queue(QueueReading(queue, depth, at, self.service or self.framework, oldest_age_s))
        except Exception as error:  # noqa: BLE001
            warn("report", "huoyan: a queue reading could not be recorded", error=error)

    def schedule(self, schedule_id: str, **fields: Any) -> None:
        """Report a schedule that this process keeps, again whenever something about it changes.

        Args:
            schedule_id: Its name, the same in every process that keeps it; its runs carry it in the label `schedule`.
            fields: Further fields of `Schedule`. Service, framework, source and the time are filled in.
        """
        try:
            fields.setdefault("service", self.service)
            fields.setdefault("framework", self.framework)
            fields.setdefault("source", self.worker)
            fields.setdefault("at", self._client.clock.now())
            self._client.record_schedule(ScheduleReport(id=schedule_id, **fields))
        except Exception as error:  # noqa: BLE001
            warn("report", "huoyan: a schedule could not be recorded", error=error)

    def call(
        self, function: Callable[..., Any] | None, args: tuple[Any, ...] | list[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Payload, Payload]:
        """Return arguments as they may leave the process: bounded, and scrubbed by the names in the signature.

        Args:
            function: Whose parameters the positional arguments are, or None when it is not known.
            args: Positional arguments.
            kwargs: Keyword arguments.
        """
        return self._client.capture.call(function, args, kwargs)

    def value(self, value: Any) -> Payload:
        """Return a result (or any other value) as it may leave the process: bounded and scrubbed."""
        return self._client.capture.value(value)

    def said(self, value: object, limit: int = 500) -> str:
        """Return what an exception, or another object of the host, says of itself: scrubbed, and at most `limit`
        characters. What is slow or raises says that instead."""
        return self._client.capture.said(value, limit)

    def exception(self, error: BaseException, traceback: str | None = None) -> ExceptionInfo:
        """Describe an exception, scrubbed and bounded, with its fingerprint.

        Args:
            error: The exception.
            traceback: Its formatted traceback when the exception carries none (it came from another process).
        """
        return self._client.capture.exception(error, traceback)

    def identify(
        self, worker: str, *, queues: list[str] | None = None, reports: bool = True, children: bool = False
    ) -> None:
        """Name this process, for frameworks whose workers have names of their own.

        Args:
            worker: What events of this process carry in `worker` from now on, e.g. `celery@host-1`.
            queues: The queues it works on.
            reports: Send a ProcessReport at every interval; False when another process speaks under this name.
            children: Processes forked from here speak under the same name and leave the reports to this one
                (prefork pools). Otherwise a fork gets a name of its own.
        """
        self._client.identify(self, worker, queues=queues, reports=reports, children=children)

    def consumes(self, queue: str) -> None:
        """Say that this process works on a queue."""
        self._client.consumes(queue)

    def flush(self, timeout_s: float | None = None) -> bool:
        """Send what waits, for at most `timeout_s` (the setting `exit_timeout_s` by default), at the end of a
        worker."""
        return self._client.flush(timeout_s)
