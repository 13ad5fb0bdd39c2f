"""Reports what happens to the messages of one broker."""

import asyncio
import uuid
from collections import OrderedDict
from contextvars import ContextVar, Token
from typing import Any

from taskiq.exceptions import NoResultError, TaskRejectedError

from huoyan.client import context
from huoyan.client.execution import Execution, is_cancellation
from huoyan.client.frameworks.taskiq import facts
from huoyan.client.frameworks.taskiq.schedules import Schedules
from huoyan.client.guard import guarded
from huoyan.client.reporter import Reporter
from huoyan.model.event import EventKind

_MAX_REMEMBERED = 10_000


class Delivery:
    """One message in the hands of a worker, until the outermost middleware has heard what came of it."""

    __slots__ = ("again", "duration_s", "ending", "error", "execution", "requeues", "retries", "task", "token")

    def __init__(self, execution: Execution, labels: dict[str, Any]) -> None:
        self.execution = execution
        self.retries = facts.retries(labels)
        self.requeues = facts.requeues(labels)
        self.duration_s: float | None = None
        self.error: BaseException | None = None
        self.ending = False
        self.again = False
        self.task: asyncio.Task[Any] | None = None
        self.token: Token[Delivery | None] | None = None

    def stop_clock(self) -> None:
        """Take the time when the function is done."""
        if not self.ending:
            self.ending = True
            self.duration_s = self.execution.stop_clock()

    def end(self, kind: EventKind, **fields: Any) -> None:
        """Report the outcome, with the time that the function itself took."""
        if self.duration_s is not None:
            fields["duration_s"] = self.duration_s
        self.execution.end(kind, **fields)

    @guarded("taskiq.unwound")
    def unwound(self, task: "asyncio.Task[Any]") -> None:
        """Settle what Taskiq or a middleware gave up with an exception of its own: no hook hears of that."""
        if self.execution.ended:
            return
        error = self.error
        if error is None:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
        if error is not None:
            self.execution.start_unless_started()
            self.execution.fail(error)


