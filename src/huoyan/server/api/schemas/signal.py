"""Signals, their values and their history as JSON."""

from typing import Literal

from huoyan.server.api.schemas.base import Document, documented
from huoyan.signals import spec
from huoyan.signals.promql import promql

EXAMPLE = {
    "id": "task_failure_ratio",
    "title": "Failure ratio",
    "title_zh": "失败率",
    "unit": "ratio",
    "by": ["service", "task"],
    "labels": ["service", "task", "queue"],
    "combine": None,
    "window_s": 300.0,
    "panel": {"section": "tasks", "kind": "lines", "joins": "", "title": "", "title_zh": ""},
    "help": "Failed runs of all that ended, revoked ones apart.",
    "help_zh": "结束的运行中失败的比例（不含被撤销的）。",
    "thresholds": {"op": ">", "warning": 0.05, "critical": 0.2, "for_s": 60.0},
    "promql": 'sum by (service, task) (increase(huoyan_task_runs_total{state=~"failed|rejected|lost|dead"}[5m]))',
}

Operator = Literal[">", ">=", "<", "<=", "=="]


class Thresholds(Document):
    """What a rule on this signal would usually compare with."""

    op: Operator
    warning: float | None
    critical: float | None
    for_s: float
    """How long it has to hold, in seconds."""


class Panel(Document):
    """Where and how a signal is best drawn."""

    section: str
    """Heading under which it stands: `tasks`, `queues`, `workers`, `self`."""
    kind: Literal["lines", "stat", "status", "heat"]
    joins: str
    """Id of the signal in whose panel it is drawn as well; empty for a panel of its own."""
    title: str
    """Title of a panel that several signals share; empty for the signal's own."""
    title_zh: str


class Signal(Document):
    """A quantity that rules, charts and Prometheus know under one name."""

    model_config = documented(EXAMPLE)

    id: str
    title: str
    title_zh: str
    unit: str
    by: list[str]
    """Labels its values are told apart by unless asked otherwise."""
    labels: list[str]
    """Labels it can be filtered and told apart by."""
    combine: Literal["sum", "max", "min"] | None
    """How series that share the labels asked for become one value; null where they are counted together."""
    window_s: float | None
    """Default window; null for quantities that have a value at each moment."""
    panel: Panel
    help: str
    help_zh: str
    thresholds: Thresholds | None
    promql: str
    """The same quantity asked of Prometheus."""


class SignalList(Document):
    """The catalogue of signals."""

    model_config = documented({"items": [EXAMPLE], "next": None})

    items: list[Signal]
    next: None
    """Always null: the list is whole."""


class SignalValue(Document):
    """The value now of one combination of labels."""

    labels: dict[str, str]
    value: float | None
    """Null when nothing was measured or too little."""
    samples: int
    """Measurements it rests on."""


class SignalSeries(Document):
    """The history of one combination of labels."""

    labels: dict[str, str]
    points: list[tuple[float, float | None]]
    """Pairs of time (seconds since 1970 UTC) and value, oldest first; null where nothing was measured."""


class SignalReading(Document):
    """A signal's values now and over a period."""

    model_config = documented(
        {
            "id": "task_failure_ratio",
            "title": "Failure ratio",
            "title_zh": "失败率",
            "unit": "ratio",
            "window_s": 300.0,
            "since": 1795204800.0,
            "until": 1795208400.0,
            "step_s": 60.0,
            "now": [{"labels": {"service": "orders", "task": "orders.take_payment"}, "value": 0.029, "samples": 412}],
            "series": [
                {
                    "labels": {"service": "orders", "task": "orders.take_payment"},
                    "points": [[1795208280.0, None], [1795208340.0, 0.031], [1795208400.0, 0.029]],
                }
            ],
        }
    )

    id: str
    title: str
    title_zh: str
    unit: str
    window_s: float | None
    """Window of every value; null for quantities that have a value at each moment."""
    since: float
    """Seconds since 1970 UTC."""
    until: float
    """Seconds since 1970 UTC."""
    step_s: float
    """Distance of the points."""
    now: list[SignalValue]
    series: list[SignalSeries]


def signal_document(signal: spec.Signal) -> Signal:
    """Render a signal as the API shows it."""
    thresholds = signal.thresholds
    return Signal(
        id=signal.id,
        title=signal.title,
        title_zh=signal.title_zh,
        unit=signal.unit,
        by=list(signal.by),
        labels=list(signal.labels),
        combine=signal.expression.combine.value if isinstance(signal.expression, spec.Latest) else None,
        window_s=signal.window_s,
        panel=Panel(
            section=signal.panel.section,
            kind=signal.panel.kind.value,
            joins=signal.panel.joins,
            title=signal.panel.title,
            title_zh=signal.panel.title_zh,
        ),
        help=signal.help,
        help_zh=signal.help_zh,
        thresholds=None
        if thresholds is None
        else Thresholds(
            op=thresholds.op.value,
            warning=thresholds.warning,
            critical=thresholds.critical,
            for_s=thresholds.for_s,
        ),
        promql=promql(signal),
    )
