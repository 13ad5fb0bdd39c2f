"""What a metric is."""

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """How a metric behaves."""

    COUNTER = "counter"
    """Only ever grows; read as an increase over a window."""
    GAUGE = "gauge"
    """A value of this moment; absent when unknown, which is not the same as zero."""
    DISTRIBUTION = "distribution"
    """Observations in an exponential histogram; read as quantiles over a window."""


class Endpoint(StrEnum):
    """Where a metric can be scraped."""

    SERVER = "server"
    """`/metrics` of `huoyan serve`."""
    APPLICATION = "application"
    """`/metrics` of the application that `huoyan.watch` looks at."""
    RESERVED = "reserved"
    """Nowhere in this version; the name is kept for the meaning given."""


class Across(StrEnum):
    """What a gauge is when several processes of a service tell different values of it."""

    SUM = "sum"
    """All of them together: each holds a part, such as connections that are open."""
    MAX = "max"
    """The greatest: each knows the whole, and some know it earlier."""
    MIN = "min"
    """The smallest."""
    LAST = "last"
    """That of the process which set it last."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of the public contract.

    Args:
        name: Its name in Prometheus; counters end in `_total`, units are part of the name.
        labels: Label names, in the order in which label values are given everywhere.
        unit: `seconds`, `bytes`, or empty for plain numbers.
        closed: The last labels, where their values are known beforehand, with all those values.
        across: What a gauge is of several processes.
        folded: Labels that an application's own `/metrics` leaves out, where it adds up what differs in them alone.
    """

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    endpoint: Endpoint = Endpoint.SERVER
    closed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    across: Across = Across.SUM
    folded: tuple[str, ...] = ()

    @property
    def measured(self) -> bool:
        """Whether processes measure it and send it with their reports, rather than the server counting it."""
        return self.endpoint is Endpoint.APPLICATION

    @property
    def series_labels(self) -> tuple[str, ...]:
        """Labels by which signals tell its series apart: what processes measure has the service in front."""
        return ("service", *self.labels) if self.measured else self.labels

    def __post_init__(self) -> None:
        if self.labels[len(self.labels) - len(self.closed) :] != tuple(label for label, _ in self.closed):
            raise ValueError(f"{self.name}.closed: expected the last of {self.labels}, got {self.closed}")
