"""What a Celery event says, in the words of the model.

| Celery event | fact |
|---|---|
| task-sent | queued, or scheduled when it has an ETA; only producers with `task_send_sent_event` send it |
| task-received | received, with arguments, retries, parent and root |
| task-started, task-succeeded, task-failed | started, succeeded, failed |
| task-failed with `NotRegistered` | rejected: the worker does not know the task |
| task-retried, task-cancelled | retrying |
| task-rejected | rejected; retrying when it goes back to its queue |
| task-revoked | revoked; dead when it had expired |
| worker-online, worker-heartbeat, worker-offline | a report of the worker process |

Sources: https://docs.celeryq.dev/en/stable/userguide/monitoring.html#event-reference and `celery.worker.request` of
Celery 5.6.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from huoyan.model.event import EventKind, Evidence, ExceptionInfo, Payload, ProcessReport, TaskEvent
from huoyan.model.fingerprint import fingerprint, parse_exception_repr
from huoyan.server.ingest.celery_counts import Counts
from huoyan.server.ingest.celery_deliveries import Deliveries, Delivery
from huoyan.server.ingest.celery_wire import CeleryEvent

FRAMEWORK = "celery"
SOURCE = "celery-events"
MAX_PAYLOAD_CHARACTERS = 8 * 1024
"""Celery itself bounds arguments and results to 1,024 characters, unless an application raises that."""
MAX_TRACEBACK_CHARACTERS = 64 * 1024
MAX_WORKERS = 10_000
_SHORT_CHARACTERS = 512

_UNREGISTERED = "NotRegistered("
_TOLD_BY_TRACEBACK = ("ExceptionWithTraceback(", "<Unrepresentable ")
"""Celery wraps what a killed or timed-out child ended with in the one, and writes the other of an exception whose repr
fails; only the traceback tells what it was."""
_RETRY = re.compile(r"Retry\(Retry\(\.\.\.\), (?P<cause>.+), (?:None|[\d.]+|datetime\..+)\)", re.DOTALL)
"""What a pool that shares the worker's process sends of a retry: the exception that asks for it, around its cause."""
_EMPTY: Mapping[str, list[Payload] | dict[str, Payload]] = {"()": [], "[]": [], "{}": {}}


