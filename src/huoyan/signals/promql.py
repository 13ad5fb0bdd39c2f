"""A signal as PromQL: the expression for any window and labels, its recording rule and its default alerts.

What the embedded engine computes exactly, Prometheus estimates from scrapes: `increase` extrapolates to the edges of
the window, and quantiles from classic buckets are only as fine as the bounds. The rest means the same: an absent
numerator counts as zero, a division by zero and too few samples give no value.
"""

import json
from collections.abc import Mapping
from enum import StrEnum

from huoyan.signals.evaluate import Filter
from huoyan.signals.metric import MetricKind
from huoyan.signals.spec import (
    Compare,
    Difference,
    Expression,
    Increase,
    Latest,
    Leaf,
    Observations,
    Over,
    Quantile,
    Rate,
    Ratio,
    Scale,
    Signal,
    counted,
)

_SPECIAL = frozenset("\\.+*?()|[]{}^$")


class Buckets(StrEnum):
    """How Prometheus stores distributions."""

    CLASSIC = "classic"
    """`_bucket` series with `le` labels."""
    NATIVE = "native"
    """Native histograms (a feature flag of Prometheus before 3)."""


def promql(
    signal: Signal,
    window_s: float | None = None,
    where: Filter | None = None,
    by: tuple[str, ...] | None = None,
    *,
    min_samples: int | None = None,
    buckets: Buckets = Buckets.CLASSIC,
    patterns: Mapping[str, str] | None = None,
) -> str:
    """Write a signal as PromQL.

    Args:
        signal: What to write.
        window_s: Length of the window in seconds; the signal's own by default.
        where: Labels to filter by, to a value or to values any of which will do.
        by: Labels to tell series apart by; the signal's own by default.
        min_samples: Fewest samples for which there is a value; the signal's own by default.
        buckets: How Prometheus stores distributions; classic buckets by default.
        patterns: Labels to filter by regular expression, as they stand: `{"service": "$service"}` for Grafana.

    Returns:
        One expression, on one line.
    """
    matchers = {
        label: (values,) if isinstance(values, str) else tuple(values) for label, values in (where or {}).items()
    }
    window = signal.window_s if window_s is None else window_s
    writer = _Writer(duration(window or 0), matchers, dict(patterns or {}), buckets)
    labels = signal.by if by is None else tuple(by)
    text = writer.write(signal.expression, labels)
    fewest = signal.min_samples if min_samples is None else min_samples
    samples = _samples(signal.expression)
    if fewest > 0 and samples is not None:
        text = f"{writer.operand(signal.expression, labels)} and {writer.operand(samples, labels)} >= {fewest}"
    return text


def recording_rule_name(signal: Signal, window_s: float | None = None) -> str:
    """Return the name under which Prometheus keeps a signal.

    For instance `huoyan:task_failure_ratio:5m`, or `huoyan:queue_depth:latest` for what has no window.
    """
    window = signal.window_s if window_s is None else window_s
    return f"huoyan:{signal.id}:{'latest' if signal.window_s is None or window is None else duration(window)}"


def duration(seconds: float) -> str:
    """Write seconds as a PromQL duration: 300 → `5m`, 5400 → `1h30m`, 0.5 → `500ms`, 0 → `0s`."""
    rest = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def number(value: float) -> str:
    """Write a number without a needless fraction: 60.0 → `60`."""
    return str(int(value)) if value == int(value) else repr(value)


def quoted(text: str) -> str:
    """Write a PromQL string."""
    # PromQL strings have the escapes of Go, of which those that JSON writes are a part.
    return json.dumps(text, ensure_ascii=False)


