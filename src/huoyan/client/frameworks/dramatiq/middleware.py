"""The two middlewares, which hear of everything that happens to a message."""

from typing import Any

from dramatiq.middleware import Middleware

from huoyan.client.frameworks.dramatiq.facts import queue
from huoyan.client.frameworks.dramatiq.messages import Messages
from huoyan.client.frameworks.dramatiq.readings import Readings
from huoyan.client.guard import guarded


class Outermost(Middleware):
    """Stands before all other middlewares: asked first before a message is processed, told last afterwards."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._readings: dict[int, Readings] = {}

    @guarded("dramatiq.before_enqueue")
    def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:  # noqa: ARG002
        self._messages.enqueuing(message)

    @guarded("dramatiq.after_enqueue")
    def after_enqueue(self, broker: Any, message: Any, delay: Any) -> None:  # noqa: ARG002
        self._messages.enqueued(broker, message)

    @guarded("dramatiq.before_delay_message")
    def before_delay_message(self, broker: Any, message: Any) -> None:  # noqa: ARG002
        self._messages.delayed(message)

    @guarded("dramatiq.before_process_message")
    def before_process_message(self, broker: Any, message: Any) -> None:
        self._messages.delivered(broker, message)

    @guarded("dramatiq.after_process_message")
    def after_process_message(
        self,
        broker: Any,  # noqa: ARG002
        message: Any,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        delivery = self._messages.settle(message)
        if delivery is not None:
            self._messages.processed(delivery, message, result, exception)

    @guarded("dramatiq.after_skip_message")
    def after_skip_message(self, broker: Any, message: Any) -> None:  # noqa: ARG002
        delivery = self._messages.settle(message)
        if delivery is not None:
            self._messages.skipped(delivery, message)

    @guarded("dramatiq.after_nack")
    def after_nack(self, broker: Any, message: Any) -> None:
        self._messages.refused(broker, message)

    @guarded("dramatiq.before_worker_boot")
    def before_worker_boot(self, broker: Any, worker: Any) -> None:
        # Middlewares that were added since would be measured with the actor.
        broker.middleware = sorted(broker.middleware, key=lambda each: isinstance(each, Innermost))
        self._readings[id(worker)] = Readings(broker, worker, self._messages.reporter)

    @guarded("dramatiq.after_worker_boot")
    def after_worker_boot(self, broker: Any, worker: Any) -> None:  # noqa: ARG002
        readings = self._readings.get(id(worker))
        if readings is not None:
            readings.start()

    @guarded("dramatiq.before_worker_shutdown")
    def before_worker_shutdown(self, broker: Any, worker: Any) -> None:  # noqa: ARG002
        readings = self._readings.pop(id(worker), None)
        if readings is not None:
            readings.stop()

    @guarded("dramatiq.after_consumer_thread_boot")
    def after_consumer_thread_boot(self, broker: Any, thread: Any) -> None:  # noqa: ARG002
        self._messages.reporter.consumes(queue(thread.queue_name))

    def stop(self) -> None:
        """Stop what goes on by itself."""
        while self._readings:
            self._readings.popitem()[1].stop()


class Innermost(Middleware):
    """Stands beside the actor: asked last before it is called, told first afterwards."""

    def __init__(self, messages: Messages) -> None:
        self._here = messages.here

    @guarded("dramatiq.start")
    def before_process_message(self, broker: Any, message: Any) -> None:  # noqa: ARG002
        delivery = self._here.delivery
        if delivery is not None and not message.failed:
            delivery.execution.enter()
            delivery.execution.start()

    @guarded("dramatiq.stop")
    def after_process_message(
        self,
        broker: Any,  # noqa: ARG002
        message: Any,  # noqa: ARG002
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,  # noqa: ARG002
    ) -> None:
        delivery = self._here.delivery
        if delivery is not None:
            delivery.stop_clock()
