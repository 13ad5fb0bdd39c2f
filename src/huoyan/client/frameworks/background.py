"""Background tasks of FastAPI and Starlette: each is a run of its own, with the outcome that it really had.

Starlette sends the response, then calls `response.background`, which calls its tasks one after the other and stops at
the first exception. By then the client has its answer, so nobody but a log hears of it.

The hook stands in two methods of Starlette's classes and does something only while a request to a watched application
is answered. Tasks that never got their turn are reported too: `dead` when an earlier one of the same response failed,
`revoked` when the server cancelled the response (a shutdown).
"""

import functools
import threading
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

from huoyan.client import breakdown, context, process
from huoyan.client.attributes import bare_name
from huoyan.client.execution import Execution, is_cancellation, new_run_id, task_name
from huoyan.client.guard import guard, warn
from huoyan.client.reporter import Reporter
from huoyan.client.routes import UNMATCHED, template
from huoyan.model.event import EventKind

_Call = Callable[[Any], Awaitable[None]]
_MAX_PLANNED = 10_000


class _Planned:
    """The tasks of one response that were reported as queued, and who has had its turn."""

    def __init__(self, reporter: Reporter, labels: dict[str, str] | None) -> None:
        self.reporter = reporter
        self.labels = labels
        self.waiting: dict[int, Execution] = {}
        self.latest: Execution | None = None

    def add(self, task: Any) -> None:
        """Report a task as queued."""
        if id(task) in self.waiting or len(self.waiting) >= _MAX_PLANNED:
            return
        self.waiting[id(task)] = _queued(self.reporter, task, self.labels)

    def give_up(self, error: BaseException) -> None:
        """Report the tasks that will not get their turn any more."""
        waiting, self.waiting = self.waiting, {}
        earlier = self.latest.task if self.latest is not None else "an earlier task"
        for execution in waiting.values():
            if is_cancellation(error):
                execution.fail(error)
            else:
                reason = f"never started: {earlier} of the same response failed with {bare_name(type(error))}"
                execution.end(EventKind.DEAD, reason=reason)


_planned: ContextVar[_Planned | None] = ContextVar("huoyan_background", default=None)


