"""`@huoyan.task`: each call of a plain function is a run."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from types import MethodType
from typing import Any, TypeVar, cast, overload

from huoyan.client import process
from huoyan.client.execution import Execution, new_run_id, task_name
from huoyan.client.guard import warn
from huoyan.client.process import Client
from huoyan.client.reporter import Reporter
from huoyan.client.settings import text_labels
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind

FRAMEWORK = "python"
_F = TypeVar("_F", bound=Callable[..., Any])
_LEFT_EARLY = "its consumer stopped before the end"


@overload
def task(function: _F, /) -> _F: ...
@overload
def task(
    *,
    name: str | None = None,
    queue: str = "",
    service: str | None = None,
    labels: Mapping[str, str] | None = None,
    heartbeat_s: float | None = None,
) -> Callable[[_F], _F]: ...
def task(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    queue: str = "",
    service: str | None = None,
    labels: Mapping[str, str] | None = None,
    heartbeat_s: float | None = None,
) -> Any:
    """Make each call of a function a run of its own.

    Works on functions, coroutine functions, generators (a run lasts from the first item to the last), asynchronous
    generators and methods. Exceptions pass through unchanged. A run that starts inside another one knows it as its
    parent.

    Args:
        function: The function, when the decorator is used without parentheses.
        name: Name of the task; `module.qualname` by default.
        queue: Name of a queue to show it under; none by default.
        service: Name of the service; the setting by default.
        labels: Put onto each run.
        heartbeat_s: The function promises to call `huoyan.heartbeat()` or `huoyan.progress(…)` at least this often, in
            seconds; a run that says nothing for three times as long is shown as stuck. Default: no promise.

    Raises:
        ConfigurationError: Something else than a function is decorated, an argument has a wrong type, or the
        environment
            holds a wrong setting.
    """
    for option, value in (("name", name), ("queue", queue), ("service", service)):
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"task({option}=…)", "text", value)
    if heartbeat_s is not None and not _is_promise(heartbeat_s):
        raise ConfigurationError("task(heartbeat_s=…)", "a positive number of seconds", heartbeat_s)
    checked_labels = text_labels("task(labels=…)", labels)

    def decorate(decorated: Any) -> Any:
        if isinstance(decorated, staticmethod | classmethod):
            return type(decorated)(decorate(decorated.__func__))
        if not callable(decorated) or isinstance(decorated, type):
            raise ConfigurationError("task", "a function", decorated, "Decorate a function or a method.")
        client = process.client()
        if not client.settings.enabled:
            return decorated
        client.inherit()
        return _Watch(decorated, name or task_name(decorated), queue, service, checked_labels, heartbeat_s).wrapper()

    return decorate if function is None else decorate(function)


class _Watch:
    """What is known of one decorated function."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        queue: str,
        service: str | None,
        labels: dict[str, str] | None,
        heartbeat_s: float | None,
    ) -> None:
        self._function = function
        self._name = name
        self._queue = queue
        self._service = service
        self._labels = labels
        self._promise: dict[str, Any] = {} if heartbeat_s is None else {"heartbeat_s": float(heartbeat_s)}
        self._is_method = _is_method(function)
        self._blocking = not (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function))
        self._client: Client | None = None
        self._reporter: Reporter | None = None

    def wrapper(self) -> Callable[..., Any]:
        """Return the function to use in its place, of the same kind."""
        function = self._function
        if inspect.isasyncgenfunction(function):
            return functools.wraps(function)(self._asyncgen())
        if inspect.iscoroutinefunction(function):
            return functools.wraps(function)(self._coroutine())
        if inspect.isgeneratorfunction(function):
            return functools.wraps(function)(self._generator())
        return functools.wraps(function)(self._plain())

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Execution | None:
        """Report the start of a call; None when nothing is watched."""
        try:
            client = process.client()
            if not client.settings.enabled:
                return None
            reporter = self._reporter
            if reporter is None or self._client is not client:
                service = client.settings.service if self._service is None else self._service
                reporter = self._reporter = Reporter(client, FRAMEWORK, service, self._labels)
                self._client = client
                client.watched(reporter)
            function = self._function
            if self._is_method and args:
                # The object is not an argument that anybody passed.
                function, args = MethodType(function, args[0]), args[1:]
            shown_args, shown_kwargs = reporter.call(function, args, kwargs)
            execution = Execution(
                reporter,
                new_run_id(),
                self._name,
                queue=self._queue,
                args=shown_args,
                kwargs=shown_kwargs,
                blocking=self._blocking,
                **self._promise,
            )
            execution.start()
            return execution
        except Exception as error:  # noqa: BLE001 - the call has to happen all the same
            warn("task.begin", "huoyan: a call could not be watched", error=error)
            return None

    def finish(self, execution: Execution, result: Any) -> None:
        """Report the result of a call."""
        try:
            reporter = self._reporter
            execution.succeed(None if result is None or reporter is None else reporter.value(result))
        except Exception as error:  # noqa: BLE001
            warn("task.finish", "huoyan: a result could not be reported", error=error)

    def _plain(self) -> Callable[..., Any]:
        function, begin, finish = self._function, self.begin, self.finish

        def call(*args: Any, **kwargs: Any) -> Any:
            execution = begin(args, kwargs)
            if execution is None:
                return function(*args, **kwargs)
            execution.enter()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                execution.fail(error)
                raise
            finally:
                execution.leave()
            finish(execution, result)
            return result

        return call

    def _coroutine(self) -> Callable[..., Any]:
        function, begin, finish = self._function, self.begin, self.finish

        async def call(*args: Any, **kwargs: Any) -> Any:
            execution = begin(args, kwargs)
            if execution is None:
                return await function(*args, **kwargs)
            execution.enter()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                execution.fail(error)
                raise
            finally:
                execution.leave()
            finish(execution, result)
            return result

        return call

    def _generator(self) -> Callable[..., Any]:
        function, begin, finish = self._function, self.begin, self.finish

        def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            inner = cast("Generator[Any, Any, Any]", function(*args, **kwargs))
            execution = begin(args, kwargs)
            if execution is None:
                return (yield from inner)
            step: Callable[[Any], Any] = inner.send
            argument: Any = None
            while True:
                execution.enter()
                try:
                    item = step(argument)
                except StopIteration as stop:
                    execution.leave()
                    finish(execution, stop.value)
                    return stop.value
                except BaseException as error:
                    execution.leave()
                    execution.fail(error)
                    raise
                execution.leave()
                try:
                    argument = yield item
                    step = inner.send
                except GeneratorExit:
                    try:
                        inner.close()
                    except BaseException as error:
                        execution.fail(error)
                        raise
                    execution.end(EventKind.REVOKED, reason=_LEFT_EARLY)
                    raise
                except BaseException as error:  # noqa: BLE001 - whatever is thrown in goes on to the generator
                    step, argument = inner.throw, error

        return call

    def _asyncgen(self) -> Callable[..., Any]:
        function, begin = self._function, self.begin

        async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
            inner = cast("AsyncGenerator[Any, Any]", function(*args, **kwargs))
            execution = begin(args, kwargs)
            step: Callable[[Any], Any] = inner.asend
            argument: Any = None
            while True:
                if execution is not None:
                    execution.enter()
                try:
                    item = await step(argument)
                except StopAsyncIteration:
                    if execution is not None:
                        execution.leave()
                        execution.succeed()
                    return
                except BaseException as error:
                    if execution is not None:
                        execution.leave()
                        execution.fail(error)
                    raise
                if execution is not None:
                    execution.leave()
                try:
                    argument = yield item
                    step = inner.asend
                except GeneratorExit:
                    try:
                        await inner.aclose()
                    except BaseException as error:
                        if execution is not None:
                            execution.fail(error)
                        raise
                    if execution is not None:
                        execution.end(EventKind.REVOKED, reason=_LEFT_EARLY)
                    raise
                except BaseException as error:  # noqa: BLE001
                    step, argument = inner.athrow, error

        return call


def _is_promise(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1e7


def _is_method(function: Callable[..., Any]) -> bool:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and code.co_argcount > 0 and code.co_varnames[0] in {"self", "cls"}
