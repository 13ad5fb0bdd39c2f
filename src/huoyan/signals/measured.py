"""What a process measured since it last said so: counters and distributions as growth, gauges as they are now.

A frame is sent until its receipt is certain, so it may arrive twice. It names the process that sends it and carries a
number that grows by one with each frame: who has taken a number leaves aside what comes with that or a lower one.
"""

from dataclasses import dataclass, field

from huoyan.model.histogram import Histogram
from huoyan.signals.metrics import Metric, MetricKind

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
    """

    metric: Metric
    series: dict[Values, float | Histogram] = field(default_factory=dict)
    folded: int = 0
    samples: list[Values] = field(default_factory=list)

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
        self.folded += later.folded
        self.samples = later.samples or self.samples


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
    """

    source: str
    sequence: int
    at: float
    service: str
    worker: str
    metrics: dict[str, Measured] = field(default_factory=dict)

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

    @property
    def size(self) -> int:
        """How many series it holds."""
        return sum(len(measured.series) for measured in self.metrics.values())
