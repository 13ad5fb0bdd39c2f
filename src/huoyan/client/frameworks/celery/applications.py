"""Which Celery applications are watched, and where what happens to their tasks is reported."""

import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from huoyan.client.relay import RelayedReporter

_MAX_ROUTES = 1_000


class Applications:
    """The watched applications. Celery's signals are one for all applications of a process, so every hook asks here."""

    def __init__(self) -> None:
        self._reporters: weakref.WeakKeyDictionary[Any, RelayedReporter] = weakref.WeakKeyDictionary()
        self._routes: dict[tuple[int, str, str], str] = {}

    def __len__(self) -> int:
        return len(self._reporters)

    def add(self, app: Any, reporter: RelayedReporter) -> None:
        """Watch an application from now on."""
        self._reporters[app] = reporter

    def remove(self, app: Any) -> None:
        """Watch it no longer."""
        self._reporters.pop(app, None)

    def reporters(self) -> list[RelayedReporter]:
        """Return where anything is reported."""
        return list(self._reporters.values())

    def reporter(self, app: Any) -> RelayedReporter | None:
        """Return where tasks of `app` are reported, None when it is not watched."""
        return self._reporters.get(_actual(app))

    def publisher(self, task: str) -> tuple[Any, RelayedReporter] | None:
        """Return the application that a message to `task` is reported for.

        The signal does not say who publishes: it is the application that knows the task, or the only one that is
        watched.
        """
        watched = list(self._reporters.items())
        for app, reporter in watched:
            if task in _registered(app):
                return app, reporter
        return watched[0] if len(watched) == 1 else None

    def function(self, app: Any, task: str) -> Callable[..., Any] | None:
        """Return the function behind a task, None when this process does not know it."""
        registered = _registered(app).get(task)
        run = getattr(registered, "run", None)
        return run if callable(run) else None

    def queue(self, app: Any, exchange: object, routing_key: object) -> str:
        """Return the queue that an exchange and a routing key lead to, empty when that cannot be told.

        The exchange without a name leads to the queue of the routing key's name.
        """
        exchange_name = str(getattr(exchange, "name", exchange) or "")
        key = str(routing_key or "")
        if not exchange_name:
            return key
        app = _actual(app)
        route = (id(app), exchange_name, key)
        name = self._routes.get(route)
        if name is None:
            name = _routed(app, exchange_name, key)
            if len(self._routes) >= _MAX_ROUTES:
                self._routes.clear()
            self._routes[route] = name
        return name


def seconds(moment: object) -> float | None:
    """Return a time as Celery gives it (`datetime`, ISO 8601, number) in seconds since 1970; without zone it is UTC."""
    if isinstance(moment, int | float):
        return float(moment)
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return None
    if not isinstance(moment, datetime):
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _actual(app: Any) -> Any:
    """Return what a lazy proxy (`celery.current_app`, `shared_task().app`) stands for."""
    current = getattr(type(app), "_get_current_object", None)
    return current(app) if callable(current) else app


def _registered(app: Any) -> Any:
    # Without finalizing the application: a message may be sent while its tasks are still being declared.
    return getattr(app, "_tasks", None) or {}


def _routed(app: Any, exchange: str, routing_key: str) -> str:
    queues = app.amqp.queues
    for name, queue in list(queues.items()):
        if getattr(queue.exchange, "name", None) == exchange and queue.routing_key == routing_key:
            return str(name)
    return str(routing_key) if routing_key in list(queues) else ""
