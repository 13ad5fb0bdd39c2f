"""`huoyan.operation`: how often something named ends well, and how long it takes."""

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from huoyan.client.business import measurements_now
from huoyan.client.guard import guard
from huoyan.model.labels import clean_label_value
from huoyan.signals.metrics.application import OPERATION_DURATION, OPERATIONS

_F = TypeVar("_F", bound=Callable[..., Any])

_running: ContextVar[tuple[tuple["Operation", float, list[bool]], ...]] = ContextVar("huoyan_operations", default=())


class Operation:
    """Times a named operation and counts how it ended: a context manager and a decorator, in threads and tasks."""

    def __init__(self, name: str) -> None:
        self.name = clean_label_value(name)

    def __call__(self, function: _F) -> _F:
        """Decorate a function or coroutine function: every call is one operation."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def call_later(*args: Any, **kwargs: Any) -> Any:
                with self:
                    return await function(*args, **kwargs)

            return call_later  # type: ignore[return-value]

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    def __enter__(self) -> "Operation":
        # What is open is kept by the context, so one object may be used in many threads and tasks at once.
        _running.set((*_running.get(), (self, perf_counter(), [False])))
        return self

    async def __aenter__(self) -> "Operation":
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, tb)

    def fail(self) -> None:
        """Count the operation that is under way as a failure although nothing is raised."""
        for operation, _, failed in reversed(_running.get()):
            if operation is self:
                failed[0] = True
                return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        with guard("operation"):
            stack = _running.get()
            place = next((i for i in range(len(stack) - 1, -1, -1) if stack[i][0] is self), None)
            if place is None:
                return
            _, began, failed = stack[place]
            _running.set(stack[:place])
            measurements = measurements_now()
            if measurements is None:
                return
            measurements.distribution(OPERATION_DURATION).child((self.name,)).observe(perf_counter() - began)
            # What was cancelled from outside is neither a success nor a failure.
            if kind is None or issubclass(kind, Exception):
                outcome = "failure" if failed[0] or kind is not None else "success"
                measurements.counter(OPERATIONS).child((self.name, outcome)).add()


def operation(name: str) -> Operation:
    """Measure a named operation: `with huoyan.operation("take_payment"):` or as a decorator, also of `async def`.

    Args:
        name: One of few names, never with an id in it.
    """
    return Operation(name)