class Messages:
    """What is known of one watched broker, and what is said about it."""

    def __init__(self, broker: Any, reporter: Reporter) -> None:
        self.reporter = reporter
        self.schedules = Schedules(broker, reporter)
        self.here: ContextVar[Delivery | None] = ContextVar("huoyan_taskiq_delivery", default=None)
        self._sending: OrderedDict[tuple[str, int], float] = OrderedDict()

    def sending(self, message: Any) -> None:
        """Remember when it begins, and let the message say which run it is from.

        The time is that of the beginning: a fast worker may start it before its producer knows that it is sent.
        """
        self._sending[message.task_id, facts.attempt(message.labels)] = self.reporter.clock.now()
        if len(self._sending) > _MAX_REMEMBERED:
            self._sending.popitem(last=False)
        current = context.current()
        if current is not None and current.run_id != message.task_id:
            message.labels[facts.PARENT] = current.run_id
            message.labels[facts.ROOT] = current.root_id

    def sent(self, broker: Any, message: Any) -> None:
        """Report what waits from now on: a new run, or a retry of one."""
        labels = message.labels
        attempt = facts.attempt(labels)
        at = self._sending.pop((message.task_id, attempt), None) or self.reporter.clock.now()
        delivery = self.here.get()
        if delivery is not None and delivery.ending and delivery.execution.run_id == message.task_id:
            delivery.again = True
        fields: dict[str, Any] = {}
        if attempt == 1:
            function = facts.function(broker, message.task_name)
            fields["args"], fields["kwargs"] = self.reporter.call(function, message.args, message.kwargs)
            if "schedule_id" in labels:
                name = self.schedules.name(str(labels["schedule_id"]))
                fields["labels"] = {"trigger": "schedule", "schedule": name, "scheduler": self.reporter.worker}
        delay_s = facts.delay_s(broker, labels)
        self.reporter.emit(
            EventKind.QUEUED if delay_s is None else EventKind.SCHEDULED,
            message.task_id,
            at=at,
            task=message.task_name,
            queue=facts.queue(broker, labels),
            attempt=attempt,
            eta=None if delay_s is None else at + delay_s,
            **facts.lineage(labels),
            **fields,
        )

    def delivered(self, broker: Any, message: Any) -> None:
        """Prepare to report what comes of a message."""
        attempt = facts.attempt(message.labels)
        args = kwargs = None
        if attempt == 1:
            function = facts.function(broker, message.task_name)
            args, kwargs = self.reporter.call(function, message.args, message.kwargs)
        execution = Execution(
            self.reporter,
            message.task_id,
            message.task_name,
            queue=facts.queue(broker, message.labels),
            attempt=attempt,
            # The random part tells a redelivery from the delivery before it.
            key=f"{attempt}.{uuid.uuid4().hex[:12]}@{self.reporter.worker}",
            from_queue=True,
            args=args,
            kwargs=kwargs,
            **facts.lineage(message.labels),
        )
        delivery = Delivery(execution, message.labels)
        delivery.token = self.here.set(delivery)
        delivery.task = asyncio.current_task()
        if delivery.task is not None:
            delivery.task.add_done_callback(delivery.unwound)

    def executed(self, broker: Any, message: Any, result: Any) -> None:
        """Report how it ended, now that every other middleware has had its say."""
        delivery = self.here.get()
        if delivery is None or delivery.execution.run_id != message.task_id:
            return
        error = delivery.error if delivery.error is not None else result.error
        if error is None:
            delivery.end(EventKind.SUCCEEDED, result=self.reporter.value(result.return_value))
        else:
            self._raised(broker, delivery, message, result, error)
        if delivery.task is not None:
            delivery.task.remove_done_callback(delivery.unwound)
        if isinstance(result.error, NoResultError):
            self.left(message)  # No result is saved, so nobody will say that it was.

    def _raised(self, broker: Any, delivery: Delivery, message: Any, result: Any, error: BaseException) -> None:
        if isinstance(error, NoResultError):
            if facts.requeues(message.labels) > delivery.requeues:
                delivery.end(EventKind.RETRYING, reason="the task put itself into the queue again")
            else:
                delivery.end(EventKind.SUCCEEDED, reason="the task wants no result to be kept")
        elif delivery.again or _put_off(broker, delivery, message, result):
            delivery.end(EventKind.RETRYING, exception=self.reporter.exception(error))
        elif isinstance(error, TaskRejectedError):
            delivery.end(EventKind.REJECTED, reason="the task rejected its message")
        elif is_cancellation(error):
            delivery.execution.fail(error)
        else:
            delivery.end(EventKind.FAILED, exception=self.reporter.exception(error))

    def left(self, message: Any) -> None:
        """Forget a message with which nothing more will happen here. Pipelines send the next one before that."""
        delivery = self.here.get()
        if delivery is None or delivery.execution.run_id != message.task_id:
            return
        delivery.execution.leave()
        if delivery.token is not None:
            token, delivery.token = delivery.token, None
            self.here.reset(token)

    def unknown(self, broker: Any, message: Any) -> None:
        """Report a message that no middleware sees because the worker does not know its task."""
        self.reporter.emit(
            EventKind.REJECTED,
            message.task_id,
            task=message.task_name,
            queue=facts.queue(broker, message.labels),
            reason="the worker does not know this task and dropped its message",
        )


def _put_off(broker: Any, delivery: Delivery, message: Any, result: Any) -> bool:
    """Tell whether a retry was handed to a schedule source: the scheduler will send it, perhaps in another process."""
    if isinstance(result.error, NoResultError):
        return True
    counted = facts.retries(message.labels) > delivery.retries
    return counted and any(getattr(each, "schedule_source", None) is not None for each in broker.middlewares)
