"""How many runs are being executed now."""

import threading
from collections.abc import Iterable, Mapping

from huoyan.model.rollup import Series


class Active:
    """Runs in `started` per series, in step with what is stored."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: dict[Series, int] = {}

    def restore(self, runs: Mapping[Series, int]) -> None:
        """Take the numbers from the store; series that are known stay, at zero."""
        with self._lock:
            self._runs = {**dict.fromkeys(self._runs, 0), **runs}

    def add(self, changes: Iterable[tuple[Series, int]]) -> None:
        """Add to the numbers."""
        with self._lock:
            for series, change in changes:
                self._runs[series] = max(0, self._runs.get(series, 0) + change)

    def now(self) -> dict[Series, int]:
        """Return the number of each series that ever had one since the start."""
        with self._lock:
            return dict(self._runs)
