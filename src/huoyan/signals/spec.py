"""What a signal is: a quantity declared once, as data.

An expression is a tree of frozen nodes over metrics. `huoyan.signals.evaluate` computes it from the embedded store,
`huoyan.signals.promql` writes it as PromQL; neither knows a single signal by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from huoyan.signals.metric import Metric, MetricKind

Where = tuple[tuple[str, tuple[str, ...]], ...]
"""Conditions on labels, all of which must hold: (label, values any of which will do). No values match nothing."""


def where(conditions: Mapping[str, str | Iterable[str]] | None = None, **more: str | Iterable[str]) -> Where:
    """Build conditions: `where(state=("failed", "lost"), task="orders.pay")`."""
    every = {**(conditions or {}), **more}
    return tuple(
        (label, (values,) if isinstance(values, str) else tuple(values)) for label, values in sorted(every.items())
    )


@dataclass(frozen=True, slots=True)
class Increase:
    """How much a counter grew during the window."""

    metric: Metric
    where: Where = ()

    def __post_init__(self) -> None:
        _expect(self.metric, MetricKind.COUNTER, self.where)


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a counter grew, or how many observations a distribution took in, per second of the window."""

    metric: Metric
    where: Where = ()

    def __post_init__(self) -> None:
        observed = self.metric.kind is MetricKind.DISTRIBUTION
        _expect(self.metric, MetricKind.DISTRIBUTION if observed else MetricKind.COUNTER, self.where)


@dataclass(frozen=True, slots=True)
class Observations:
    """How many observations a distribution took in during the window."""

    metric: Metric
    where: Where = ()

    def __post_init__(self) -> None:
        _expect(self.metric, MetricKind.DISTRIBUTION, self.where)


@dataclass(frozen=True, slots=True)
class Quantile:
    """The value below which the share `q` (0 to 1) of the window's observations lies."""

    q: float
    metric: Metric
    where: Where = ()

    def __post_init__(self) -> None:
        if not 0.0 <= self.q <= 1.0:
            raise ValueError(f"q: expected a share from 0 to 1, got {self.q!r}")
        _expect(self.metric, MetricKind.DISTRIBUTION, self.where)


class Combine(StrEnum):
    """How the values of several series become one."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, slots=True)
class Latest:
    """The value of a gauge now; series that share the labels asked for are combined."""

    metric: Metric
    where: Where = ()
    combine: Combine = Combine.SUM

    def __post_init__(self) -> None:
        _expect(self.metric, MetricKind.GAUGE, self.where)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One quantity divided by another; unknown where the other is zero."""

    numerator: "Expression"
    denominator: "Expression"


@dataclass(frozen=True, slots=True)
class Difference:
    """One quantity less another; unknown where either is."""

    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Scale:
    """A quantity times a constant, to change its unit."""

    expression: "Expression"
    factor: float


class Op(StrEnum):
    """A comparison."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="
    EQUAL = "=="

    def holds(self, left: float, right: float) -> bool:
        """Return whether `left op right`."""
        if self is Op.ABOVE:
            return left > right
        if self is Op.AT_LEAST:
            return left >= right
        if self is Op.BELOW:
            return left < right
        if self is Op.AT_MOST:
            return left <= right
        return left == right


@dataclass(frozen=True, slots=True)
class Compare:
    """1 where a quantity compares to the constant as asked, 0 where it does not."""

    expression: "Expression"
    op: Op
    constant: float


@dataclass(frozen=True, slots=True)
class Over:
    """A quantity taken per value of the labels in `over`, then combined: the sum over workers, the most over queues."""

    combine: Combine
    expression: "Expression"
    over: tuple[str, ...]


Leaf = Increase | Rate | Observations | Quantile | Latest
"""The nodes that read a metric."""

Expression = Leaf | Ratio | Difference | Scale | Compare | Over


class Unit(StrEnum):
    """What a signal's value counts."""

    COUNT = "count"
    PER_MINUTE = "per_minute"
    RATIO = "ratio"
    SECONDS = "seconds"
    BYTES = "bytes"
    BOOLEAN = "boolean"


