"""What is watched: queues, workers, or everything of a class; and where it is reported."""

import weakref
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from huoyan.client.relay import Relay, RelayedReporter
from huoyan.client.reporter import Reporter

reporting: ContextVar[RelayedReporter | None] = ContextVar("huoyan_rq_reporting", default=None)
"""Where the worker that executes a job here is reported; what its jobs enqueue belongs there too."""


@dataclass(slots=True)
class _Watch:
    thing: Callable[[], Any]
    reporter: RelayedReporter


class Watches:
    """The watched things of this process.

    A queue stands for everything that this process does with jobs of that queue, because RQ makes a new object for the
    same queue wherever it needs one. A worker stands for what it executes and enqueues. A class stands for all of RQ in
    this process.
    """

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._watches: dict[int, _Watch] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, thing: Any, reporter: Reporter) -> None:
        """Watch a queue, a worker or a class from now on."""
        key = id(thing)

        def gone(_: object) -> None:
            self._watches.pop(key, None)

        self._watches[key] = _Watch(weakref.ref(thing, gone), RelayedReporter(reporter, self._relay))

    def remove(self, thing: Any) -> None:
        """Watch it no longer."""
        self._watches.pop(id(thing), None)

    def worker(self, worker: Any) -> RelayedReporter | None:
        """Return where a worker is reported, under its own name; None when it is not watched."""
        found = self._find(lambda thing: thing is worker) or self._of_class()
        return RelayedReporter(found, self._relay, str(worker.name)) if found is not None else None

    def execution(self, worker: Any, queue: Any) -> RelayedReporter | None:
        """Return where what a worker executes from a queue is reported."""
        own = self._find(lambda thing: thing is worker)
        found = own or self._queue(str(queue.name), queue.connection) or self._of_class()
        return RelayedReporter(found, self._relay, str(worker.name)) if found is not None else None

    def queue(self, name: str, connection: Any) -> RelayedReporter | None:
        """Return where the jobs of a queue are reported."""
        return reporting.get() or self._queue(name, connection) or self._of_class()

    def _queue(self, name: str, connection: Any) -> RelayedReporter | None:
        if not self._watches:
            return None
        address = _address(connection)
        return self._find(
            lambda thing: (
                not isinstance(thing, type)
                and hasattr(thing, "enqueue_call")
                and thing.name == name
                and _address(thing.connection) == address
            )
        )

    def _of_class(self) -> RelayedReporter | None:
        return self._find(lambda thing: isinstance(thing, type))

    def _find(self, matches: Callable[[Any], bool]) -> RelayedReporter | None:
        for watch in list(self._watches.values()):
            thing = watch.thing()
            if thing is not None and matches(thing):
                return watch.reporter
        return None


def _address(connection: Any) -> tuple[object, ...]:
    """Return which Redis a connection leads to."""
    pool = getattr(connection, "connection_pool", None)
    settings = getattr(pool, "connection_kwargs", None) or {}
    names = ("host", "port", "path", "db")
    address = tuple(settings.get(name) for name in names)
    return address if any(part is not None for part in address[:3]) else (id(pool),)
