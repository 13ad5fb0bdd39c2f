"""What a scrape of the server shows: every metric with its series, before any format is chosen."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from operator import itemgetter
from typing import Protocol

from huoyan.model.histogram import Histogram
from huoyan.signals.exposition import Family, Key
from huoyan.signals.metric import Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.metrics.work import TASK_DUPLICATES, TASK_RETRIES, TASK_RUNS, TASKS_ACTIVE, TASKS_ENQUEUED


class Sample(Protocol):
    """One series: its labels and its value now. The collector's samples are such."""

    @property
    def labels(self) -> Mapping[str, str]:
        """Every label of the metric."""
        ...

    @property
    def value(self) -> float | Histogram:
        """A number, or the distribution so far."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """A sample made from what the server reads elsewhere."""

    value: float | Histogram
    labels: Mapping[str, str] = field(default_factory=dict)


def gather(samples: Mapping[str, Iterable[Sample]]) -> list[Family]:
    """Bring samples into the order of the vocabulary, with the series that are known to come at zero.

    Raises:
        ValueError: A metric that is not in the vocabulary, or a value of the wrong kind.
    """
    unknown = samples.keys() - METRICS.keys()
    if unknown:
        raise ValueError(f"samples: expected metrics of huoyan.signals.metrics, got {sorted(unknown)}")
    known = {name: list(series) for name, series in samples.items()}
    keys = {name: list(map(_KEYS[name], series)) for name, series in known.items()}
    families = []
    for name, metric in METRICS.items():
        found = keys.get(name, [])
        zeros = _unseen(metric, keys)
        if not found and not zeros:
            continue
        series = known.get(name, [])
        if metric.kind is MetricKind.DISTRIBUTION:
            distributions = [sample.value for sample in series if isinstance(sample.value, Histogram)]
            if len(distributions) != len(series):
                raise ValueError(f"{name}: expected distributions, got a number")
            families.append(Family(metric, found, distributions=distributions))
        else:
            numbers = [float(sample.value) for sample in series if not isinstance(sample.value, Histogram)]
            if len(numbers) != len(series):
                raise ValueError(f"{name}: expected numbers, got a distribution")
            families.append(Family(metric, [*found, *zeros], numbers=numbers + [0.0] * len(zeros)))
    return families


def _unseen(metric: Metric, keys: Mapping[str, list[Key]]) -> list[Key]:
    """Return the series that will come to be and are zero until then.

    A series that appears with its first failure has no increase that Prometheus could see. The tasks are known from the
    moment they are asked for or started, so the series are there before anything ends.
    """
    found = keys.get(metric.name)
    open_labels = len(metric.labels) - len(metric.closed)
    groups: set[Key] = set()
    if metric is TASK_RUNS or metric is TASK_RETRIES or metric is TASK_DUPLICATES:
        for source in (TASK_RUNS, TASKS_ENQUEUED, TASKS_ACTIVE):
            groups.update([key[:open_labels] for key in keys.get(source.name, ())])
    elif metric.closed and found is not None:
        # Where every label is closed, all series are known as soon as the metric is given at all.
        groups.update([key[:open_labels] for key in found] if open_labels else [()])
    endings = list(product(*(values for _, values in metric.closed)))
    expected = {group + ending for group in groups for ending in endings}
    return sorted(expected.difference(found or ()))


def _keyed(metric: Metric) -> Callable[[Sample], Key]:
    """Return a function from a sample to its label values, in the order of the metric's labels."""
    if not metric.labels:
        return lambda _: ()
    pick = itemgetter(*metric.labels)
    if len(metric.labels) == 1:
        return lambda sample: (pick(sample.labels),)
    return lambda sample: pick(sample.labels)


_KEYS = {name: _keyed(metric) for name, metric in METRICS.items()}
