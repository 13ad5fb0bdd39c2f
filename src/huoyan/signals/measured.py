"""What a process measured since it last said so: counters and distributions as growth, gauges as they are now.

A frame is sent until its receipt is certain, so it may arrive twice. It names the process that sends it and carries a
number that grows by one with each frame: who has taken a number leaves aside what comes with that or a lower one.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from huoyan.model.histogram import Histogram
from huoyan.signals.metric import Metric, MetricKind

Values = tuple[str, ...]
"""Values of the labels of a metric, in its order."""


@dataclass(slots=True)
class Measured:
    """What was measured of one metric.

    Args:
        metric: Which.
        series: Label values → growth of a counter, what a distribution observed, or the value of a gauge.
        folded: How often label values went beyond the budget of the metric, or were refused.
        samples: Some of the combinations that did.
        set_at: When each was set, seconds since 1970 UTC, of a gauge of which the last one counts.
    """

    metric: Metric
    series: dict[Values, float | Histogram] = field(default_factory=dict)
    folded: int = 0
    samples: list[Values] = field(default_factory=list)
    set_at: dict[Values, float] = field(default_factory=dict)

    def merge(self, later: "Measured") -> None:
        """Add what was measured after it."""
        for values, value in later.series.items():
            known = self.series.get(values)
            if isinstance(known, Histogram) and isinstance(value, Histogram):
                known.merge(value)
            elif known is None or self.metric.kind is MetricKind.GAUGE or isinstance(value, Histogram):
                self.series[values] = value
            elif not isinstance(known, Histogram):
                self.series[values] = known + value
        self.set_at.update(later.set_at)
        self.folded += later.folded
        self.samples = later.samples or self.samples


MOST_REACHED = 10_000
"""Keys of funnels that a frame names; further ones count without being told from repetitions."""


class Step(NamedTuple):
    """One step of a funnel.

    Args:
        position: 1 for the first, where keys enter.
        window_s: How long a key counts once, in seconds.
    """

    funnel: str
    step: str
    position: int
    window_s: float


@dataclass(slots=True)
class Frame:
    """What one process measured up to one moment.

    Args:
        source: Names one life of one process; a new one for each start and fork.
        sequence: 1 for its first frame, one more with each.
        at: When it was taken, by the clock of the process, seconds since 1970 UTC.
        service: Name of the service.
        worker: Name of the process, as in its reports.
        metrics: By name.
        reached: Which keys reached which step of a funnel, by hashes; the counters in `metrics` hold them, too.
    """

    source: str
    sequence: int
    at: float
    service: str
    worker: str
    metrics: dict[str, Measured] = field(default_factory=dict)
    reached: dict[Step, list[str]] = field(default_factory=dict)

    def merge(self, later: "Frame") -> None:
        """Add a later frame of the same process."""
        self.at = later.at
        self.service, self.worker = later.service, later.worker
        for name, measured in later.metrics.items():
            known = self.metrics.get(name)
            if known is None:
                self.metrics[name] = measured
            else:
                known.merge(measured)
        room = MOST_REACHED - sum(map(len, self.reached.values()))
        for step, keys in later.reached.items():
            self.reached.setdefault(step, []).extend(keys[:room])
            room -= len(keys[:room])

    @property
    def size(self) -> int:
        """How many series it holds."""
        return sum(len(measured.series) for measured in self.metrics.values())
