"""Attempts that go on beside the one that decides their run: nobody finds them by the state and worker of the run."""

import threading
from collections import OrderedDict
from collections.abc import Iterable

from huoyan.server.collect.fold import Entry

_MOST_WORKERS = 10_000
_MOST_RUNS = 1_000


class OpenAttempts:
    """Runs with such attempts, by the worker of the attempt, in bounded memory. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def note(self, entries: Iterable[Entry]) -> None:
        """Take what was just stored."""
        for entry in entries:
            executions, look = entry.run.executions, entry.seen
            if len(executions) < 2 or look is None:
                continue
            for execution in executions.values():
                decides = look.started and execution.worker == look.cell[4]
                if execution.worker and not decides and execution.state() == "started":
                    self._add(execution.worker, entry.run.id)

    def take(self, worker: str) -> list[str]:
        """Return the runs that a worker had such attempts of, and forget them."""
        with self._lock:
            return list(self._runs.pop(worker, ()))

    def of(self, worker: str) -> list[str]:
        """Return the runs that a worker had such attempts of."""
        with self._lock:
            return list(self._runs.get(worker, ()))

    def workers(self) -> set[str]:
        """Return the workers that had such attempts."""
        with self._lock:
            return set(self._runs)

    def _add(self, worker: str, run_id: str) -> None:
        with self._lock:
            runs = self._runs.setdefault(worker, OrderedDict())
            runs[run_id] = None
            if len(runs) > _MOST_RUNS:
                runs.popitem(last=False)
            if len(self._runs) > _MOST_WORKERS:
                self._runs.popitem(last=False)
