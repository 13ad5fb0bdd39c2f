"""The producer's side: a task is handed to the broker."""

import threading
from collections.abc import Mapping
from typing import Any

from huoyan.client.frameworks.celery import beat, canvas
from huoyan.client.frameworks.celery.applications import Applications, seconds
from huoyan.client.guard import guarded
from huoyan.model.event import EventKind

_MAX_STARTED = 100


class Publishing:
    """Reports tasks as queued, or as scheduled when they have an ETA, once the broker has them.

    The time is that of the beginning of the call: a fast worker may start a task before its producer knows that it is
    sent.
    """

    def __init__(self, applications: Applications) -> None:
        self._applications = applications
        self._here = threading.local()

    @guarded("celery.before_task_publish")
    def before(self, sender: Any = None, headers: Any = None, body: Any = None, declare: Any = None, **_: Any) -> None:
        """Remember when publishing began, and the queue it declares, which may not be told afterwards."""
        message = _message(headers, body)
        found = self._applications.publisher(str(sender)) if message is not None else None
        if message is None or found is None:
            return
        started: dict[str, tuple[float, str]] = self._here.__dict__.setdefault("started", {})
        if len(started) >= _MAX_STARTED:
            started.clear()  # Publishing failed that often; nothing comes after that.
        queue = next((name for each in declare or () if (name := getattr(each, "name", None))), "")
        started[str(message["id"])] = (found[1].clock.now(), str(queue))

    @guarded("celery.after_task_publish")
    def after(
        self,
        sender: Any = None,
        headers: Any = None,
        body: Any = None,
        exchange: Any = None,
        routing_key: Any = None,
        **_: Any,
    ) -> None:
        """Report it."""
        message = _message(headers, body)
        found = self._applications.publisher(str(sender)) if message is not None else None
        if message is None or found is None:
            return
        app, reporter = found
        run_id = str(message["id"])
        started: dict[str, tuple[float, str]] = self._here.__dict__.get("started", {})
        at, queue = started.pop(run_id, (reporter.clock.now(), ""))
        retries = message.get("retries") or 0
        args = kwargs = None
        if not retries:
            args, kwargs = _arguments(body)
            args, kwargs = reporter.call(self._applications.function(app, str(sender)), args, kwargs)
        eta = seconds(message.get("eta"))
        reporter.emit(
            EventKind.QUEUED if eta is None else EventKind.SCHEDULED,
            run_id,
            at=at,
            task=message.get("shadow") or str(message.get("task") or sender),
            queue=self._applications.queue(app, exchange, routing_key) or queue,
            attempt=retries + 1,
            args=args,
            kwargs=kwargs,
            parent_id=message.get("parent_id"),
            root_id=message.get("root_id"),
            group_id=message.get("group"),
            dependents=canvas.embedded(body),
            labels=beat.labels(),
            eta=eta,
            expires=seconds(message.get("expires")),
        )


def _message(headers: Any, body: Any) -> Mapping[str, Any] | None:
    """Return what describes the task: the headers, or the body in version 1 of Celery's protocol."""
    if isinstance(headers, Mapping) and headers.get("id"):
        return headers
    if isinstance(body, Mapping) and body.get("id"):
        return body
    return None


def _arguments(body: Any) -> tuple[Any, Any]:
    if isinstance(body, tuple | list) and len(body) >= 2:
        args, kwargs = body[0], body[1]
    elif isinstance(body, Mapping):
        args, kwargs = body.get("args"), body.get("kwargs")
    else:
        args, kwargs = None, None
    return args if isinstance(args, tuple | list) else (), kwargs if isinstance(kwargs, Mapping) else {}