class BackgroundIntegration:
    """Background tasks of FastAPI and Starlette applications."""

    framework = "fastapi"
    options: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._reporters: weakref.WeakKeyDictionary[Any, Reporter] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._hooked = False

    def watch(self, thing: Any, reporter: Reporter, options: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Hook into Starlette's classes once, and remember whose tasks are of interest."""
        self._reporters[thing] = reporter
        with self._lock:
            if not self._hooked:
                self._hook()
                self._hooked = True

    def unwatch(self, thing: Any) -> None:
        """Forget an application. The hooks stay, idle: another tool may have wrapped them meanwhile."""
        self._reporters.pop(thing, None)

    def reporter(self) -> tuple[Reporter, context.RequestContext] | None:
        """Return where tasks of the current request are reported; None when its application is not watched."""
        request = breakdown.request()
        if request is None or process.current() is None:
            return None
        reporter = self._reporters.get(request[0])
        return None if reporter is None else (reporter, request)

    def _hook(self) -> None:
        from starlette.background import BackgroundTask, BackgroundTasks

        hooked: list[Any] = [BackgroundTasks]
        with guard("background.fastapi"):
            from fastapi import BackgroundTasks as FastapiTasks

            if "__call__" in vars(FastapiTasks):
                hooked.append(FastapiTasks)
        for kind in hooked:
            kind.__call__ = _watch_all(self, kind.__call__)
        one: Any = BackgroundTask
        one.__call__ = _watch_one(self, one, one.__call__)


def _watch_all(integration: BackgroundIntegration, original: _Call) -> _Call:
    """Wrap the call of a list of tasks: they are queued now, and in the end none may be left without an outcome."""

    @functools.wraps(original)
    async def call(self: Any) -> None:
        planned = None
        with guard("background.queue"):
            # A list inside a list belongs to the outer one, and so does the base class's call made by a subclass.
            if _planned.get() is None:
                planned = _plan(integration, self)
        if planned is None:
            return await original(self)
        token = _planned.set(planned)
        try:
            await original(self)
        except BaseException as error:
            with guard("background.give_up"):
                planned.give_up(error)
            raise
        finally:
            _planned.reset(token)

    return call


def _watch_one(integration: BackgroundIntegration, kind: Any, original: _Call) -> _Call:
    """Wrap the call of one task."""

    @functools.wraps(original)
    async def call(self: Any) -> None:
        execution = None
        reporter = None
        stand_in = self
        with guard("background.start"):
            found = integration.reporter()
            if found is not None:
                reporter = found[0]
                planned = _planned.get()
                execution = planned.waiting.pop(id(self), None) if planned is not None else None
                if execution is None:
                    execution = _queued(reporter, self, _labels(found[1]))
                stand_in = _stand_in(kind, self, execution, reporter)
        if execution is None:
            return await original(self)
        token = None if reporter is None else _planned.set(None)
        try:
            await original(stand_in)
        except BaseException as error:
            # The function is watched inside; this is for one cut off before it could begin, waiting for a free thread.
            # One that runs in a thread goes on, whatever happens here, and reports its own end.
            if not execution.started:
                execution.fail(error)
            raise
        finally:
            if token is not None:
                _planned.reset(token)
            with guard("background.latest"):
                planned = _planned.get()
                if planned is not None:
                    planned.latest = execution

    return call


def _stand_in(kind: Any, task: Any, execution: Execution, reporter: Reporter) -> Any:
    """Return a task that does the same and reports its outcome where it happens.

    For a function in the thread pool that is the thread: when the server cancels the response meanwhile, the function
    goes on to its end, and that end is what is reported.
    """
    function = task.func

    @functools.wraps(function)
    async def watched_async(*args: Any, **kwargs: Any) -> Any:
        execution.start()
        execution.enter()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            execution.fail(error)
            raise
        finally:
            execution.leave()
        _succeed(execution, reporter, result)
        return result

    @functools.wraps(function)
    def watched(*args: Any, **kwargs: Any) -> Any:
        execution.start()
        execution.enter()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            execution.fail(error)
            raise
        finally:
            execution.leave()
        _succeed(execution, reporter, result)
        return result

    stand_in = object.__new__(kind)
    stand_in.func = watched_async if task.is_async else watched
    stand_in.args = task.args
    stand_in.kwargs = task.kwargs
    stand_in.is_async = task.is_async
    return stand_in


def _succeed(execution: Execution, reporter: Reporter, result: Any) -> None:
    try:
        execution.succeed(None if result is None else reporter.value(result))
    except Exception as error:  # noqa: BLE001
        warn("background.result", "huoyan: a result could not be reported", error=error)


def _plan(integration: BackgroundIntegration, tasks: Any) -> _Planned | None:
    found = integration.reporter()
    if found is None:
        return None
    reporter, request = found
    planned = _Planned(reporter, _labels(request))
    for task in _leaves(tasks, 0):
        planned.add(task)
    return planned


def _leaves(tasks: Any, depth: int) -> list[Any]:
    found = []
    for task in list(tasks.tasks):
        if isinstance(getattr(task, "tasks", None), list) and depth < 10:
            found += _leaves(task, depth + 1)
        elif hasattr(task, "func"):
            found.append(task)
    return found


def _queued(reporter: Reporter, task: Any, labels: dict[str, str] | None) -> Execution:
    args, kwargs = reporter.call(task.func, task.args, task.kwargs)
    execution = Execution(reporter, new_run_id(), task_name(task.func), args=args, kwargs=kwargs, labels=labels)
    execution.queue_up(here=True)
    return execution


def _labels(request: context.RequestContext) -> dict[str, str] | None:
    """Say which request a task belongs to, by its route and never by its path."""
    with guard("background.labels"):
        app, scope, root_path = request
        endpoint = template(scope, root_path, app)
        return {"request": f"{scope['method']} {endpoint}"} if endpoint != UNMATCHED else None
    return None


integration = BackgroundIntegration()
