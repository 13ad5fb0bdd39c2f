"""Messages for tasks that a worker does not know: it drops them before any middleware sees them."""

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from huoyan.client.frameworks.taskiq.messages import Messages
from huoyan.client.guard import guard


class Strangers:
    """Listens to what a worker reads from the broker and which tasks it then does not find.

    Args:
        broker: The broker of a worker, ready to start.
        messages: Where they are reported.
    """

    def __init__(self, broker: Any, messages: Messages) -> None:
        self._broker = broker
        self._messages = messages
        self._loaded: ContextVar[Any] = ContextVar("huoyan_taskiq_loaded", default=None)
        self._formatter = broker.formatter
        self._formatter.loads = self._watched(self._formatter.loads, self._read)
        broker.find_task = self._watched(broker.find_task, self._sought)

    def close(self) -> None:
        """Listen no longer."""
        vars(self._formatter).pop("loads", None)
        vars(self._broker).pop("find_task", None)

    def _watched(self, original: Callable[..., Any], tell: Callable[[Any], None]) -> Callable[..., Any]:
        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = original(*args, **kwargs)
            with guard("taskiq.strangers"):
                tell(answer)
            return answer

        return call

    def _read(self, message: Any) -> None:
        self._loaded.set(message)

    def _sought(self, task: Any) -> None:
        message = self._loaded.get()
        self._loaded.set(None)
        if task is None and message is not None:
            self._messages.unknown(self._broker, message)
