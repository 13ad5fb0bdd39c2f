"""What the signals read while the server runs: now, and the last hour by 5 seconds, over the store's minutes."""

from collections.abc import Sequence

from huoyan.clock import Clock
from huoyan.model.schedule import SlotVerdict
from huoyan.server.collect.gauges import Gauges
from huoyan.server.collect.measured import MeasuredRecent
from huoyan.server.collect.recent import SLOT_S, Recent
from huoyan.server.collect.samples import Samples
from huoyan.server.store import Store
from huoyan.server.store.source import MeasuredRows, Merges, Selection, StoreSource, Sums, combined, key_of, matches
from huoyan.signals.metrics.work import SCHEDULE_MISSED, SCHEDULE_TOO_FAST, SCHEDULE_TOO_OFTEN
from huoyan.signals.source import Combination, Conditions, Key


class LiveSource(StoreSource):
    """The `Source` of the running server: slides by 5 seconds within the last hour, and knows the gauges of now."""

    def __init__(
        self,
        store: Store,
        recent: Recent,
        samples: Samples,
        gauges: Gauges,
        clock: Clock,
        measured: MeasuredRecent,
    ) -> None:
        super().__init__(store)
        self._recently_measured = measured
        self._schedules = store.schedules
        self._recent = recent
        self._samples = samples
        self._gauges = gauges
        self._clock = clock

    def increase_range(
        self, metric: str, where: Conditions, by: tuple[str, ...], since: float, until: float, step_s: float
    ) -> dict[Key, Sequence[float]]:
        """Return the growth in each step, 0 where nothing happened."""
        found = self._found(metric, since, until)
        if found is None:
            return super().increase_range(metric, where, by, since, until, step_s)
        steps = max(1, round((until - since) / step_s)) if step_s > 0 else 1
        rows: dict[Key, list[float]] = {}
        for label, at in found:
            labels = {"schedule": label}
            if matches(labels, where):
                row = rows.setdefault(key_of(labels, by), [0.0] * steps)
                row[min(int((at - since) // step_s), steps - 1)] += 1.0
        return dict(rows)

    def _found(self, metric: str, since: float, until: float) -> Sequence[tuple[str, float]] | None:
        """Return what is counted by the verdicts on schedules, None for any other metric."""
        if metric == SCHEDULE_MISSED.name:
            return self._schedules.found(SlotVerdict.MISSED, since, until)
        if metric == SCHEDULE_TOO_OFTEN.name:
            return self._schedules.found(SlotVerdict.REPEATED, since, until)
        return self._schedules.found_fast(since, until) if metric == SCHEDULE_TOO_FAST.name else None

    def gauge(
        self, metric: str, where: Conditions, by: tuple[str, ...], at: float, combine: Combination
    ) -> dict[Key, float]:
        """Return the values at one moment, several series of a key combined. Older than 60 s is unknown."""
        if at < self._clock.now() - SLOT_S:
            found = self.gauge_range(metric, where, by, at - 1.0, at, 1.0, combine)
            return {key: value for key, values in found.items() if (value := values[0]) is not None}
        known = ((dict(labels), value) for labels, value in self._gauges.read(metric).items())
        return combined(((key_of(labels, by), value) for labels, value in known if matches(labels, where)), combine)

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
        if since >= self._samples.since:
            rows = self._samples.gauge_range(metric, where, by, since, until, step_s, combine)
        else:
            rows = super().gauge_range(metric, where, by, since, until, step_s, combine)
        if abs(until - self._clock.now()) <= SLOT_S:
            # The last point of a chart is the value of now, the same that rules and the first screen see.
            steps = max(1, round((until - since) / step_s))
            merged = {key: list(values) for key, values in rows.items()}
            for key, value in self.gauge(metric, where, by, until, combine).items():
                merged.setdefault(key, [None] * steps)[-1] = value
            return dict(merged)
        return rows

    def _own_increases(self, metric: str, since: float, until: float) -> list[tuple[float, float]]:
        cut = self._recent.since
        earlier = super()._own_increases(metric, since, min(until, cut)) if since < cut else []
        return earlier + self._recent.own_increases(metric, max(since, cut), until)

    def _collect_measured(
        self, into: MeasuredRows, metric: str, since: float, until: float, begin: float, step_s: float
    ) -> None:
        cut = self._recently_measured.since
        if since < cut:
            super()._collect_measured(into, metric, since, min(until, cut), begin, step_s)
        if until > cut:
            self._recently_measured.collect(into, metric, max(since, cut), until, begin, step_s)

    def _collect(
        self, into: Sums | Merges, selection: Selection, since: float, until: float, step_s: float, steps: int
    ) -> None:
        cut = self._recent.since
        if since < cut:
            super()._collect(into, selection, since, min(until, cut), step_s, steps)
        if until > cut:
            self._recent.collect(into, selection, max(since, cut), until, since, step_s, steps)
