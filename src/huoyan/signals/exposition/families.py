"""What a scrape shows, before any format is chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huoyan.model.histogram import Histogram
from huoyan.signals.metric import Metric

Key = tuple[str, ...]
"""Label values of a series, in the order of the metric's labels."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """One observation by name: the trace that it belongs to.

    Args:
        value: What was observed.
        trace_id: Its trace.
        at: When, seconds since 1970 UTC.
    """

    value: float
    trace_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and its series in the order of `keys`: `numbers` of counters and gauges, else `distributions`.

    Args:
        set_at: When numbers were set, seconds since 1970 UTC, of gauges of which the last one counts; not exposed.
        exemplars: Observations by name, of the series that have any; only OpenMetrics carries them.
    """

    metric: Metric
    keys: list[Key]
    numbers: Sequence[float] = ()
    distributions: Sequence[Histogram] = ()
    set_at: Sequence[float] = ()
    exemplars: Mapping[Key, Sequence[Exemplar]] = field(default_factory=dict)