class _Writer:
    def __init__(
        self, window: str, matchers: dict[str, tuple[str, ...]], patterns: dict[str, str], buckets: Buckets
    ) -> None:
        self._window = window
        self._matchers = matchers
        self._patterns = patterns
        self._buckets = buckets

    def write(self, expression: Expression, by: tuple[str, ...]) -> str:
        if isinstance(expression, Increase | Rate | Observations | Quantile | Latest):
            return self._leaf(expression, by)
        if isinstance(expression, Scale):
            return f"{self.operand(expression.expression, by)} * {number(expression.factor)}"
        if isinstance(expression, Compare):
            inner = self.operand(expression.expression, by)
            return f"{inner} {expression.op.value} bool {number(expression.constant)}"
        if isinstance(expression, Over):
            extra = tuple(label for label in expression.over if label not in by)
            return _aggregated(expression.combine.value, by, self.write(expression.expression, (*by, *extra)))
        if isinstance(expression, Difference):
            left = self._or_zero(expression.left, expression.right, by)
            right = self._or_zero(expression.right, expression.left, by)
            return f"{left} - {right}"
        below = self.operand(expression.denominator, by)
        return f"{self._or_zero(expression.numerator, expression.denominator, by)} / ({below} != 0)"

    def operand(self, expression: Expression, by: tuple[str, ...]) -> str:
        """Write an expression so that an operator may stand beside it."""
        text = self.write(expression, by)
        # Calls and aggregations bind tighter than anything.
        return (
            text if isinstance(expression, Increase | Rate | Observations | Quantile | Latest | Over) else f"({text})"
        )

    def _or_zero(self, expression: Expression, partner: Expression, by: tuple[str, ...]) -> str:
        """Write a quantity that is zero where only its partner was counted, as the embedded engine takes it."""
        text = self.operand(expression, by)
        return f"({text} or {self.operand(partner, by)} * 0)" if counted(expression) else text

    def _leaf(self, leaf: Leaf, by: tuple[str, ...]) -> str:
        name = leaf.metric.name
        selector = self._selector(leaf)
        if isinstance(leaf, Latest):
            return _aggregated(leaf.combine.value, by, f"{name}{selector}")
        if isinstance(leaf, Increase):
            return _aggregated("sum", by, f"increase({name}{selector}[{self._window}])")
        native = self._buckets is Buckets.NATIVE
        if isinstance(leaf, Rate):
            observed = leaf.metric.kind is MetricKind.DISTRIBUTION
            counter = f"{name}_count" if observed and not native else name
            rate = _aggregated("sum", by, f"rate({counter}{selector}[{self._window}])")
            return f"histogram_count({rate})" if observed and native else rate
        if isinstance(leaf, Observations):
            if native:
                grown = _aggregated("sum", by, f"increase({name}{selector}[{self._window}])")
                return f"histogram_count({grown})"
            return _aggregated("sum", by, f"increase({name}_count{selector}[{self._window}])")
        if native:
            rates = _aggregated("sum", by, f"rate({name}{selector}[{self._window}])")
        else:
            rates = _aggregated("sum", (*by, "le"), f"rate({name}_bucket{selector}[{self._window}])")
        return f"histogram_quantile({number(leaf.q)}, {rates})"

    def _selector(self, leaf: Leaf) -> str:
        """Write what must hold. PromQL joins matchers of the same label by "and", which is what is meant."""
        terms = [_matcher(label, values) for label, values in (*leaf.where, *self._matchers.items())]
        terms += [f'{label}=~"{pattern}"' for label, pattern in self._patterns.items()]
        return f"{{{', '.join(terms)}}}" if terms else ""


def _samples(expression: Expression) -> Expression | None:
    """Return what the engine counts as the samples of an expression; None where there is nothing to count."""
    if isinstance(expression, Increase | Observations):
        return expression
    if isinstance(expression, Rate):
        observed = expression.metric.kind is MetricKind.DISTRIBUTION
        return (Observations if observed else Increase)(expression.metric, expression.where)
    if isinstance(expression, Quantile):
        return Observations(expression.metric, expression.where)
    if isinstance(expression, Latest):
        return None
    if isinstance(expression, Ratio):
        return _samples(expression.denominator)
    if isinstance(expression, Difference):
        return _samples(expression.left)
    return _samples(expression.expression)


def _aggregated(operator: str, by: tuple[str, ...], inner: str) -> str:
    return f"{operator} by ({', '.join(by)}) ({inner})" if by else f"{operator}({inner})"


def _alternatives(values: tuple[str, ...]) -> list[str]:
    """Write values as regular expressions; a whole hundred of statuses as one: `5..`."""
    left = list(dict.fromkeys(values))
    written = []
    for digit in sorted({value[0] for value in left if len(value) == 3 and value.isdecimal()}):
        hundred = {f"{digit}{number:02}" for number in range(100)}
        if hundred.issubset(left):
            written.append(f"{digit}..")
            left = [value for value in left if value not in hundred]
    return [*written, *("".join(f"\\{c}" if c in _SPECIAL else c for c in value) for value in left)]


def _matcher(label: str, values: tuple[str, ...]) -> str:
    if len(values) == 1:
        return f"{label}={quoted(values[0])}"
    if not values:
        # No value will do, and a label that matches nothing but itself twice over cannot be.
        return f'{label}="", {label}!=""'
    pattern = "|".join(_alternatives(values))
    return f"{label}=~{quoted(pattern)}"
