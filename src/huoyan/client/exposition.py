"""`/metrics` of the application: collectors for prometheus-client, and the ASGI application that serves a registry."""

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from huoyan.client import process
from huoyan.client.guard import warn
from huoyan.client.measurements import Counter, Gauge, Measurements
from huoyan.client.measurements import Distribution as Observed
from huoyan.client.metrics import TASK_BOUNDS_S, Distribution, Key, Metrics
from huoyan.signals.metrics import MetricKind

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

    from huoyan.signals.metrics import Metric

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_T = TypeVar("_T")
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class TaskCollector:
    """huoyan_task_* of the client of this process, when no server speaks for it."""

    def describe(self) -> Iterable["Family"]:
        """Return the families without samples."""
        return _tasks(Metrics())

    def collect(self) -> Iterable["Family"]:
        """Return the families as they are now; none while a server exposes them."""
        client = process.existing()
        return _tasks(client.metrics) if client is not None and client.metrics.expose_tasks else ()


class MeasurementCollector:
    """What the client of this process measures besides, and what the application declares itself."""

    def describe(self) -> Iterable["Family"]:
        """Return the families of the public contract without samples; the application declares others later."""
        return _measured(Measurements())

    def collect(self) -> Iterable["Family"]:
        """Return the families as they are now, with what has to be read for it."""
        client = process.existing()
        if client is None:
            return ()
        client.outbox.read()
        return _measured(client.measurements)


_registered: "weakref.WeakKeyDictionary[CollectorRegistry, None]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def register(registry: "CollectorRegistry | None" = None) -> "CollectorRegistry":
    """Add Huoyan's metrics to a registry, once.

    Args:
        registry: prometheus-client's default registry when None.

    Returns:
        The registry. Names that something else in it already uses are left to that, with a warning.
    """
    from prometheus_client import REGISTRY

    chosen = REGISTRY if registry is None else registry
    with _lock:
        if chosen not in _registered:
            _registered[chosen] = None
            for collector in (TaskCollector(), MeasurementCollector()):
                try:
                    chosen.register(collector)
                except ValueError as error:
                    warn(
                        f"register-{type(collector).__name__}",
                        "huoyan: metrics of the same names are there already, Huoyan leaves them alone: %s",
                        error,
                    )
    return chosen


def metrics_app(registry: "CollectorRegistry | None" = None) -> "MetricsApp":
    """Return an ASGI application that answers every GET with the metrics of a registry in Prometheus' format.

    Args:
        registry: prometheus-client's default registry when None, which also holds what the application counts itself.
    """
    return MetricsApp(registry)


class MetricsApp:
    """Serves a registry. An object and not a function, because that is how routers tell an ASGI application."""

    def __init__(self, registry: "CollectorRegistry | None" = None) -> None:
        self._given = registry
        self._registry: CollectorRegistry | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"}:
            await _answer(send, 405, [(b"allow", b"GET, HEAD")], b"")
        elif scope["type"] == "http":
            if self._registry is None:
                self._registry = register(self._given)
            accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
            # Off the event loop: ten thousand series take tens of milliseconds.
            content_type, body = await in_thread(render, self._registry, accept)
            headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
            await _answer(send, 200, headers, b"" if scope["method"] == "HEAD" else body)


def render(registry: "CollectorRegistry", accept: str = "") -> tuple[str, bytes]:
    """Return the content type and body of a scrape, in the format that `accept` asks for."""
    from prometheus_client.exposition import choose_encoder

    encoder, content_type = choose_encoder(accept)
    return content_type, encoder(registry)


async def in_thread(function: Callable[..., _T], *args: Any) -> _T:
    """Call a function in a thread of the event loop; where the loop is not asyncio's, call it at once."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function(*args)
    return await asyncio.to_thread(function, *args)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_COUNT_BOUNDS = tuple(4.0**power for power in range(16))
"""Bounds for what is neither seconds nor otherwise known: 1 to a thousand million, each four times the one before."""


def _measured(measurements: Measurements) -> Iterator["Family"]:
    from huoyan.signals.metrics import METRICS, Endpoint

    families = {family.metric.name: family for family in measurements.families()}
    # Those of the contract are there before anything is measured, so that nothing else takes their names.
    contract = [metric for metric in METRICS.values() if metric.endpoint is Endpoint.APPLICATION]
    own = [family.metric for name, family in families.items() if name not in METRICS]
    for metric in (*contract, *own):
        family = families.get(metric.name)
        series = list(family.series()) if family is not None else []
        counts = [(key, one.value) for key, one in series if isinstance(one, Counter)]
        values = [(key, one.value) for key, one in series if isinstance(one, Gauge) and one.value is not None]
        observed = [(key, one) for key, one in series if isinstance(one, Observed)]
        if metric.kind is MetricKind.COUNTER:
            yield _counter(metric, counts)
        elif metric.kind is MetricKind.GAUGE:
            yield _gauge(metric, values)
        else:
            yield _exponential(metric, observed)


def _exponential(metric: "Metric", values: Iterable[tuple[Key, Observed]]) -> "Family":
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    written: Callable[[float], str] = floatToGoString
    bounds = TASK_BOUNDS_S if metric.unit == "seconds" else _COUNT_BOUNDS
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for key, observed in values:
        histogram = observed.histogram()
        counts = zip((*bounds, inf), (*histogram.classic(bounds), histogram.count), strict=True)
        buckets = [(written(bound), float(count)) for bound, count in counts]
        family.add_metric(key, buckets, histogram.sum)
    return family


def _tasks(metrics: Metrics) -> Iterator["Family"]:
    from huoyan.signals import metrics as declared

    tasks = metrics.tasks
    for metric, counter in (
        (declared.TASK_RUNS, tasks.runs),
        (declared.TASK_FAILURES, tasks.failures),
        (declared.TASK_RETRIES, tasks.retries),
        (declared.TASKS_ENQUEUED, tasks.enqueued),
    ):
        yield _counter(metric, [(key, float(count)) for key, count in list(counter.items())])
    yield _histogram(declared.TASK_DURATION, list(tasks.duration.items()))
    yield _histogram(declared.TASK_WAIT, list(tasks.wait.items()))
    yield _gauge(declared.TASKS_ACTIVE, [(key, float(count)) for key, count in tasks.active().items()])


def _counter(metric: "Metric", values: Iterable[tuple[Key, float]]) -> "Family":
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _gauge(metric: "Metric", values: Iterable[tuple[Key, float]]) -> "Family":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for key, value in values:
        family.add_metric(key, value)
    return family


def _histogram(metric: "Metric", values: Iterable[tuple[Key, Distribution]]) -> "Family":
    from prometheus_client.core import HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    written: Callable[[float], str] = floatToGoString
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for key, distribution in values:
        buckets = [(written(bound), float(count)) for bound, count in distribution.cumulative()]
        family.add_metric(key, buckets, distribution.total)
    return family
