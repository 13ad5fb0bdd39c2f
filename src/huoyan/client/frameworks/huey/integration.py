"""Huey: what producers enqueue and what consumers make of it, with threads, processes or greenlets.

Huey's signals tell most of it. Some methods of the watched instance are wrapped besides: `_execute`, because a final
failure has no signal and because what a task enqueues has that task as its parent; `enqueue`, because the signal comes
before the storage has taken the task; `read_schedule`, which the consumer calls every second and which is the place to
look at the queue; `read_periodic`, which it calls once a minute.
"""

import datetime
import functools
import os
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from huoyan.client import context
from huoyan.client.attributes import bare_name
from huoyan.client.execution import Execution
from huoyan.client.frameworks.huey.periodic import Periodic, task_name
from huoyan.client.guard import guard, guarded
from huoyan.client.reporter import Reporter
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind

_MAX_REMEMBERED = 10_000
_READING_INTERVAL_S = 2.0
_WRAPPED = ("_execute", "create_consumer", "enqueue", "notify_interrupted_tasks", "read_periodic", "read_schedule")
_AWAY = frozenset({"ConnectionError", "TimeoutError", "BusyLoadingError", "OperationalError"})
"""Names of errors of Redis clients and databases that are no `OSError`."""


class _Attempt:
    """One execution of a task, from Huey's decision to run it to what Huey made of its outcome."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution
        self.result: Any = None
        self.error: BaseException | None = None
        self.returned = False
        self.duration_s: float | None = None

    def end(self, kind: EventKind, **fields: Any) -> None:
        """Report the outcome, with the time that the function itself took."""
        if self.duration_s is not None:
            fields["duration_s"] = self.duration_s
        self.execution.end(kind, **fields)


class _Queue:
    """What is known of one watched Huey instance."""

    def __init__(self, huey: Any, reporter: Reporter) -> None:
        self._huey = weakref.ref(huey)
        self._reporter = reporter
        self._name = str(huey.name)
        self._attempts: dict[str, _Attempt] = {}
        self._lineage: OrderedDict[str, tuple[str | None, str]] = OrderedDict()
        self._functions: weakref.WeakKeyDictionary[type, Callable[..., Any]] = weakref.WeakKeyDictionary()
        self._read_at = 0.0
        self._periodic = Periodic(reporter)
        self._handlers: dict[str, Callable[[Any], None]] = {
            "enqueued": self._on_enqueued,
            "scheduled": self._on_scheduled,
            "complete": self._on_complete,
            "retrying": self._on_retrying,
            "revoked": self._on_revoked,
            "expired": self._on_expired,
            "interrupted": self._on_interrupted,
        }

    @guarded("huey.signal")
    def heard(self, signal: str, task: Any, *_: Any) -> None:
        """Take a signal of Huey's."""
        handler = self._handlers.get(signal)
        if handler is not None:
            handler(task)

    def _on_enqueued(self, task: Any) -> None:
        now = self._reporter.clock.now()
        eta = self._seconds(task.eta)
        if eta is not None and eta > now:
            self._waits(EventKind.SCHEDULED, task, at=now, eta=eta)
        else:
            # Its time has come: the consumer moves it from the schedule to the queue.
            self._waits(EventKind.QUEUED, task, at=now)

    def _on_scheduled(self, task: Any) -> None:
        self._waits(EventKind.SCHEDULED, task, at=self._reporter.clock.now(), eta=self._seconds(task.eta))

    def _waits(self, kind: EventKind, task: Any, *, at: float, eta: float | None = None) -> None:
        run_id = str(task.id)
        current = context.current()
        if current is not None and current.run_id == run_id:
            # It enqueues itself again: a retry, which has an ETA of its own and is no second run.
            self._emit(kind, task, at=at, attempt=2)
            return
        parent_id, root_id = context.lineage()
        known = self._lineage.get(run_id)
        if known is None and parent_id is not None:
            self._remember(run_id, parent_id, root_id or parent_id)
        args, kwargs = self._call(task)
        self._emit(
            kind,
            task,
            at=at,
            eta=eta,
            expires=self._seconds(task.expires_resolved),
            args=args,
            kwargs=kwargs,
            parent_id=parent_id,
            root_id=root_id,
            labels=self._periodic.labels(task),
        )

    def _on_complete(self, task: Any) -> None:
        attempt = self._attempts.get(_key(task))
        if attempt is not None:
            attempt.end(EventKind.SUCCEEDED, result=self._reporter.value(attempt.result))

    def _on_retrying(self, task: Any) -> None:
        attempt = self._attempts.get(_key(task))
        if attempt is not None:
            error = attempt.error
            exception = self._reporter.exception(error) if error is not None else None
            attempt.end(EventKind.RETRYING, exception=exception)

    def _on_revoked(self, task: Any) -> None:
        self._emit(EventKind.REVOKED, task, reason="revoked before it started")

    def _on_expired(self, task: Any) -> None:
        self._emit(EventKind.DEAD, task, reason=f"expired at {task.expires_resolved} before it could start")

    def _on_interrupted(self, task: Any) -> None:
        attempt = self._attempts.get(_key(task))
        if attempt is not None:
            attempt.end(EventKind.REVOKED, reason="interrupted, the consumer was shut down")

    def execute(self, original: Callable[..., Any], task: Any, *args: Any) -> Any:
        """Run `Huey._execute` and report what it comes to."""
        attempt = None
        with guard("huey.start"):
            attempt = self._attempt(task)
        if attempt is None:
            return original(task, *args)
        attempt.execution.enter()
        failure: BaseException | None = None
        try:
            return original(task, *args)
        except BaseException as error:
            failure = error
            raise
        finally:
            attempt.execution.leave()
            self._finish(task, attempt, failure)

    def _attempt(self, task: Any) -> _Attempt:
        """Prepare a task to report its start and to keep its outcome."""
        run_id = str(task.id)
        args, kwargs = self._call(task)
        parent_id, root_id = self._lineage.pop(run_id, (None, None))
        execution = Execution(
            self._reporter,
            run_id,
            self._task_name(task),
            queue=self._name,
            # Huey counts the tries that are left, so no number; the random part tells executions of one run apart.
            attempt=None,
            key=f"{uuid.uuid4().hex[:12]}@{self._reporter.worker}",
            parent_id=parent_id,
            root_id=root_id,
            from_queue=True,
            args=args,
            kwargs=kwargs,
            labels=self._periodic.labels(task),
        )
        attempt = _Attempt(execution)
        function = task.execute

        @functools.wraps(function)
        def watched() -> Any:
            execution.start()
            try:
                attempt.result = function()
                attempt.returned = True
            except BaseException as error:
                attempt.error = error
                raise
            finally:
                attempt.duration_s = execution.stop_clock()
            return attempt.result

        task.execute = watched
        self._attempts[_key(task)] = attempt
        return attempt

    @guarded("huey.finish")
    def _finish(self, task: Any, attempt: _Attempt, failure: BaseException | None) -> None:
        """Report outcomes that Huey has no signal for."""
        self._attempts.pop(_key(task), None)
        vars(task).pop("execute", None)
        error, attempt.error = attempt.error or failure, None
        if attempt.execution.ended:
            return
        kind = bare_name(type(error))
        if error is None:
            attempt.end(EventKind.REVOKED, reason="cancelled by a hook before it started")
        elif kind == "CancelExecution":
            attempt.end(EventKind.REVOKED, reason=f"cancelled itself{self._said(error)}")
        elif kind in {"TaskLockedException", "RateLimitExceeded"}:
            attempt.end(EventKind.REJECTED, reason=self._reporter.said(error))
        elif isinstance(error, KeyboardInterrupt):
            attempt.end(EventKind.REVOKED, reason="interrupted, the consumer was shut down")
        elif attempt.returned and _is_away(error):
            # The task is done, Huey could not note it. A result that cannot be kept at all is a failure, as elsewhere.
            reason = f"it succeeded, and could not be noted: {kind}{self._said(error)}"
            attempt.end(EventKind.SUCCEEDED, result=self._reporter.value(attempt.result), reason=reason)
        else:
            attempt.end(EventKind.FAILED, exception=self._reporter.exception(error))

    def enqueue(self, original: Callable[..., Any], task: Any) -> Any:
        """Run `Huey.enqueue`; what the storage refuses was announced too early."""
        try:
            return original(task)
        except Exception as error:
            with guard("huey.enqueue"):
                if hasattr(task, "id"):
                    text = f"could not be enqueued: {bare_name(type(error))}{self._said(error)}"
                    self._emit(EventKind.DEAD, task, reason=text)
            raise

    def read_schedule(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `Huey.read_schedule`, and look at the queue every few seconds."""
        with guard("huey.reading"):
            now = self._reporter.clock.monotonic()
            huey = self._huey()
            if huey is not None and now >= self._read_at:
                self._read_at = now + _READING_INTERVAL_S
                self._reporter.queue_reading(self._name, int(huey.pending_count()))
        return original(*args, **kwargs)

    def read_periodic(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `Huey.read_periodic`, which a consumer does once a minute."""
        due = original(*args, **kwargs)
        with guard("huey.periodic"):
            huey = self._huey()
            if huey is not None:
                self._periodic.looked(huey, due)
        return due

    def create_consumer(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run `Huey.create_consumer`: this process works on the queue."""
        self._reporter.consumes(self._name)
        return original(*args, **kwargs)

    def notify_interrupted_tasks(self, original: Callable[..., Any]) -> Any:
        """Run the last thing that a consumer does. It may replace its own process then, which no atexit function
        sees."""
        try:
            return original()
        finally:
            self._reporter.flush()

    def _emit(self, kind: EventKind, task: Any, **fields: Any) -> None:
        self._reporter.emit(kind, str(task.id), task=self._task_name(task), queue=self._name, **fields)

    def _said(self, error: BaseException) -> str:
        said = self._reporter.said(error)
        return f": {said}" if said else ""

    def _task_name(self, task: Any) -> str:
        return task_name(task)

    def _call(self, task: Any) -> tuple[Any, Any]:
        return self._reporter.call(self._function(type(task)), task.args, task.kwargs)

    def _function(self, kind: type) -> Callable[..., Any] | None:
        """Return the function behind a task class: Huey keeps it in the closure of `execute` and nowhere else."""
        if kind not in self._functions:
            execute = getattr(kind, "execute", None)
            names = getattr(getattr(execute, "__code__", None), "co_freevars", ())
            cells = getattr(execute, "__closure__", None) or ()
            found = dict(zip(names, cells, strict=False)).get("func")
            if found is None or not callable(found.cell_contents):
                return None
            self._functions[kind] = found.cell_contents
        return self._functions[kind]

    def _remember(self, run_id: str, parent_id: str, root_id: str) -> None:
        """Keep who started a run, for a consumer in the same process: messages of Huey have no room for it."""
        self._lineage[run_id] = (parent_id, root_id)
        if len(self._lineage) > _MAX_REMEMBERED:
            self._lineage.popitem(last=False)

    def _seconds(self, moment: Any) -> float | None:
        """Return seconds since 1970 for one of Huey's times: without a zone, in UTC or local as the instance is set
        up."""
        if not isinstance(moment, datetime.datetime):
            return None
        huey = self._huey()
        if moment.tzinfo is None and (huey is None or huey.utc):
            moment = moment.replace(tzinfo=datetime.UTC)
        return float(moment.timestamp())


def _is_away(error: BaseException) -> bool:
    """Tell whether an error says that the storage could not be reached, whichever one it is."""
    return isinstance(error, OSError) or not _AWAY.isdisjoint(kind.__name__ for kind in type(error).__mro__)


def _key(task: Any) -> str:
    """Tell executions apart that go on at the same time: one task may be revived while its other half still runs."""
    return f"{task.id}@{id(task)}@{os.getpid()}"


class HueyIntegration:
    """Huey instances of every storage, in producers and consumers."""

    framework = "huey"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._queues: weakref.WeakKeyDictionary[Any, _Queue] = weakref.WeakKeyDictionary()

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Listen to the signals and wrap the methods that have none."""
        missing = [name for name in (*_WRAPPED, "signal") if not callable(getattr(thing, name, None))]
        if missing:
            raise ConfigurationError("watch", "Huey 2.5 or newer", f"one without {', '.join(missing)}")
        queue = _Queue(thing, reporter)
        thing.signal()(queue.heard)
        self._queues[thing] = queue
        wrappers: dict[str, Callable[..., Any]] = {
            "_execute": queue.execute,
            "create_consumer": queue.create_consumer,
            "enqueue": queue.enqueue,
            "notify_interrupted_tasks": queue.notify_interrupted_tasks,
            "read_periodic": queue.read_periodic,
            "read_schedule": queue.read_schedule,
        }
        for name, wrapper in wrappers.items():
            setattr(thing, name, _wrapped(getattr(thing, name), wrapper))

    def unwatch(self, thing: Any) -> None:
        """Take everything out again."""
        queue = self._queues.pop(thing, None)
        if queue is not None:
            thing.disconnect_signal(queue.heard)
            for name in _WRAPPED:
                vars(thing).pop(name, None)


def _wrapped(original: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapper(original, *args, **kwargs)

    return call
