"""Bounds of classic buckets as JSON."""

from huoyan.model import bounds as model
from huoyan.model.grid import upper_bound
from huoyan.model.histogram import Histogram
from huoyan.server.api.schemas.base import Document, documented

ERRORS = {
    "bounds": [0.25, 1.0, 4.0],
    "p50": 0.12,
    "p95": 0.36,
    "p99": 0.98,
    "computed_p50_s": 0.14,
    "computed_p95_s": 0.9,
    "computed_p99_s": 3.8,
}
_SHAPE_BUCKETS = 60


class Bounds(Document):
    """Upper bounds, and how far off the quantiles are that Prometheus computes from them, as shares of the true."""

    model_config = documented(ERRORS)

    bounds: list[float]
    """Upper bounds in seconds, rising, without infinity."""
    p50: float | None
    """Error of the median; null without observations, as the others."""
    p95: float | None
    p99: float | None
    computed_p50_s: float | None
    """The median that Prometheus computes from these bounds, in seconds; null without observations, as the others."""
    computed_p95_s: float | None
    computed_p99_s: float | None


class BucketAdvice(Document):
    """Bounds used now and better ones, for what was observed."""

    model_config = documented(
        {
            "metric": "huoyan_task_duration_seconds",
            "observed": 5000,
            "p50_s": 0.16,
            "p95_s": 0.66,
            "p99_s": 1.9,
            "shape": [[0.125, 0.25, 4200], [0.25, 0.5, 700], [1.0, 2.0, 100]],
            "present": ERRORS,
            "proposed": ERRORS,
        }
    )

    metric: str
    """What was observed."""
    observed: int
    """How many observations there were."""
    p50_s: float | None
    """The true median in seconds; null without observations, as the others."""
    p95_s: float | None
    p99_s: float | None
    shape: list[tuple[float, float, int]]
    """How the observations lie, on a logarithmic scale: above, up to (both in seconds), how many; zeros apart."""
    present: Bounds
    proposed: Bounds


def advice(metric: str, histogram: Histogram, present: list[float], count: int | None) -> BucketAdvice:
    """Describe bounds used now and those proposed."""
    proposed = model.propose(histogram, present, count)
    return BucketAdvice(
        metric=metric,
        observed=histogram.count,
        p50_s=histogram.quantile(0.5),
        p95_s=histogram.quantile(0.95),
        p99_s=histogram.quantile(0.99),
        shape=_shape(histogram),
        present=_bounds(histogram, present),
        proposed=_bounds(histogram, proposed),
    )


def _bounds(histogram: Histogram, bounds: list[float]) -> Bounds:
    p50, p95, p99 = (model.error(histogram, bounds, q) for q in model.QUANTILES)
    computed = [model.computed(histogram, bounds, q) for q in model.QUANTILES]
    return Bounds(
        bounds=bounds,
        p50=p50,
        p95=p95,
        p99=p99,
        computed_p50_s=computed[0],
        computed_p95_s=computed[1],
        computed_p99_s=computed[2],
    )


def _shape(histogram: Histogram) -> list[tuple[float, float, int]]:
    coarse = histogram.copy()
    while len(coarse.buckets) > _SHAPE_BUCKETS and coarse.schema > 0:
        coarse.downscale(coarse.schema - 1)
    return [
        (upper_bound(index - 1, coarse.schema), upper_bound(index, coarse.schema), coarse.buckets[index])
        for index in sorted(coarse.buckets)
    ]
