"""Reports what happens to the messages of one broker."""

import sys
import threading
import uuid
from collections import OrderedDict
from typing import Any

from huoyan.client import context
from huoyan.client.attributes import base_names
from huoyan.client.execution import Execution, is_cancellation
from huoyan.client.frameworks.dramatiq import facts
from huoyan.client.reporter import Reporter
from huoyan.model.event import EventKind

_MAX_REMEMBERED = 10_000
_MESSAGE_KEYS = frozenset({"actor_name", "args", "kwargs", "options"})


class Delivery:
    """One message in the hands of a worker thread, until the outermost middleware has heard what came of it."""

    __slots__ = ("again", "attempt", "duration_s", "ending", "execution", "message_id")

    def __init__(self, message_id: str, attempt: int, execution: Execution) -> None:
        self.message_id = message_id
        self.attempt = attempt
        self.execution = execution
        self.duration_s: float | None = None
        self.ending = False
        self.again = False

    def stop_clock(self) -> None:
        """Take the time when the actor is done. An interrupt may come again while middlewares look at the outcome."""
        if not self.ending:
            self.ending = True
            self.duration_s = self.execution.stop_clock()

    def end(self, kind: EventKind, **fields: Any) -> None:
        """Report the outcome, with the time that the actor itself took."""
        if self.duration_s is not None:
            fields["duration_s"] = self.duration_s
        self.execution.end(kind, **fields)


class Here(threading.local):
    """What this thread, or greenlet, is about."""

    def __init__(self) -> None:
        self.delivery: Delivery | None = None
        self.enqueuing: OrderedDict[str, float] = OrderedDict()


