"""What processes measure, as it arrives: each frame once, by the minute into the store, by 5 seconds into memory."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from huoyan.clock import Clock
from huoyan.model.histogram import Histogram
from huoyan.model.labels import Budget
from huoyan.model.rollup import slot_of
from huoyan.server.collect.metrics import Labels
from huoyan.server.store import Store
from huoyan.server.store.measured import HOUR_S, Amount, SeriesName, merged
from huoyan.server.store.source import STALE_S, MeasuredRows
from huoyan.signals.measured import Frame, Step, Values
from huoyan.signals.metric import Across, Metric, MetricKind
from huoyan.signals.metrics.application import FUNNEL_ENTERED, FUNNEL_REACHED

_LOG = logging.getLogger(__name__)

SLOT_S = 5
MINUTE_S = 60
HORIZON_S = 3600
MOST_CELLS = 200_000
"""Amounts kept in memory; with more the oldest go early, and the store answers for them by the minute."""
LATEST_S = 3600.0
"""Older frames count as this old: clients keep about an hour."""
MINUTES_KEPT_S = 2 * 86_400.0
_SERIES_KNOWN_S = 86_400.0
_GAUGES_MOST = 100_000

_Cells = dict[SeriesName, Amount]


class MeasuredRecent:
    """Amounts of the last hour by 5 seconds, and by minutes besides, so that longer windows have less to add up.

    Attributes:
        since: From when on everything is here, seconds since 1970 UTC, a whole minute.
    """

    def __init__(self, since: float) -> None:
        self.since: float = slot_of(since, MINUTE_S)
        self._lock = threading.Lock()
        self._slots: dict[str, dict[int, _Cells]] = {}
        self._minutes: dict[str, dict[int, _Cells]] = {}
        self._cells = 0

    def add(self, amounts: Iterable[tuple[SeriesName, int, Amount]]) -> None:
        """Add series, slot, amount; what is from before `since` is the store's alone."""
        with self._lock:
            for name, slot, amount in amounts:
                if slot >= self.since:
                    self._put(self._slots, name, slot, amount)
                    self._put(self._minutes, name, slot // MINUTE_S * MINUTE_S, amount)

    def _put(self, kept: dict[str, dict[int, _Cells]], name: SeriesName, at: int, amount: Amount) -> None:
        cells = kept.setdefault(name.metric, {}).setdefault(at, {})
        known = cells.get(name)
        self._cells += known is None
        cells[name] = merged(known, amount)

    def prune(self, now: float) -> None:
        """Forget what is older than an hour, or does not fit."""
        with self._lock:
            self._drop_before(int((now - HORIZON_S) // MINUTE_S) * MINUTE_S)
            while self._cells > MOST_CELLS:
                oldest = min((at for minutes in self._minutes.values() for at in minutes), default=None)
                if oldest is None:
                    return
                self._drop_before(oldest + MINUTE_S)

    def _drop_before(self, at: float) -> None:
        if at <= self.since:
            return
        self.since = at
        for kept in (self._slots, self._minutes):
            for pieces in kept.values():
                for start in [start for start in pieces if start < at]:
                    self._cells -= len(pieces.pop(start))

    def collect(self, into: MeasuredRows, metric: str, since: float, until: float, begin: float, step_s: float) -> None:
        """Add what was measured from `since` to `until` to the steps of a window that begins at `begin`."""
        with self._lock:
            minutes = {
                minute
                for minute in self._minutes.get(metric, ())
                if since <= minute
                and minute + MINUTE_S <= until
                and (minute - begin) // step_s == (minute + MINUTE_S - SLOT_S - begin) // step_s
            }
            for minute in minutes:
                for name, amount in self._minutes[metric][minute].items():
                    into.add(name, amount, int((minute - begin) // step_s))
            for slot, cells in self._slots.get(metric, {}).items():
                if since <= slot < until and slot // MINUTE_S * MINUTE_S not in minutes:
                    for name, amount in cells.items():
                        into.add(name, amount, int((slot - begin) // step_s))


@dataclass(frozen=True, slots=True)
class _Told:
    """A value of a gauge, when it was told, and when it was set."""

    at: float
    value: float
    set_at: float


class MeasuredGauges:
    """Gauges as processes told them last. A value that is older than 60 s is unknown. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Metric → labels and the process that told it → what it told.
        self._values: dict[str, dict[tuple[Labels, str], _Told]] = {}
        self._across: dict[tuple[str, str], Across] = {}

    def take(self, frame: Frame, at: float, rename: Callable[[SeriesName], SeriesName]) -> None:
        """Take the gauges of a frame that was made at a time, by our clock."""
        with self._lock:
            for measured in frame.metrics.values():
                metric = measured.metric
                if metric.kind is not MetricKind.GAUGE:
                    continue
                values = self._values.setdefault(metric.name, {})
                self._across[metric.name, frame.service] = metric.across
                for given, value in measured.series.items():
                    if isinstance(value, Histogram):
                        continue
                    name = rename(SeriesName(metric.name, frame.service, tuple(zip(metric.labels, given, strict=True))))
                    key = ((("service", frame.service), *name.labels), frame.worker)
                    known = values.get(key)
                    if (known is None and len(values) < _GAUGES_MOST) or (known is not None and known.at <= at):
                        # Set by the clock of the process, which frames say, too.
                        values[key] = _Told(at, float(value), measured.set_at.get(given, frame.at) + at - frame.at)

    def closed(self, worker: str) -> None:
        """Forget the gauges of a process that ended."""
        with self._lock:
            for values in self._values.values():
                for key in [key for key in values if key[1] == worker]:
                    del values[key]

    def names(self) -> list[str]:
        """Return the gauges that were told."""
        with self._lock:
            return list(self._values)

    def read(self, metric: str) -> dict[Labels, float]:
        """Return the values of a gauge now by its labels, of several processes as the metric says.

        What is unknown is left out.
        """
        oldest = self._clock.now() - STALE_S
        with self._lock:
            values = self._values.get(metric)
            if not values:
                return {}
            for key in [key for key, told in values.items() if told.at < oldest]:
                del values[key]
            by_labels: dict[Labels, list[_Told]] = {}
            for (labels, _), told in values.items():
                by_labels.setdefault(labels, []).append(told)
            return {
                labels: _across(told, self._across.get((metric, labels[0][1]), Across.SUM))
                for labels, told in by_labels.items()
            }


def _across(told: Sequence[_Told], across: Across) -> float:
    """Return what a gauge is of the processes that told it."""
    if across is Across.LAST:
        return max(told, key=lambda one: one.set_at).value
    values = [one.value for one in told]
    return sum(values) if across is Across.SUM else max(values) if across is Across.MAX else min(values)


class MeasurementCollector:
    """Takes frames from any thread and returns when they are stored.

    Args:
        store: Where to.
        clock: The time.
        budget: Series kept of each metric of a service; more are folded into `other`.
    """

    def __init__(self, store: Store, clock: Clock, budget: int) -> None:
        self._store = store
        self._clock = clock
        self._budget = budget
        self._lock = threading.Lock()
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._heard: dict[SeriesName, float] = {}
        self._tidied_at = clock.now()
        self._restored = False
        self.recent = MeasuredRecent(clock.now())
        self.gauges = MeasuredGauges(clock)

    def restore(self) -> None:
        """Read which series there are, and what was measured in the minute that is not over."""
        with self._lock:
            if not self._restored:
                now = self._clock.now()
                known = self._store.measured.series("", now - _SERIES_KNOWN_S)
                for name in known.values():
                    self._admitted(name)
                minute = int(self.recent.since)
                pieces = self._store.measured.read(minute, minute + MINUTE_S, ())
                self.recent.add(
                    (known[piece.series], minute, piece.amount) for piece in pieces if piece.series in known
                )
                self._restored = True

    def take(self, frames: Sequence[Frame], received_at: float, sent_at: float | None = None) -> int:
        """Store frames, each once however often it comes.

        Args:
            frames: What one process measured, oldest first.
            received_at: When the server got them, seconds since 1970 UTC.
            sent_at: When they were sent, by the clock of the process; None: their times are taken for right.

        Returns:
            How many were new.

        Raises:
            SQLAlchemyError: The database did not take them.
        """
        if not frames:
            return 0
        self.restore()
        skew_s = 0.0 if sent_at is None else received_at - sent_at
        with self._lock:
            fresh: list[tuple[Frame, float]] = []
            slots: list[tuple[SeriesName, int, Amount]] = []
            try:
                with self._store.engine.begin() as connection:
                    kept = self._store.measured
                    minutes: dict[tuple[SeriesName, int], Amount] = {}
                    for frame in frames:
                        if not kept.fresh(connection, frame, received_at):
                            continue
                        at = min(max(frame.at + skew_s, received_at - LATEST_S), received_at)
                        fresh.append((frame, at))
                        kept.describe(connection, frame, at)
                        repeats = self._store.funnels.repeated(connection, frame.service, frame.reached, received_at)
                        for name, amount in self._amounts(frame, repeats):
                            slots.append((name, slot_of(at, SLOT_S), amount))
                            place = (name, slot_of(at, MINUTE_S))
                            minutes[place] = merged(minutes.get(place), amount)
                        for (metric, service), (count, sample) in self._overflow(frame).items():
                            kept.fold(connection, metric, service, count, sample)
                    kept.add(connection, minutes, received_at)
            except SQLAlchemyError:
                self._store.measured.forget_numbers()
                raise
            self.recent.add(slots)
            self.recent.prune(self._clock.now())
            self._tidy(self._clock.now())
            for frame, at in fresh:
                self.gauges.take(frame, at, self._admitted)
        return len(fresh)

    def closed(self, worker: str) -> None:
        """Forget the gauges of a process that said goodbye."""
        self.gauges.closed(worker)

    def _amounts(self, frame: Frame, repeats: Mapping[Step, int]) -> Iterable[tuple[SeriesName, Amount]]:
        for measured in frame.metrics.values():
            metric = measured.metric
            if metric.kind is MetricKind.GAUGE:
                continue
            for values, amount in measured.series.items():
                labels = tuple(zip(metric.labels, values, strict=True))
                if repeats and not isinstance(amount, Histogram):
                    amount = max(0.0, amount - _repeated(metric, values, repeats))
                yield self._admitted(SeriesName(metric.name, frame.service, labels)), amount

    def _admitted(self, name: SeriesName) -> SeriesName:
        """Return a series, or the one that stands for it when its metric has too many."""
        if not name.labels:
            return name
        budget = self._budgets.get(name[:2])
        labels, values = zip(*name.labels, strict=True)
        if budget is None or budget.labels != labels:
            budget = self._budgets[name[:2]] = Budget(
                f"{name.metric} of {name.service}", labels, limit=self._budget, per_label=self._budget
            )
        admitted = budget.admit(values)
        if admitted == values:
            self._heard[name] = self._clock.now()
        return name if admitted == values else SeriesName(*name[:2], tuple(zip(labels, admitted, strict=True)))

    def _tidy(self, now: float) -> None:
        """Give back the places of series that were not heard of for an hour: processes come and go."""
        if now - self._tidied_at < MINUTE_S:
            return
        self._tidied_at = now
        for name in [name for name, at in self._heard.items() if at < now - HORIZON_S]:
            del self._heard[name]
            budget = self._budgets.get(name[:2])
            if budget is not None:
                budget.discard(tuple(value for _, value in name.labels))

    def _overflow(self, frame: Frame) -> Mapping[tuple[str, str], tuple[int, tuple[str, ...]]]:
        """Return how many series of a frame the server's own budget folds, and one of them."""
        folded: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
        for measured in frame.metrics.values():
            budget = self._budgets.get((measured.metric.name, frame.service))
            if budget is None or not budget.folded:
                continue
            beyond = [values for values in measured.series if budget.admit(values) != values]
            if beyond:
                folded[(measured.metric.name, frame.service)] = (len(beyond), beyond[0])
        return folded


def _repeated(metric: Metric, values: Values, repeats: Mapping[Step, int]) -> int:
    """Return how much of what a counter of funnels grew by are keys that were counted before."""
    if metric is FUNNEL_REACHED:
        return sum(count for step, count in repeats.items() if values == (step.funnel, step.step, str(step.position)))
    if metric is FUNNEL_ENTERED:
        return sum(count for step, count in repeats.items() if step.position == 1 and values[0] == step.funnel)
    return 0


class MeasurementAging:
    """Makes hours of old minutes, at a coarser resolution, and deletes minutes that are days old."""

    name = "measurement aging"
    interval_s = 600.0

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def run_once(self) -> int:
        """Do what is due and return how many hours were made."""
        now = self._clock.now()
        # A frame may be an hour late; an hour is made when nothing can come to it any more.
        hours = self._store.measured.fold_hours((now - LATEST_S - SLOT_S) // HOUR_S * HOUR_S)
        deleted = self._store.measured.delete_minutes(now - MINUTES_KEPT_S)
        self._store.funnels.forget(now)
        if hours or deleted:
            _LOG.debug("measurements: %d hours made, %d minutes deleted", hours, deleted)
        return hours
