"""Bounds of classic buckets as JSON."""

from huoyan.model import bounds as model
from huoyan.model.histogram import Histogram
from huoyan.server.api.schemas.base import Document, documented

ERRORS = {"bounds": [0.25, 1.0, 4.0], "p50": 0.12, "p95": 0.36, "p99": 0.98}


class Bounds(Document):
    """Upper bounds, and how far off the quantiles are that Prometheus computes from them, as shares of the true."""

    model_config = documented(ERRORS)

    bounds: list[float]
    """Upper bounds in seconds, rising, without infinity."""
    p50: float | None
    """Error of the median; null without observations, as the others."""
    p95: float | None
    p99: float | None


class BucketAdvice(Document):
    """Bounds used now and better ones, for what was observed."""

    model_config = documented(
        {"metric": "huoyan_task_duration_seconds", "observed": 5000, "present": ERRORS, "proposed": ERRORS}
    )

    metric: str
    """What was observed."""
    observed: int
    """How many observations there were."""
    present: Bounds
    proposed: Bounds


def advice(metric: str, histogram: Histogram, present: list[float], count: int | None) -> BucketAdvice:
    """Describe bounds used now and those proposed."""
    proposed = model.propose(histogram, present, count)
    return BucketAdvice(
        metric=metric,
        observed=histogram.count,
        present=_bounds(histogram, present),
        proposed=_bounds(histogram, proposed),
    )


def _bounds(histogram: Histogram, bounds: list[float]) -> Bounds:
    p50, p95, p99 = (model.error(histogram, bounds, q) for q in model.QUANTILES)
    return Bounds(bounds=bounds, p50=p50, p95=p95, p99=p99)
