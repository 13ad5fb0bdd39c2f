"""The gauges of the last hour in memory, as they were sampled."""

import threading
from collections import deque
from collections.abc import Mapping, Sequence

from huoyan.server.collect.metrics import Labels
from huoyan.server.collect.recent import HORIZON_S
from huoyan.server.store.source import STALE_S, combined, key_of, matches
from huoyan.signals.source import Combination, Conditions, Key

MOST_VALUES = 500_000
"""Values kept; with more the oldest go early, and the store answers for them by the minute."""


class Samples:
    """What each gauge was at the times of sampling.

    Attributes:
        since: From when on samples are here, seconds since 1970 UTC; what was before is in the store by the minute.
    """

    def __init__(self, since: float) -> None:
        self.since = since
        self._lock = threading.Lock()
        self._samples: deque[tuple[float, dict[str, dict[Labels, float]]]] = deque()
        self._values = 0

    def add(self, at: float, gauges: Mapping[str, Mapping[Labels, float]]) -> None:
        """Take a sample of every gauge: metric → labels → value."""
        kept = {metric: dict(values) for metric, values in gauges.items() if values}
        with self._lock:
            self._samples.append((at, kept))
            self._values += _size(kept)
            while self._samples and (self._samples[0][0] < at - HORIZON_S or self._values > MOST_VALUES):
                dropped_at, dropped = self._samples.popleft()
                self._values -= _size(dropped)
                self.since = max(self.since, dropped_at)

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
        """Return the value at the end of each step: that of the last sample up to then, if it is no older than 60 s."""
        steps = max(1, round((until - since) / step_s))
        rows: dict[Key, list[float | None]] = {}
        admitted: dict[Labels, Key | None] = {}
        with self._lock:
            samples = [(at, gauges.get(metric, {})) for at, gauges in self._samples]
        position = 0
        for step in range(steps):
            end = since + (step + 1) * step_s
            while position < len(samples) and samples[position][0] <= end:
                position += 1
            if not position or end - samples[position - 1][0] > STALE_S:
                continue
            pairs = []
            for labels, value in samples[position - 1][1].items():
                if labels not in admitted:
                    named = dict(labels)
                    admitted[labels] = key_of(named, by) if matches(named, where) else None
                key = admitted[labels]
                if key is not None:
                    pairs.append((key, value))
            for key, value in combined(pairs, combine).items():
                rows.setdefault(key, [None] * steps)[step] = value
        return dict(rows)


def _size(gauges: Mapping[str, Mapping[Labels, float]]) -> int:
    return sum(len(values) for values in gauges.values())
