"""The last hour in memory, by 5 seconds: what alerts look at every second must not cost a query."""

import threading
from collections.abc import Iterable, Mapping

from huoyan.model.rollup import Rollup, Series, slot_of
from huoyan.server.store.rollups import RollupChange
from huoyan.server.store.source import Merges, Selection, Sums, parts_of

SLOT_S = 5
MINUTE_S = 60
HORIZON_S = 3600
MOST_CELLS = 100_000
"""Rollups kept; with more the oldest go early, and the store answers for them by the minute."""

_Cells = dict[Series, Rollup]


class _Grid:
    """Rollups by 5 seconds, and by minutes besides, so that longer windows have less to add up."""

    __slots__ = ("cells", "minutes", "slots")

    def __init__(self) -> None:
        self.slots: dict[int, _Cells] = {}
        self.minutes: dict[int, _Cells] = {}
        self.cells = 0

    def at(self, series: Series, slot: int) -> tuple[Rollup, Rollup]:
        """Return the rollups of the slot and of its minute."""
        minute = slot // MINUTE_S * MINUTE_S
        return self._cell(self.slots, slot, series), self._cell(self.minutes, minute, series)

    def _cell(self, kept: dict[int, _Cells], start: int, series: Series) -> Rollup:
        cells = kept.setdefault(start, {})
        cell = cells.get(series)
        if cell is None:
            cell = cells[series] = Rollup()
            self.cells += 1
        return cell

    def drop_before(self, at: float) -> None:
        """Forget what is older."""
        for kept in (self.slots, self.minutes):
            for start in [start for start in kept if start < at]:
                self.cells -= len(kept.pop(start))

    def pieces(self, since: float, until: float, begin: float, step_s: float) -> Iterable[tuple[int, _Cells]]:
        """Yield the fewest pieces that make up a window: minutes that lie in one step, slots for what is left."""
        minutes = {
            minute
            for minute in self.minutes
            if since <= minute
            and minute + MINUTE_S <= until
            and (minute - begin) // step_s == (minute + MINUTE_S - SLOT_S - begin) // step_s
        }
        for minute in minutes:
            yield minute, self.minutes[minute]
        for slot, cells in self.slots.items():
            if since <= slot < until and slot // MINUTE_S * MINUTE_S not in minutes:
                yield slot, cells


class Recent:
    """Rollups of the last hour, of every series and over all series of a service.

    Attributes:
        since: From when on everything is here, seconds since 1970 UTC, a whole minute; what was before is in the store.
    """

    def __init__(self, since: float) -> None:
        self.since: float = slot_of(since, MINUTE_S)
        self._lock = threading.Lock()
        self._series = _Grid()
        self._totals = _Grid()
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
                for cell in self._cells_of(series, slot):
                    cell.merge(rollup)
            for (series, slot), change in corrected.items():
                for cell in self._cells_of(series, slot):
                    cell.merge(change.added)
            # Taken back when everything is there: what is taken here may have been added just above.
            for (series, slot), change in corrected.items():
                if change.taken is not None:
                    for cell in self._cells_of(series, slot):
                        cell.subtract(change.taken)

    def _cells_of(self, series: Series, slot: int) -> Iterable[Rollup]:
        if slot < self.since:
            return ()
        return (*self._series.at(series, slot), *self._totals.at(Series(series.service, "", ""), slot))

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
            while self._series.cells > MOST_CELLS and self._series.minutes:
                self._drop_before(min(self._series.minutes) + MINUTE_S)

    def _drop_before(self, at: float) -> None:
        if at <= self.since:
            return
        self.since = at
        self._series.drop_before(at)
        self._totals.drop_before(at)
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
        grid = self._totals if selection.totals else self._series
        admitted: dict[Series, bool] = {}
        with self._lock:
            for start, cells in grid.pieces(since, until, begin, step_s):
                step = min(int((start - begin) // step_s), last)
                for series, rollup in cells.items():
                    wanted = admitted.get(series)
                    if wanted is None:
                        wanted = admitted[series] = selection.admits(series)
                    if wanted:
                        into.add(series, parts_of(rollup), step)