class PanelKind(StrEnum):
    """How a signal is best drawn."""

    LINES = "lines"
    STAT = "stat"
    STATUS = "status"
    """A time line of on and off for each series."""
    HEAT = "heat"
    """A row for each series, coloured by its value over time."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Where and how a signal is drawn.

    Args:
        section: Heading under which it stands: `tasks`, `queues`, `workers`, `schedules`, `http`, `dependencies`,
            `business`, `processes` or `self`.
        kind: The drawing.
        joins: Id of the signal in whose panel this one is drawn as well; empty for a panel of its own.
        title: Title of the panel where several signals share it; empty for the signal's own.
        title_zh: The same in Chinese.
    """

    section: str
    kind: PanelKind = PanelKind.LINES
    joins: str = ""
    title: str = ""
    title_zh: str = ""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Values from which a signal deserves attention when nobody configured anything else.

    Args:
        op: The comparison: `value op threshold` is bad.
        warning: Threshold of the warning, in the signal's unit; None for no warning.
        critical: Threshold of the critical alert, in the signal's unit; None for none.
        for_s: How long it has to hold, in seconds.
    """

    op: Op
    warning: float | None = None
    critical: float | None = None
    for_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Signal:
    """A quantity of the field, declared once.

    Args:
        id: Its name everywhere: API, rules, recording rules, panels.
        by: Labels by which it is told apart unless asked otherwise.
        window_s: Default window in seconds; None for quantities that have a value at each moment (gauges).
        min_samples: With fewer observations in the window the value is unknown: one failure of one run is no 100 %.
    """

    id: str
    title: str
    title_zh: str
    help: str
    help_zh: str
    unit: Unit
    by: tuple[str, ...]
    expression: Expression
    panel: Panel
    window_s: float | None = None
    min_samples: int = 0
    thresholds: Thresholds | None = None
    labels: tuple[str, ...] = field(init=False)
    """Labels by which it can be filtered and told apart: those that every metric in the expression has and that the
    expression itself leaves open (a failure ratio by state would be 1 for each bad state)."""

    def __post_init__(self) -> None:
        read = leaves_of(self.expression)
        used = [leaf.metric for leaf in read]
        fixed = {label for leaf in read for label, _ in leaf.where}
        shared = tuple(
            label
            for label in used[0].series_labels
            if label not in fixed and all(label in metric.series_labels for metric in used)
        )
        object.__setattr__(self, "labels", shared)
        unknown = [label for label in self.by if label not in shared]
        if unknown:
            raise ValueError(f"{self.id}.by: expected some of {shared}, got {unknown}")
        gauges_only = all(metric.kind is MetricKind.GAUGE for metric in used)
        if gauges_only is not (self.window_s is None):
            raise ValueError(f"{self.id}.window_s: expected seconds, or None where only gauges are read")


def leaves_of(expression: Expression) -> tuple[Leaf, ...]:
    """Return the nodes of an expression that read metrics, in order."""
    if isinstance(expression, Increase | Rate | Observations | Quantile | Latest):
        return (expression,)
    if isinstance(expression, Ratio):
        return (*leaves_of(expression.numerator), *leaves_of(expression.denominator))
    if isinstance(expression, Difference):
        return (*leaves_of(expression.left), *leaves_of(expression.right))
    return leaves_of(expression.expression)


def counted(expression: Expression) -> bool:
    """Return whether nothing seen means zero, as for everything that is counted, rather than unknown."""
    if isinstance(expression, Increase | Rate | Observations):
        return True
    if isinstance(expression, Scale):
        return counted(expression.expression)
    if isinstance(expression, Difference):
        return counted(expression.left) and counted(expression.right)
    return False


def _expect(metric: Metric, kind: MetricKind, conditions: Where) -> None:
    if metric.kind is not kind:
        raise ValueError(f"{metric.name}: expected a {kind}, got a {metric.kind}")
    unknown = [label for label, _ in conditions if label not in metric.series_labels]
    if unknown:
        raise ValueError(f"{metric.name}: expected labels among {metric.series_labels}, got {unknown}")
