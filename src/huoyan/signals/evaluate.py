"""The embedded engine: the value of a signal now, or over time, computed from a `Source`.

Pure over its source, so alerting, the API and the page all see the same number, and a test can hold it against
Prometheus.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from huoyan.errors import InvalidQuery
from huoyan.signals.chart import Chart
from huoyan.signals.metric import MetricKind
from huoyan.signals.source import Conditions, Key, Moments, Source
from huoyan.signals.spec import (
    Combine,
    Compare,
    Expression,
    Increase,
    Latest,
    Observations,
    Over,
    Quantile,
    Rate,
    Ratio,
    Scale,
    Signal,
    Where,
    counted,
)

MAX_POINTS = 11_000
"""Most points one series may have, the same as Prometheus allows."""

Filter = Mapping[str, str | Sequence[str]]
"""What a caller filters by: label to a value, or to values any of which will do."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of one group.

    `value` is None when unknown: no data, fewer than the minimum of samples, division by zero.
    """

    labels: dict[str, str]
    value: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class Series:
    """The values of one group over time, as (seconds since 1970 UTC, value or None)."""

    labels: dict[str, str]
    points: list[tuple[float, float | None]]


def evaluate(
    signal: Signal,
    source: Moments,
    at: float,
    window_s: float | None = None,
    where: Filter | None = None,
    by: tuple[str, ...] | None = None,
    min_samples: int | None = None,
) -> list[Value]:
    """Compute a signal at one moment.

    Args:
        signal: What to compute.
        source: Where the data is.
        at: End of the window, seconds since 1970 UTC.
        window_s: Length of the window in seconds; the signal's own by default. Gauges have none and ignore it.
        where: Labels to filter by.
        by: Labels to tell values apart by; the signal's own by default. Empty gives exactly one value.
        min_samples: Fewest samples for which there is a value; the signal's own by default.

    Returns:
        One value for each group, ordered by labels.

    Raises:
        InvalidQuery: A label that the signal does not have, or a window that is not positive.
    """
    conditions, labels = _checked(signal, where, by)
    moment = _Moment(source, at, _window(signal, window_s), conditions)
    fewest = signal.min_samples if min_samples is None else min_samples
    measured = _measure(signal.expression, labels, moment)
    if not labels and not measured:
        measured = {(): _Measured(_absent(signal.expression), 0)}
    return [
        Value(dict(zip(labels, key, strict=True)), m.value if m.samples >= fewest else None, m.samples)
        for key, m in sorted(measured.items())
    ]


def evaluate_range(
    signal: Signal,
    source: Source,
    since: float,
    until: float,
    step_s: float,
    where: Filter | None = None,
    by: tuple[str, ...] | None = None,
    window_s: float | None = None,
    min_samples: int | None = None,
) -> list[Series]:
    """Compute a signal over time, with one query to the source for each metric it reads.

    Points stand at the end of each step, the last one at `until`; a first step that is not whole is left out. A point
    covers the signal's window, rounded to whole steps and at least one step, so that nothing falls between two points.

    Args:
        signal: What to compute.
        source: Where the data is.
        since: Begin, seconds since 1970 UTC.
        until: End, seconds since 1970 UTC; align it to the step for charts that do not wobble.
        step_s: Distance of the points in seconds.
        where: Labels to filter by.
        by: Labels to tell series apart by; the signal's own by default.
        window_s: Length of the window in seconds; the signal's own by default.
        min_samples: Fewest samples for which there is a value; the signal's own by default.

    Returns:
        One series for each group, ordered by labels, all with the same times.

    Raises:
        InvalidQuery: A label that the signal does not have, a step or interval that is not positive, too many points.
    """
    _, labels = _checked(signal, where, by)
    if step_s <= 0:
        raise InvalidQuery(f"step_s: expected a positive number of seconds, got {step_s!r}")
    if until < since:
        raise InvalidQuery(f"until: expected a time after since, got {until!r} which is before {since!r}")
    # The small share keeps 300.00000001 / 60 from losing a point to rounding.
    count = int((until - since) / step_s + 1e-6)
    if count > MAX_POINTS:
        raise InvalidQuery(f"step_s: expected at most {MAX_POINTS} points, got {count}; ask for a larger step")
    window = _window(signal, window_s)
    steps = max(1, round(window / step_s))
    chart = Chart(source, until - count * step_s, until, step_s, steps)
    found: dict[Key, list[float | None]] = {}
    times = [until - (count - 1 - index) * step_s for index in range(count)]
    for index, at in enumerate(times):
        chart.step = index
        for value in evaluate(signal, chart, at, steps * step_s, where, labels, min_samples):
            key = tuple(value.labels.values())
            found.setdefault(key, [None] * count)[index] = value.value
    return [
        Series(dict(zip(labels, key, strict=True)), list(zip(times, values, strict=True)))
        for key, values in sorted(found.items())
    ]


@dataclass(frozen=True, slots=True)
class _Measured:
    value: float | None
    samples: int


@dataclass(frozen=True, slots=True)
class _Moment:
    source: Moments
    at: float
    window_s: float
    conditions: Where


_COMBINED: dict[Combine, Callable[[list[float]], float]] = {Combine.SUM: sum, Combine.MAX: max, Combine.MIN: min}


def _measure(expression: Expression, by: tuple[str, ...], moment: _Moment) -> dict[Key, _Measured]:
    """Compute an expression for each group. Groups without data are left out; `_absent` says what they are."""
    if isinstance(expression, Increase | Rate | Observations | Quantile | Latest):
        return _read(expression, by, moment)
    if isinstance(expression, Scale):
        return {
            key: _Measured(None if m.value is None else m.value * expression.factor, m.samples)
            for key, m in _measure(expression.expression, by, moment).items()
        }
    if isinstance(expression, Compare):
        return {
            key: _Measured(
                None if m.value is None else float(expression.op.holds(m.value, expression.constant)), m.samples
            )
            for key, m in _measure(expression.expression, by, moment).items()
        }
    if isinstance(expression, Over):
        return _combined(expression, by, moment)
    if isinstance(expression, Ratio):
        return _paired(expression.numerator, expression.denominator, by, moment, ratio=True)
    return _paired(expression.left, expression.right, by, moment, ratio=False)


def _read(
    leaf: Increase | Rate | Observations | Quantile | Latest, by: tuple[str, ...], moment: _Moment
) -> dict[Key, _Measured]:
    source, at = moment.source, moment.at
    since = at - moment.window_s
    where = _both(leaf.where, moment.conditions)
    name = leaf.metric.name
    if isinstance(leaf, Increase):
        grown = source.increase(name, where, by, since, at)
        return {key: _Measured(value, round(value)) for key, value in grown.items()}
    if isinstance(leaf, Rate):
        grown = (
            {key: float(each.count) for key, each in source.distribution(name, where, by, since, at).items()}
            if leaf.metric.kind is MetricKind.DISTRIBUTION
            else source.increase(name, where, by, since, at)
        )
        return {key: _Measured(value / moment.window_s, round(value)) for key, value in grown.items()}
    if isinstance(leaf, Latest):
        return {
            key: _Measured(value, 1) for key, value in source.gauge(name, where, by, at, leaf.combine.value).items()
        }
    observed = source.distribution(name, where, by, since, at)
    if isinstance(leaf, Observations):
        return {key: _Measured(float(histogram.count), histogram.count) for key, histogram in observed.items()}
    return {key: _Measured(histogram.quantile(leaf.q), histogram.count) for key, histogram in observed.items()}


def _combined(expression: Over, by: tuple[str, ...], moment: _Moment) -> dict[Key, _Measured]:
    extra = tuple(label for label in expression.over if label not in by)
    values: dict[Key, list[float]] = {}
    samples: Counter[Key] = Counter()
    for key, m in _measure(expression.expression, (*by, *extra), moment).items():
        if m.value is not None:
            group = key[: len(by)]
            values.setdefault(group, []).append(m.value)
            samples[group] += m.samples
    return {key: _Measured(_COMBINED[expression.combine](found), samples[key]) for key, found in values.items()}


def _paired(
    left: Expression, right: Expression, by: tuple[str, ...], moment: _Moment, *, ratio: bool
) -> dict[Key, _Measured]:
    lefts = _measure(left, by, moment)
    rights = _measure(right, by, moment)
    no_left = _Measured(_absent(left), 0)
    no_right = _Measured(_absent(right), 0)
    answer: dict[Key, _Measured] = {}
    for key in {**lefts, **rights}:
        one = lefts.get(key, no_left)
        other = rights.get(key, no_right)
        value: float | None = None
        if one.value is not None and other.value is not None:
            if not ratio:
                value = one.value - other.value
            elif other.value != 0:
                value = one.value / other.value
        # A share is as trustworthy as the number of things it is a share of.
        answer[key] = _Measured(value, other.samples if ratio else one.samples)
    return answer


def _absent(expression: Expression) -> float | None:
    return 0.0 if counted(expression) else None


def _both(left: Where, right: Where) -> Conditions:
    conditions: dict[str, tuple[str, ...]] = dict(left)
    for label, values in right:
        earlier = conditions.get(label)
        conditions[label] = values if earlier is None else tuple(value for value in earlier if value in values)
    return conditions


def _checked(signal: Signal, where: Filter | None, by: Iterable[str] | None) -> tuple[Where, tuple[str, ...]]:
    labels = signal.by if by is None else tuple(dict.fromkeys(by))
    conditions = tuple(
        (label, (values,) if isinstance(values, str) else tuple(values)) for label, values in (where or {}).items()
    )
    for label in (*labels, *(label for label, _ in conditions)):
        if label not in signal.labels:
            known = ", ".join(signal.labels) or "none"
            raise InvalidQuery(f"{signal.id}: expected labels among {known}, got {label!r}")
    return conditions, labels


def _window(signal: Signal, window_s: float | None) -> float:
    window = signal.window_s if window_s is None else window_s
    if signal.window_s is None or window is None:
        return 0.0
    if window <= 0:
        raise InvalidQuery(f"window_s: expected a positive number of seconds, got {window!r}")
    return window
