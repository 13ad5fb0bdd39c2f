"""What the signals read, answered from the rollups alone: whole minutes, and whole hours in windows of many hours."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from huoyan.model.histogram import Histogram
from huoyan.model.rollup import Rollup, Series
from huoyan.server.store.codec import rollup_parts
from huoyan.server.store.measured import Amount, SeriesName
from huoyan.server.store.pile import Pile
from huoyan.server.store.rollups import HOUR_S, MINUTE_S, RollupTable
from huoyan.signals.metrics.server import EVENTS_LOST, EVENTS_RECEIVED
from huoyan.signals.metrics.work import (
    TASK_DUPLICATES,
    TASK_DURATION,
    TASK_FAILURES,
    TASK_RETRIES,
    TASK_RUNS,
    TASK_WAIT,
    TASKS_ENQUEUED,
)
from huoyan.signals.source import Combination, Conditions, Key

if TYPE_CHECKING:
    from huoyan.server.store.database import Store

Parts = Sequence[Any]
"""A rollup taken apart as in `huoyan.server.store.codec.rollup_parts`."""

# Metric → place among the parts, and the label that tells apart what stands there.
_COUNTED = {
    TASKS_ENQUEUED.name: (1, None),
    TASK_RETRIES.name: (3, None),
    TASK_RUNS.name: (4, "state"),
    TASK_FAILURES.name: (5, "exception"),
    TASK_DUPLICATES.name: (8, None),
}
_OBSERVED = {TASK_DURATION.name: (6, "state"), TASK_WAIT.name: (7, None)}
_OWN_COUNTERS = frozenset({EVENTS_RECEIVED.name, EVENTS_LOST.name})

_SERIES_LABELS = ("service", "task", "queue")
_WITHIN_SERVICE = ("task", "queue")
_MOST_NAMED = 200
_HOURS_FROM_S = 3 * HOUR_S
_MINUTES_SURE_S = 47 * HOUR_S
"""What was measured is there by the minute for this long, in seconds."""
STALE_S = 60.0
"""A value of a gauge that is older than this, in seconds, says nothing."""

_COMBINED: dict[Combination, Callable[[float, float], float]] = {"sum": lambda a, b: a + b, "max": max, "min": min}


def parts_of(rollup: Rollup) -> Parts:
    """Return a rollup taken apart in the same order as a stored one."""
    return (
        0,
        rollup.enqueued,
        rollup.started,
        rollup.retries,
        rollup.finished,
        rollup.exceptions,
        rollup.durations,
        rollup.waits,
        rollup.duplicates,
    )


class Selection:
    """Which series and values of a task metric are asked for, and by what key they are told apart.

    Attributes:
        totals: Whether all series of a service count alike, so that the service's totals are as good.
    """

    def __init__(self, metric: str, where: Conditions, by: tuple[str, ...]) -> None:
        self._place, self._label = _COUNTED.get(metric) or _OBSERVED[metric]
        self._where = where
        self._by = by
        self._wanted = where.get(self._label) if self._label is not None else None
        self._keys: dict[tuple[Series, str], Key] = {}
        self._unconditional = not any(label in where for label in _SERIES_LABELS)
        self.totals = not any(label in where or label in by for label in _WITHIN_SERVICE)

    def admits(self, series: Series) -> bool:
        """Return whether a series is among those asked for."""
        where = self._where
        return self._unconditional or all(
            label not in where or value in where[label] for label, value in zip(_SERIES_LABELS, series, strict=True)
        )

    def values(self, series: Series, parts: Parts) -> Iterable[tuple[Key, Any]]:
        """Yield the keys and what a rollup of an admitted series has for each: a number or a distribution."""
        found = parts[self._place]
        if not found:
            return
        if self._label is None:
            yield self._key(series, ""), found
            return
        for label, value in found.items():
            if self._wanted is None or label in self._wanted:
                yield self._key(series, label), value

    def _key(self, series: Series, label: str) -> Key:
        key = self._keys.get((series, label))
        if key is None:
            values: dict[str, str] = {**series._asdict(), self._label or "": label}
            key = self._keys[(series, label)] = tuple(values.get(name, "") for name in self._by)
        return key


class Sums:
    """Counts of a metric that add up per key and step."""

    def __init__(self, selection: Selection, steps: int) -> None:
        self.selection = selection
        self._steps = steps
        self.found: dict[Key, list[float]] = {}

    def add(self, series: Series, parts: Parts, step: int) -> None:
        """Add what a rollup counted."""
        for key, number in self.selection.values(series, parts):
            row = self.found.get(key)
            if row is None:
                row = self.found[key] = [0.0] * self._steps
            row[step] += number


class Merges:
    """Distributions of a metric that are merged per key and step."""

    def __init__(self, selection: Selection, steps: int) -> None:
        self.selection = selection
        self._steps = steps
        self._piles: dict[Key, list[Pile | None]] = {}

    def add(self, series: Series, parts: Parts, step: int) -> None:
        """Add what a rollup observed."""
        for key, observed in self.selection.values(series, parts):
            row = self._piles.get(key)
            if row is None:
                row = self._piles[key] = [None] * self._steps
            pile = row[step]
            if pile is None:
                pile = row[step] = Pile()
            if isinstance(observed, Histogram):
                pile.add_histogram(observed)
            else:
                pile.add(observed)

    def found(self) -> dict[Key, list[Histogram | None]]:
        """Return what was added up."""
        return {key: [None if pile is None else pile.histogram() for pile in row] for key, row in self._piles.items()}


class MeasuredRows:
    """What processes measured of a metric, added up per key and step."""

    def __init__(self, where: Conditions, by: tuple[str, ...], steps: int) -> None:
        self._where = where
        self._by = by
        self._steps = steps
        self._keys: dict[SeriesName, Key | None] = {}
        self._sums: dict[Key, list[float]] = {}
        self._piles: dict[Key, list[Pile | None]] = {}

    def admits(self, name: SeriesName) -> bool:
        """Return whether a series is among those asked for."""
        return self._key(name) is not None

    def add(self, name: SeriesName, amount: Amount, step: int) -> None:
        """Add what was measured of a series, if it is asked for."""
        key = self._key(name)
        if key is None:
            return
        step = min(max(step, 0), self._steps - 1)
        if isinstance(amount, Histogram):
            piles = self._piles.get(key)
            if piles is None:
                piles = self._piles[key] = [None] * self._steps
            pile = piles[step]
            if pile is None:
                pile = piles[step] = Pile()
            pile.add_histogram(amount)
        else:
            row = self._sums.get(key)
            if row is None:
                row = self._sums[key] = [0.0] * self._steps
            row[step] += amount

    def sums(self) -> dict[Key, Sequence[float]]:
        """Return what counters grew by."""
        return dict(self._sums)

    def distributions(self) -> dict[Key, Sequence[Histogram | None]]:
        """Return what distributions observed."""
        return {key: [None if pile is None else pile.histogram() for pile in row] for key, row in self._piles.items()}

    def _key(self, name: SeriesName) -> Key | None:
        if name not in self._keys:
            labels = {"service": name.service, **dict(name.labels)}
            self._keys[name] = key_of(labels, self._by) if matches(labels, self._where) else None
        return self._keys[name]


class StoreSource:
    """A `Source` of the signals over the store: windows are rounded to whole minutes, gauges are known by the minute.

    `where` maps a label to the values it may have (any of these); `by` names the labels that the keys of the answer are
    made of, in this order. A key that is absent is unknown, never 0. Times are seconds since 1970 UTC.
    """

    def __init__(self, store: "Store") -> None:
        self._store = store

    def increase(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float
    ) -> dict[Key, float]:
        """Return by how much a counter grew in the window."""
        found = self.increase_range(metric, where, by, since, until, until - since)
        return {key: values[0] for key, values in found.items() if values[0]}

    def distribution(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float
    ) -> dict[Key, Histogram]:
        """Return the distribution of what was observed in the window."""
        found = self.distribution_range(metric, where, by, since, until, until - since)
        return {key: values[0] for key, values in found.items() if values[0] is not None}

    def increase_range(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> dict[Key, Sequence[float]]:
        """Return the growth in each step, 0 where nothing happened."""
        steps = _steps(since, until, step_s)
        if metric in _OWN_COUNTERS:
            row = [0.0] * steps
            for at, increase in self._own_increases(metric, since, until):
                row[min(int((at - since) // step_s), steps - 1)] += increase
            return {(): row} if any(row) else {}
        if metric not in _COUNTED:
            return self._measured(metric, where, by, since, until, step_s).sums()
        sums = Sums(Selection(metric, where, by), steps)
        self._collect(sums, sums.selection, since, until, step_s, steps)
        return dict(sums.found)

    def distribution_range(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> dict[Key, Sequence[Histogram | None]]:
        """Return the distribution of each step, None where nothing was observed."""
        steps = _steps(since, until, step_s)
        if metric not in _OBSERVED:
            return self._measured(metric, where, by, since, until, step_s).distributions()
        merges = Merges(Selection(metric, where, by), steps)
        self._collect(merges, merges.selection, since, until, step_s, steps)
        return dict(merges.found())

    def gauge(
        self, metric: str, where: Conditions, by: tuple[str, ...], at: float, combine: Combination
    ) -> dict[Key, float]:
        """Return the values at one moment, several series of a key combined. Older than 60 s is unknown."""
        found = self.gauge_range(metric, where, by, at - 1.0, at, 1.0, combine)
        return {key: value for key, values in found.items() if (value := values[0]) is not None}

    def gauge_range(
        self,
        metric: str,
        where: Conditions,
        by: tuple[str, ...],
        since: float,
        until: float,
        step_s: float,
        combine: Combination,
    ) -> dict[Key, Sequence[float | None]]:
        """Return the value at the end of each step, None where it is unknown."""
        steps = _steps(since, until, step_s)
        first = (since + step_s - STALE_S) // MINUTE_S * MINUTE_S
        rows: dict[Key, list[float | None]] = {}
        by_labels: dict[tuple[tuple[str, str], ...], list[tuple[int, float]]] = {}
        for row in self._store.gauges.read(metric, first, until + 1.0):
            if matches(row.labels, where):
                by_labels.setdefault(tuple(row.labels.items()), []).append((row.minute, row.last))
        for labels, minutes in by_labels.items():
            values = rows.setdefault(key_of(dict(labels), by), [None] * steps)
            position, last = 0, None
            for step in range(steps):
                at = since + (step + 1) * step_s
                while position < len(minutes) and minutes[position][0] < at:
                    last = minutes[position]
                    position += 1
                # A minute knows its last value only: it may be as young as its end.
                if last is not None and at - last[0] < MINUTE_S + STALE_S:
                    known = values[step]
                    values[step] = last[1] if known is None else _COMBINED[combine](known, last[1])
        return dict(rows)

    def _measured(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> MeasuredRows:
        """Return what processes measured in each step."""
        rows = MeasuredRows(where, by, _steps(since, until, step_s))
        self._collect_measured(rows, metric, since, until, since, step_s if step_s > 0 else 1.0)
        return rows

    def _collect_measured(
        self, into: MeasuredRows, metric: str, since: float, until: float, begin: float, step_s: float
    ) -> None:
        """Add minutes from `since` to `until` to the steps from `begin`; hours where minutes are gone or steps wide."""
        store = self._store.measured
        names = {number: name for number, name in store.series(metric, since).items() if into.admits(name)}
        if not names:
            return
        wanted = sorted(names)

        def add(start: float, end: float, *, hours: bool) -> None:
            if start < end:
                for piece in store.read(start, end, wanted, hours=hours):
                    into.add(names[piece.series], piece.amount, int((piece.at - begin) // step_s))

        if self._store.clock.now() - since < _MINUTES_SURE_S:
            # Fine steps are drawn from minutes as long as there are any.
            if step_s < HOUR_S or until - since < _HOURS_FROM_S:
                add(since, until, hours=False)
                return
            first = math.ceil(since / HOUR_S) * HOUR_S
        else:
            first = math.floor(since / HOUR_S) * HOUR_S
        last = max(first, min(math.floor(until / HOUR_S) * HOUR_S, store.folded_until()))
        add(since, min(first, until), hours=False)
        add(first, last, hours=True)
        add(max(last, since), until, hours=False)

    def _own_increases(self, metric: str, since: float, until: float) -> list[tuple[float, float]]:
        """Return `(time, increase)` of a counter of the server itself."""
        return [(float(minute), increase) for minute, increase in self._store.gauges.counted(metric, since, until)]

    def _collect(
        self, into: Sums | Merges, selection: Selection, since: float, until: float, step_s: float, steps: int
    ) -> None:
        """Add the rollups of the window's minutes, whole hours at once where no step ends inside them."""
        minutes: RollupTable = "minutes"
        hours: RollupTable = "hours"
        names: dict[int | str, Series] = {}
        wanted: list[int] | None = None
        if selection.totals:
            minutes, hours = "total minutes", "total hours"
        else:
            known = self._store.rollups.series(since)
            names = {number: series for number, series in known.items() if selection.admits(series)}
            if not names:
                return
            # Asking for most of the series one by one takes longer than reading them all.
            wanted = sorted(int(number) for number in names) if len(names) <= _MOST_NAMED else None
        last = steps - 1

        def add(table: RollupTable, begin: float, end: float) -> None:
            for key, at, data in self._store.rollups.read(table, begin, end, wanted):
                series = Series(str(key), "", "") if selection.totals else names.get(key)
                if series is not None and selection.admits(series):
                    into.add(series, rollup_parts(data), min(int((at - since) // step_s), last))

        first_hour, end_hour = math.ceil(since / HOUR_S) * HOUR_S, math.floor(until / HOUR_S) * HOUR_S
        whole = steps == 1 or (since % HOUR_S == 0 and step_s % HOUR_S == 0)
        if whole and end_hour - first_hour >= _HOURS_FROM_S:
            add(minutes, since, first_hour)
            add(hours, first_hour, end_hour)
            add(minutes, end_hour, until)
        else:
            add(minutes, since, until)


def matches(labels: Mapping[str, str], where: Conditions) -> bool:
    """Return whether labels meet all conditions."""
    return all(labels.get(label, "") in values for label, values in where.items())


def key_of(labels: Mapping[str, str], by: tuple[str, ...]) -> Key:
    """Return the values of the labels that groups are told apart by."""
    return tuple(labels.get(name, "") for name in by)


def combined(values: Iterable[tuple[Key, float]], combine: Combination) -> dict[Key, float]:
    """Combine the values of each key."""
    found: dict[Key, float] = {}
    for key, value in values:
        found[key] = value if key not in found else _COMBINED[combine](found[key], value)
    return found


def _steps(since: float, until: float, step_s: float) -> int:
    return max(1, round((until - since) / step_s)) if step_s > 0 else 1