class Messages:
    """What is known of one watched broker, and what is said about it."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.here = Here()
        self._delayed: OrderedDict[str, None] = OrderedDict()

    def enqueuing(self, message: Any) -> None:
        """Remember when it begins, and let the message say which run it is from.

        The time is that of the beginning: a fast worker may start it before its producer knows that it is sent.
        """
        _remember(self.here.enqueuing, message.message_id, self.reporter.clock.now())
        current = context.current()
        if current is not None and current.run_id != message.message_id:
            message.options[facts.PARENT] = current.run_id
            message.options[facts.ROOT] = current.root_id

    def enqueued(self, broker: Any, message: Any) -> None:
        """Report what waits from now on: a new run, a retry of one, or one whose delay is over."""
        at = self.here.enqueuing.pop(message.message_id, None)
        attempt = facts.attempt(message)
        delivery = self.here.delivery
        if delivery is not None and delivery.ending and delivery.message_id == message.message_id:
            delivery.again = True
        told_before = attempt > 1 or message.message_id in self._delayed
        self._delayed.pop(message.message_id, None)
        args, kwargs = (None, None) if told_before else self.call(broker, message)
        eta = message.options.get("eta")
        due = float(eta) / 1000 if isinstance(eta, int | float) else None
        self.reporter.emit(
            EventKind.QUEUED if due is None else EventKind.SCHEDULED,
            message.message_id,
            at=at,
            task=message.actor_name,
            queue=facts.queue(message.queue_name),
            attempt=attempt,
            args=args,
            kwargs=kwargs,
            eta=due,
            expires=facts.expires(broker, message),
            **facts.lineage(message),
        )

    def delayed(self, message: Any) -> None:
        """Remember what a worker keeps until its time has come, and then enqueues itself."""
        _remember(self._delayed, message.message_id, None)

    def delivered(self, broker: Any, message: Any) -> None:
        """Prepare to report what comes of a message."""
        attempt = facts.attempt(message)
        worker = self.reporter.worker
        args, kwargs = self.call(broker, message) if attempt == 1 else (None, None)
        execution = Execution(
            self.reporter,
            message.message_id,
            message.actor_name,
            queue=facts.queue(message.queue_name),
            attempt=attempt,
            # The random part tells a redelivery from the delivery before it.
            key=f"{attempt}.{uuid.uuid4().hex[:12]}@{worker}",
            from_queue=True,
            args=args,
            kwargs=kwargs,
            **facts.lineage(message),
        )
        self.here.delivery = Delivery(message.message_id, attempt, execution)

    def settle(self, message: Any) -> Delivery | None:
        """Take the delivery that ends now."""
        delivery, self.here.delivery = self.here.delivery, None
        if delivery is None:
            return None
        delivery.execution.leave()
        return delivery if delivery.message_id == message.message_id else None

    def processed(self, delivery: Delivery, message: Any, result: Any, error: BaseException | None) -> None:
        """Report how it ended, now that every other middleware has had its say."""
        execution = delivery.execution
        if error is None and not execution.started:
            execution.end(EventKind.REJECTED, reason="a middleware refused the message before it could start")
        elif error is None and message.failed:
            delivery.end(EventKind.REJECTED, reason="it returned, and a middleware refused the message afterwards")
        elif error is None:
            delivery.end(EventKind.SUCCEEDED, result=self.reporter.value(result))
        else:
            execution.start_unless_started()
            self._raised(delivery, message, error)

    def _raised(self, delivery: Delivery, message: Any, error: BaseException) -> None:
        names = base_names(type(error))
        if delivery.again:
            reason = "interrupted, the worker was shut down" if "Shutdown" in names else ""
            delivery.end(EventKind.RETRYING, exception=self.reporter.exception(error), reason=reason)
        elif "Shutdown" in names:
            delivery.end(EventKind.REVOKED, reason="interrupted, the worker was shut down")
        elif "Abort" in names:
            delivery.end(EventKind.REVOKED, reason="aborted while it ran")
        elif is_cancellation(error):
            delivery.execution.fail(error)
        else:
            reason = ""
            if message.failed:
                counted = facts.attempt(message) > delivery.attempt
                why = "no retry is left" if counted else "its actor does not want this exception retried"
                reason = f"{why}, the message is in the dead letter queue"
            delivery.end(EventKind.FAILED, exception=self.reporter.exception(error), reason=reason)

    def skipped(self, delivery: Delivery, message: Any) -> None:
        """Report that a middleware would not have it processed."""
        # The hook is not told why, but Dramatiq calls it while it handles the exception that says so.
        error = sys.exc_info()[1]
        who, said = facts.raiser(error), "" if error is None else self.reporter.said(error)
        said = f": {said}" if said else ""
        if who == "AgeLimit":
            delivery.end(EventKind.DEAD, reason="older than its age limit, the message is in the dead letter queue")
        elif message.failed:
            delivery.end(EventKind.REJECTED, reason=f"refused by {who}{said}, the message is in the dead letter queue")
        else:
            delivery.end(EventKind.REVOKED, reason=f"skipped by {who}{said}")

    def refused(self, broker: Any, message: Any) -> None:
        """Report a message that no middleware saw because the worker does not know its actor."""
        if message.actor_name not in broker.actors:
            self.reporter.emit(
                EventKind.REJECTED,
                message.message_id,
                task=message.actor_name,
                queue=facts.queue(message.queue_name),
                reason="the worker does not know this actor, the message is in the dead letter queue",
            )

    def call(self, broker: Any, message: Any) -> tuple[Any, Any]:
        """Return the arguments of a message as they may leave the process."""
        args = tuple(self._shown(broker, value) for value in message.args)
        return self.reporter.call(facts.function(broker, message.actor_name), args, message.kwargs)

    def _shown(self, broker: Any, value: Any) -> Any:
        """Return an argument; of a whole message, which callbacks get, with that message's own secrets hidden."""
        if not isinstance(value, dict) or not value.keys() >= _MESSAGE_KEYS:
            return value
        args, kwargs = value["args"], value["kwargs"]
        if not isinstance(args, list | tuple) or not isinstance(kwargs, dict):
            return value
        args, kwargs = self.reporter.call(facts.function(broker, str(value["actor_name"])), args, kwargs)
        return {name: value[name] for name in value if name != "options"} | {"args": args, "kwargs": kwargs}


def _remember(known: OrderedDict[str, Any], key: str, value: Any) -> None:
    known[key] = value
    if len(known) > _MAX_REMEMBERED:
        known.popitem(last=False)
