"""A source that read whole intervals once and answers from them for one step after the other."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from huoyan.model.histogram import Histogram
from huoyan.signals.source import Combination, Conditions, Key, Source

_Name = tuple[str, tuple[tuple[str, tuple[str, ...]], ...], tuple[str, ...], str]


class Chart:
    """The moments of a chart. It answers for the end of the step it stands at, whatever times it is asked for.

    Args:
        source: What it reads from, once for each metric.
        since: Begin of the first step, seconds since 1970 UTC.
        until: End of the last step, seconds since 1970 UTC.
        step_s: Length of a step in seconds.
        steps: Steps that a window covers, this one and those before it.

    Attributes:
        step: Index of the step it stands at, 0 for the first.
    """

    def __init__(self, source: Source, since: float, until: float, step_s: float, steps: int) -> None:
        self._source = source
        self._since = since
        self._until = until
        self._step_s = step_s
        self._steps = steps
        # The window of the first point reaches back before the chart begins.
        self._reach = since - (steps - 1) * step_s
        self._totals: dict[_Name, dict[Key, list[float]]] = {}
        self._observed: dict[_Name, Mapping[Key, Sequence[Histogram | None]]] = {}
        self._gauges: dict[_Name, Mapping[Key, Sequence[float | None]]] = {}
        self.step = 0

    def increase(
        self,
        metric: str,
        where: Conditions,
        by: tuple[str, ...],
        since: float,  # noqa: ARG002
        until: float,  # noqa: ARG002
    ) -> dict[Key, float]:
        """Return by how much a counter grew in the window that ends with this step."""
        name = _name(metric, where, by)
        totals = self._totals.get(name)
        if totals is None:
            grown = self._source.increase_range(metric, where, by, self._reach, self._until, self._step_s)
            totals = {key: list(accumulate(values, initial=0.0)) for key, values in grown.items()}
            self._totals[name] = totals
        begin, end = self.step, self.step + self._steps
        return {key: values[end] - values[begin] for key, values in totals.items()}

    def distribution(
        self,
        metric: str,
        where: Conditions,
        by: tuple[str, ...],
        since: float,  # noqa: ARG002
        until: float,  # noqa: ARG002
    ) -> dict[Key, Histogram]:
        """Return the observations of the window that ends with this step."""
        name = _name(metric, where, by)
        observed = self._observed.get(name)
        if observed is None:
            observed = self._source.distribution_range(metric, where, by, self._reach, self._until, self._step_s)
            self._observed[name] = observed
        answer: dict[Key, Histogram] = {}
        for key, steps in observed.items():
            parts = [part for part in steps[self.step : self.step + self._steps] if part is not None]
            if parts:
                answer[key] = _merged(parts)
        return answer

    def gauge(
        self,
        metric: str,
        where: Conditions,
        by: tuple[str, ...],
        at: float,  # noqa: ARG002
        combine: Combination,
    ) -> dict[Key, float]:
        """Return the value known at the end of this step."""
        name = _name(metric, where, by, combine)
        gauges = self._gauges.get(name)
        if gauges is None:
            gauges = self._source.gauge_range(metric, where, by, self._since, self._until, self._step_s, combine)
            self._gauges[name] = gauges
        known = {key: values[self.step] for key, values in gauges.items()}
        return {key: value for key, value in known.items() if value is not None}


def _name(metric: str, where: Conditions, by: tuple[str, ...], combine: str = "") -> _Name:
    return (metric, tuple(where.items()), by, combine)


def _merged(parts: list[Histogram]) -> Histogram:
    if len(parts) == 1:
        return parts[0]
    whole = parts[0].copy()
    for part in parts[1:]:
        whole.merge(part)
    return whole
