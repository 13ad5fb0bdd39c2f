"""The two middlewares, which hear of everything that happens to a message."""

import sys
from typing import Any

from taskiq import TaskiqMiddleware

from huoyan.client.frameworks.taskiq import facts
from huoyan.client.frameworks.taskiq.messages import Messages
from huoyan.client.frameworks.taskiq.readings import Readings
from huoyan.client.frameworks.taskiq.strangers import Strangers
from huoyan.client.guard import guard, guarded


class Outermost(TaskiqMiddleware):
    """Stands before all other middlewares: asked first before a task is executed, told last afterwards."""

    def __init__(self, messages: Messages) -> None:
        super().__init__()
        self._messages = messages
        self._readings: Readings | None = None
        self._strangers: Strangers | None = None

    @guarded("taskiq.startup")
    def startup(self) -> None:
        """Look around in a worker: at its queue, and at messages that no middleware will see."""
        # Middlewares that were added since would be measured with the function.
        self.broker.middlewares = sorted(self.broker.middlewares, key=lambda each: isinstance(each, Innermost))
        # Where a scheduler runs inside another program, nothing else says so.
        if getattr(self.broker, "is_scheduler_process", False) or "taskiq.cli.scheduler.run" in sys.modules:
            self._messages.schedules.start()
        if not self.broker.is_worker_process or self._readings is not None:
            return
        reporter = self._messages.reporter
        queue = facts.queue(self.broker, {})
        if queue:
            reporter.consumes(queue)
        self._strangers = Strangers(self.broker, self._messages)
        self._readings = Readings(self.broker, reporter)
        self._readings.start()

    async def shutdown(self) -> None:
        """End before the broker closes its connections."""
        with guard("taskiq.shutdown"):
            readings = self._readings
            self.close()
            if readings is not None:
                await readings.wait()

    def close(self) -> None:
        """Stop what goes on by itself."""
        self._messages.schedules.close()
        if self._strangers is not None:
            self._strangers.close()
        if self._readings is not None:
            self._readings.stop()
        self._strangers = self._readings = None

    def pre_send(self, message: Any) -> Any:
        with guard("taskiq.pre_send"):
            self._messages.sending(message)
        return message

    @guarded("taskiq.post_send")
    def post_send(self, message: Any) -> None:
        self._messages.sent(self.broker, message)

    def pre_execute(self, message: Any) -> Any:
        with guard("taskiq.pre_execute"):
            self._messages.delivered(self.broker, message)
        return message

    @guarded("taskiq.post_execute")
    def post_execute(self, message: Any, result: Any) -> None:
        self._messages.executed(self.broker, message, result)

    @guarded("taskiq.post_save")
    def post_save(self, message: Any, result: Any) -> None:  # noqa: ARG002
        self._messages.left(message)


class Innermost(TaskiqMiddleware):
    """Stands beside the function: asked last before it is called, told first afterwards."""

    def __init__(self, messages: Messages) -> None:
        super().__init__()
        self._here = messages.here

    def pre_execute(self, message: Any) -> Any:
        with guard("taskiq.start"):
            delivery = self._here.get()
            if delivery is not None:
                delivery.execution.enter()
                delivery.execution.start()
        return message

    @guarded("taskiq.on_error")
    def on_error(self, message: Any, result: Any, exception: BaseException) -> None:  # noqa: ARG002
        delivery = self._here.get()
        if delivery is not None:
            delivery.stop_clock()
            delivery.error = exception

    @guarded("taskiq.stop")
    def post_execute(self, message: Any, result: Any) -> None:  # noqa: ARG002
        delivery = self._here.get()
        if delivery is not None:
            delivery.stop_clock()