class Translator:
    """Makes the model's events of Celery's, for one broker. Used by one thread.

    Args:
        service: Name to show for runs that carry none themselves.
        deliveries: What is known of the deliveries so far.
        scrub: Takes secrets out of text; workers send arguments, results and exceptions as they are.
    """

    def __init__(
        self, service: str = "", deliveries: Deliveries | None = None, scrub: Callable[[str], str] = str
    ) -> None:
        self._service = service
        self._scrub = scrub
        # The same text comes twice or more: a task is sent and received, and failures repeat.
        self._scrub_short = lru_cache(maxsize=4_096)(scrub)
        self._described = lru_cache(maxsize=256)(self._describe)
        self._deliveries = deliveries if deliveries is not None else Deliveries()
        self._processes: dict[tuple[str, int | None], str] = {}
        self._worker_queues: Mapping[str, list[str]] = {}
        # What a worker that works on a single queue receives came from there; events of workers name no queue.
        self._only_queue: Mapping[str, str] = {}
        self.begun = Counts()
        """Which tasks each worker process was heard to begin."""
        self.done = Counts()
        """Which it was heard to end."""
        self.inferred: list[TaskEvent] = []
        """Facts that follow from what was translated; whoever takes them empties this list."""
        self.queues: set[str] = set()
        """Queues that producers named."""
        self._handlers: dict[str, Callable[[CeleryEvent], TaskEvent]] = {
            "task-sent": self._sent,
            "task-received": self._received,
            "task-started": self._started,
            "task-succeeded": self._succeeded,
            "task-failed": self._failed,
            "task-retried": self._retried,
            "task-cancelled": self._cancelled,
            "task-revoked": self._revoked,
            "task-rejected": self._rejected,
        }

    def learn_queues(self, answers: Mapping[str, list[str]]) -> None:
        """Take which queues workers say they work on. May be called from another thread."""
        known = {**self._worker_queues, **answers}
        if len(known) > MAX_WORKERS:
            known = dict(answers)
        self._worker_queues = known
        self._only_queue = {worker: names[0] for worker, names in known.items() if len(names) == 1}

    def task_event(self, event: CeleryEvent) -> TaskEvent | None:
        """Return the fact about a run, or None when the event is about something else."""
        handler = self._handlers.get(event.type)
        return handler(event) if handler is not None and event.uuid else None

    def process_report(self, event: CeleryEvent) -> ProcessReport | None:
        """Return what a worker says of itself, or None when the event is about something else."""
        kind = event.type
        if kind not in {"worker-heartbeat", "worker-online", "worker-offline"} or not event.hostname:
            return None
        name = event.hostname
        return ProcessReport(
            worker=name,
            service=self._service,
            framework=FRAMEWORK,
            host=name.partition("@")[2] or name,
            pid=event.pid or 0,
            started_at=event.timestamp if kind == "worker-online" else 0.0,
            interval_s=event.freq or 2.0,
            active=event.active or 0,
            queues=self._worker_queues.get(name, []),
            closing=kind == "worker-offline",
            version=event.sw_ver or "",
        )

    def unheard(self, event: CeleryEvent, at: float) -> tuple[tuple[int, float] | None, tuple[int, float] | None]:
        """Compare what a heartbeat counts with what was heard.

        Returns:
            How many tasks that the worker began were not heard of and since when, None when all were; and the same of
            those that it ended.
        """
        if event.processed is None or event.active is None:
            return None, None
        process = self._process(event)
        ended = event.processed - event.active
        return self.begun.compare(process, event.processed, at), self.done.compare(process, ended, at)

    def _process(self, event: CeleryEvent) -> str:
        key = (event.hostname, event.pid)
        process = self._processes.get(key)
        if process is None:
            if len(self._processes) >= MAX_WORKERS:
                self._processes.clear()
            process = self._processes[key] = f"@{event.hostname}#{event.pid}"
        return process

    def _event(
        self, kind: EventKind, event: CeleryEvent, delivery: Delivery | None, duration_s: float | None = None
    ) -> TaskEvent:
        """Say something of one delivery; without one the merge finds its home by the worker."""
        worker = event.hostname
        return TaskEvent(
            kind=kind,
            run_id=event.uuid,
            at=event.timestamp,
            service=self._service,
            framework=FRAMEWORK,
            queue=self._only_queue.get(worker, ""),
            attempt=delivery.retries + 1 if delivery is not None else None,
            execution=delivery.execution if delivery is not None else None,
            worker=worker,
            duration_s=duration_s,
            source=SOURCE,
        )

    def _end(self, kind: EventKind, event: CeleryEvent, *, ran: bool = True) -> TaskEvent:
        """Say how a delivery ended.

        Only successes bring the runtime that the worker measured. For the others the difference of two of its time
        stamps has to do, unless its clock was set back in between.
        """
        process = self._process(event)
        if ran:
            self.done.hear(process)
        delivery, passed = self._deliveries.ended(event.uuid, process, kind, ran=ran)
        for earlier in passed:
            self._infer_retry(event, earlier, "a later try ended")
        duration_s = event.runtime
        if duration_s is None and delivery is not None and delivery.started_at is not None:
            passed_s = event.timestamp - delivery.started_at
            duration_s = passed_s if passed_s >= 0 else None
        return self._event(kind, event, delivery, duration_s)

    def _infer_retry(self, event: CeleryEvent, delivery: Delivery, reason: str) -> None:
        """Note that a delivery must have ended without being the last one; what its worker says of it counts more."""
        inferred = self._event(EventKind.RETRYING, event, delivery)
        inferred.evidence = Evidence.INFERRED
        inferred.reason = reason
        self.inferred.append(inferred)

    def _fate(self, kind: EventKind, event: CeleryEvent, reason: str) -> TaskEvent:
        """Say what was decided about a run that no worker took up."""
        return TaskEvent(
            kind=kind,
            run_id=event.uuid,
            at=event.timestamp,
            service=self._service,
            framework=FRAMEWORK,
            reason=reason,
            source=SOURCE,
        )

    def _sent(self, event: CeleryEvent) -> TaskEvent:
        eta = seconds(event.eta)
        queue = event.queue or event.routing_key or ""
        if queue and len(self.queues) < MAX_WORKERS:
            self.queues.add(queue)
        return TaskEvent(
            kind=EventKind.QUEUED if eta is None else EventKind.SCHEDULED,
            run_id=event.uuid,
            at=event.timestamp,
            task=event.name or "",
            service=self._service,
            framework=FRAMEWORK,
            queue=queue,
            attempt=(event.retries or 0) + 1,
            args=self._payload(event.args),
            kwargs=self._payload(event.kwargs),
            parent_id=event.parent_id,
            root_id=event.root_id,
            eta=eta,
            expires=seconds(event.expires),
            source=SOURCE,
        )

    def _received(self, event: CeleryEvent) -> TaskEvent:
        retries = event.retries or 0
        delivery = self._deliveries.received(event.uuid, retries, self._process(event))
        before = delivery.previous
        if before is not None and before.retries == retries and before.outcome is None:
            self._infer_retry(event, before, "its message was delivered again")
        worker = event.hostname
        return TaskEvent(
            kind=EventKind.RECEIVED,
            run_id=event.uuid,
            at=event.timestamp,
            task=event.name or "",
            service=self._service,
            framework=FRAMEWORK,
            queue=self._only_queue.get(worker, ""),
            attempt=retries + 1,
            execution=delivery.execution,
            worker=worker,
            args=self._payload(event.args),
            kwargs=self._payload(event.kwargs),
            parent_id=event.parent_id,
            root_id=event.root_id,
            eta=seconds(event.eta),
            expires=seconds(event.expires),
            source=SOURCE,
        )

    def _started(self, event: CeleryEvent) -> TaskEvent:
        process = self._process(event)
        self.begun.hear(process)
        delivery = self._deliveries.started(event.uuid, process, event.timestamp)
        return self._event(EventKind.STARTED, event, delivery)

    def _succeeded(self, event: CeleryEvent) -> TaskEvent:
        made = self._end(EventKind.SUCCEEDED, event)
        made.result = self._payload(event.result)
        return made

    def _failed(self, event: CeleryEvent) -> TaskEvent:
        text = event.exception
        if isinstance(text, str) and text.startswith(_UNREGISTERED) and not event.traceback:
            made = self._event(EventKind.REJECTED, event, None)
            made.reason = "the worker does not know this task"
            return made
        made = self._end(EventKind.FAILED, event)
        made.exception = self._exception(text, event.traceback)
        return made

    def _retried(self, event: CeleryEvent) -> TaskEvent:
        made = self._end(EventKind.RETRYING, event)
        made.exception = self._exception(event.exception, event.traceback)
        return made

    def _cancelled(self, event: CeleryEvent) -> TaskEvent:
        made = self._end(EventKind.RETRYING, event)
        made.reason = "the worker lost its broker and cancelled the task"
        return made

    def _revoked(self, event: CeleryEvent) -> TaskEvent:
        kind, reason = revocation(terminated=bool(event.terminated), signum=event.signum, expired=bool(event.expired))
        made = self._end(kind, event, ran=bool(event.terminated))
        if made.execution is None and not event.terminated:
            return self._fate(kind, event, reason)
        made.reason = reason
        return made

    def _rejected(self, event: CeleryEvent) -> TaskEvent:
        if event.requeue:
            made = self._end(EventKind.RETRYING, event)
            made.reason = "the task rejected its message, which went back to the queue"
        else:
            made = self._end(EventKind.REJECTED, event)
            made.reason = "the task rejected its message"
        return made

    def _payload(self, value: object) -> Payload:
        """Return arguments or a result, which Celery sends as their repr, scrubbed and bounded."""
        if value is None or value == "None":
            return None
        text = value if isinstance(value, str) else repr(value)
        if len(text) == 2 and text in _EMPTY:
            return _EMPTY[text].copy()
        if len(text) > MAX_PAYLOAD_CHARACTERS:
            text = text[:MAX_PAYLOAD_CHARACTERS] + "…"
        return self._scrub_short(text) if len(text) <= _SHORT_CHARACTERS else self._scrub(text)

    def _exception(self, text: object, traceback: object) -> ExceptionInfo | None:
        """Return an exception, which Celery sends as its repr and a formatted traceback."""
        return self._described(
            text if isinstance(text, str) else None, _middle_cut(traceback) if isinstance(traceback, str) else ""
        )

    def _describe(self, text: str | None, traceback: str) -> ExceptionInfo | None:
        trace = self._scrub(traceback)
        if text is None or text == "None":
            # `Task.retry` was called without an exception.
            return (
                ExceptionInfo("Retry", traceback=trace, fingerprint=fingerprint("Retry", "", trace)) if trace else None
            )
        if text.startswith(_TOLD_BY_TRACEBACK) and traceback:
            text = _last_line(traceback)
        if retry := _RETRY.fullmatch(text):
            text = retry["cause"]
        kind, message = parse_exception_repr(text)
        message = self._scrub(message[:MAX_PAYLOAD_CHARACTERS])
        return ExceptionInfo(kind, message, trace, fingerprint(kind, message, trace))


def revocation(*, terminated: bool, signum: object, expired: bool) -> tuple[EventKind, str]:
    """Return what a revocation is and why."""
    if expired:
        return EventKind.DEAD, "expired before it was started"
    if terminated:
        return EventKind.REVOKED, "terminated while it ran" + (f" (signal {signum})" if signum else "")
    return EventKind.REVOKED, "revoked before it was started"


def seconds(moment: str | float | None) -> float | None:
    """Return a time in ISO 8601 as seconds since 1970 UTC; without a zone it is UTC, as is Celery's default."""
    if moment is None or isinstance(moment, int | float):
        return moment
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)).timestamp()


def _last_line(traceback: str) -> str:
    """Return the line of a traceback that names the exception."""
    return next((line for line in reversed(traceback.splitlines()) if line[:1].isalpha()), "")


def _middle_cut(text: str) -> str:
    if len(text) <= MAX_TRACEBACK_CHARACTERS:
        return text
    half = MAX_TRACEBACK_CHARACTERS // 2
    return f"{text[:half]}\n  …\n{text[-half:]}"
