"""What is watched: workers, the settings that workers are made from, pools; and where it is reported."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from huoyan.client.frameworks.arq.attempts import watched
from huoyan.client.reporter import Reporter


@dataclass(slots=True)
class WatchedWorker:
    """A worker that executes under watch."""

    reporter: Reporter
    functions: dict[str, Any]
    """As arq had them."""
    read_at: float = 0.0


@dataclass(slots=True)
class _Watch:
    thing: Callable[[], Any]
    reporter: Reporter
    workers: "weakref.WeakKeyDictionary[Any, WatchedWorker]" = field(default_factory=weakref.WeakKeyDictionary)


class Watches:
    """The watched things of this process."""

    def __init__(self) -> None:
        self._watches: dict[int, _Watch] = {}

    def __len__(self) -> int:
        return len(self._watches)

    def add(self, thing: Any, reporter: Reporter) -> None:
        """Watch a worker, settings or a pool from now on."""
        key = id(thing)

        def gone(_: object) -> None:
            self._watches.pop(key, None)

        self._watches[key] = _Watch(weakref.ref(thing, gone), reporter)

    def remove(self, thing: Any) -> None:
        """Watch it no longer; its workers get their functions back."""
        watch = self._watches.pop(id(thing), None)
        if watch is not None:
            for worker, known in list(watch.workers.items()):
                worker.functions = known.functions

    def worker(self, worker: Any) -> WatchedWorker | None:
        """Return what is known of a worker under watch, and wrap its functions the first time; None for any other."""
        for watch in list(self._watches.values()):
            known = watch.workers.get(worker)
            if known is not None:
                return known
        for watch in list(self._watches.values()):
            thing = watch.thing()
            if thing is worker or (isinstance(thing, type) and _made_from(worker, thing)):
                functions = worker.functions
                known = watch.workers[worker] = WatchedWorker(watch.reporter, functions)
                worker.functions = {name: watched(function) for name, function in functions.items()}
                watch.reporter.consumes(str(worker.queue_name))
                return known
        return None

    def pool(self, pool: Any) -> Reporter | None:
        """Return where a pool is reported: by itself, or because a watched worker works with it."""
        watches = list(self._watches.values())
        for watch in watches:
            if watch.thing() is pool:
                return watch.reporter
        for watch in watches:
            for worker, known in list(watch.workers.items()):
                if getattr(worker, "_pool", None) is pool:
                    return known.reporter
            thing = watch.thing()
            if getattr(thing, "_pool", None) is pool and not isinstance(thing, type):
                return watch.reporter
        return None

    def function(self, name: str) -> Any:
        """Return the function of a name, for the names of its parameters; None when this process does not know it."""
        for watch in list(self._watches.values()):
            for known in list(watch.workers.values()):
                if name in known.functions:
                    return known.functions[name]
            thing = watch.thing()
            if isinstance(thing, type):
                for each in _listed(thing):
                    if name in (getattr(each, "name", None), getattr(each, "__qualname__", None)):
                        return each
            else:
                functions = getattr(thing, "functions", None)
                if isinstance(functions, dict) and name in functions:
                    return functions[name]
        return None


def _listed(settings: type) -> list[Any]:
    """Return what a class of settings lists: functions, arq's descriptions of functions, cron jobs."""
    own = vars(settings)
    return [each for name in ("functions", "cron_jobs") for each in own.get(name) or ()]


def _made_from(worker: Any, settings: type) -> bool:
    """Tell whether a worker executes what these settings list. arq keeps no link from one to the other."""
    executed = {id(each.coroutine) for each in worker.functions.values()}
    # Functions may be listed by the path they are imported from, which is then what arq calls them.
    return any(
        each in worker.functions if isinstance(each, str) else id(getattr(each, "coroutine", each)) in executed
        for each in _listed(settings)
    )
