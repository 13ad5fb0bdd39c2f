"""The last hour in memory, by 5 seconds: what alerts look at every second must not cost a query."""

import threading
from collections.abc import Iterable, Mapping

from huoyan.model.rollup import Rollup, Series, slot_of
from huoyan.server.store.rollups import RollupChange
from huoyan.server.store.source import Merges, Parts, Selection, Sums, parts_of

SLOT_S = 5
MINUTE_S = 60
HORIZON_S = 3600
MOST_CELLS = 100_000
"""Rollups kept; with more the oldest go early, and the store answers for them by the minute."""

_Cells = dict[Series, Rollup]


class Recent:
    """Rollups of every series by 5 seconds, and by minutes besides, so that longer windows have less to add up.

    Attributes:
        since: From when on everything is here, seconds since 1970 UTC, a whole minute; what was before is in the store.
    """

    def __init__(self, since: float) -> None:
        self.since: float = slot_of(since, MINUTE_S)
        self._lock = threading.Lock()
        self._slots: dict[int, _Cells] = {}
        self._minutes: dict[int, _Cells] = {}
        self._cells = 0
        self._own: dict[tuple[str, int], float] = {}

    def restore(self, minute: int, rollups: Mapping[Series, Rollup]) -> None:
        """Take what was counted in a minute before the process started; it stands in the minute's first slot."""
        self.add({(one, minute): rollup for one, rollup in rollups.items()}, {})

    def add(
        self, counted: Mapping[tuple[Series, int], Rollup], corrected: Mapping[tuple[Series, int], RollupChange]
    ) -> None:
        """Add what was counted and corrected per series and slot; what is from before `since` is the store's alone."""
        with self._lock:
            for (series, slot), rollup in counted.items():
                if slot >= self.since:
                    for cell in self._cells_of(series, slot):
                        cell.merge(rollup)
            for (series, slot), change in corrected.items():
                if slot >= self.since:
                    for cell in self._cells_of(series, slot):
                        cell.merge(change.added)
                        if change.taken is not None:
                            cell.subtract(change.taken)

    def _cells_of(self, series: Series, slot: int) -> Iterable[Rollup]:
        for cells in (self._slots.setdefault(slot, {}), self._minutes.setdefault(slot // MINUTE_S * MINUTE_S, {})):
            cell = cells.get(series)
            if cell is None:
                cell = cells[series] = Rollup()
                self._cells += 1
            yield cell

    def count(self, increases: Mapping[str, float], at: float) -> None:
        """Add to the server's own counters."""
        slot = slot_of(at, SLOT_S)
        with self._lock:
            for metric, increase in increases.items():
                if increase:
                    self._own[(metric, slot)] = self._own.get((metric, slot), 0.0) + increase

    def own_increases(self, metric: str, since: float, until: float) -> list[tuple[float, float]]:
        """Return `(time, increase)` of one of the server's own counters in the window."""
        with self._lock:
            return [
                (float(slot), increase)
                for (name, slot), increase in self._own.items()
                if name == metric and since <= slot < until
            ]

    def prune(self, now: float) -> None:
        """Forget what is older than an hour, or does not fit."""
        with self._lock:
            self._drop_before(int((now - HORIZON_S) // MINUTE_S) * MINUTE_S)
            while self._cells > MOST_CELLS and self._minutes:
                self._drop_before(min(self._minutes) + MINUTE_S)

    def _drop_before(self, at: float) -> None:
        if at <= self.since:
            return
        self.since = at
        for kept in (self._slots, self._minutes):
            for start in [start for start in kept if start < at]:
                self._cells -= len(kept.pop(start))
        self._own = {key: value for key, value in self._own.items() if key[1] >= at}

    def collect(
        self,
        into: Sums | Merges,
        selection: Selection,
        since: float,
        until: float,
        begin: float,
        step_s: float,
        steps: int,
    ) -> None:
        """Add what was counted from `since` to `until` to the steps of a window that begins at `begin`."""
        last = steps - 1
        admitted: dict[Series, bool] = {}
        with self._lock:
            for start, cells in self._pieces(since, until, begin, step_s):
                step = min(int((start - begin) // step_s), last)
                for series, rollup in cells.items():
                    wanted = admitted.get(series)
                    if wanted is None:
                        wanted = admitted[series] = selection.admits(series)
                    if wanted:
                        into.add(series, _parts(rollup), step)

    def _pieces(self, since: float, until: float, begin: float, step_s: float) -> Iterable[tuple[int, _Cells]]:
        """Yield the fewest pieces that make up the window: minutes that lie in one step, slots for what is left."""
        minutes = {
            minute
            for minute in self._minutes
            if since <= minute
            and minute + MINUTE_S <= until
            and (minute - begin) // step_s == (minute + MINUTE_S - SLOT_S - begin) // step_s
        }
        for minute in minutes:
            yield minute, self._minutes[minute]
        for slot, cells in self._slots.items():
            if since <= slot < until and slot // MINUTE_S * MINUTE_S not in minutes:
                yield slot, cells


def _parts(rollup: Rollup) -> Parts:
    return parts_of(rollup)
