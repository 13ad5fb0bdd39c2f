"""`/metrics` of the application: what Huoyan counts and what else is in a registry, and the applications that serve it.

What Huoyan counts is written by its own writers, which remember the label strings between scrapes; prometheus-client
writes the rest. Whoever reads the registry with prometheus-client alone gets the same figures through a collector.
"""

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from huoyan.client import process, routes, totals
from huoyan.client.access import access
from huoyan.client.guard import warn
from huoyan.client.settings import Settings
from huoyan.model.grid import DEFAULT_CLASSIC_BOUNDS_S
from huoyan.model.histogram import Histogram
from huoyan.signals.exposition import Buckets, Family, Format, Key, ProtobufWriter, TextWriter, negotiate
from huoyan.signals.metric import Metric, MetricKind
from huoyan.signals.metrics import METRICS
from huoyan.signals.metrics.work import TASK_FAILURES, TASK_RETRIES, TASKS_ENQUEUED

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as ClientMetric

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_T = TypeVar("_T")
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_REQUEST_BOUNDS_S = tuple(bound for bound in DEFAULT_CLASSIC_BOUNDS_S if bound <= 64)
_COUNT_BOUNDS = tuple(4.0**power for power in range(16))
"""Bounds for what is neither seconds nor otherwise known: 1 to a thousand million, each four times the one before."""


_SUFFIXES = {
    MetricKind.COUNTER: ("", "_total", "_created"),
    MetricKind.GAUGE: ("",),
    MetricKind.DISTRIBUTION: ("", "_bucket", "_count", "_sum", "_created"),
}
"""What a metric adds to its name on the page, as prometheus-client reserves it."""


def _bounds(metric: Metric) -> tuple[float, ...] | None:
    if metric.unit != "seconds":
        return _COUNT_BOUNDS
    client = process.existing()
    if client is not None and client.settings.buckets:
        return client.settings.buckets
    return _REQUEST_BOUNDS_S if metric.name.startswith("http_") else None


_TASK_METRICS = frozenset(
    {
        *(
            name
            for name in METRICS
            if name.startswith(("huoyan_task_runs", "huoyan_task_duration", "huoyan_task_wait"))
        ),
        *(metric.name for metric in (TASK_FAILURES, TASK_RETRIES, TASKS_ENQUEUED)),
        "huoyan_tasks_active",
    }
)


_GIVEN_SERVICE = "service_"
_FOLDED = {
    metric.name: replace(metric, labels=tuple(label for label in metric.labels if label not in metric.folded))
    for metric in METRICS.values()
    if metric.folded
}


def _group(metric: Metric) -> str:
    if metric.name in _TASK_METRICS:
        return "tasks"
    return "requests" if metric.name.startswith("http_request") else "measurements"


class Collector:
    """One group of what is counted, for prometheus-client.

    Args:
        group: `requests`, `tasks` or `measurements`: names that something else uses already cost one group only.
        registry: The registry that it is in.
    """

    def __init__(self, group: str, registry: "CollectorRegistry") -> None:
        self.group = group
        self._registry = registry

    def describe(self) -> Iterable["ClientMetric"]:
        """Return the families without samples, by which the registry recognises names that are taken."""
        declared = [metric for metric in METRICS.values() if metric.measured or metric.name in _TASK_METRICS]
        return [_converted(_folded(Family(metric, []))) for metric in declared if _group(metric) == self.group]

    def collect(self) -> Iterator["ClientMetric"]:
        """Return the families as they are now; nothing while `render` writes them itself."""
        if getattr(_apart, "on", False):
            return
        for family in _families({self.group}, self._registry):
            yield _converted(family)


def _families(groups: Container[str], registry: "CollectorRegistry") -> list[Family]:
    counted = [family for family in totals.families() if _group(family.metric) in groups]
    found = [_folded(family) for family in _without_taken(counted, registry)]
    names = {family.metric.name for family in found}
    # Those of the contract are there before anything is measured, so that nothing else takes their names.
    missing = [metric for metric in METRICS.values() if metric.measured and metric.name not in names]
    return found + [_folded(Family(metric, [])) for metric in missing if _group(metric) in groups]


def _without_taken(families: Iterable[Family], registry: "CollectorRegistry") -> Iterator[Family]:
    """Leave out the application's own metrics whose names belong to something else: a name twice is no valid page.

    They are not registered by name: what the application declares in the registry later would be refused.
    """
    owners: Mapping[str, object] = getattr(registry, "_names_to_collectors", {})
    seen: set[str] = set()
    for family in families:
        metric = family.metric
        base = metric.name.removesuffix("_total") if metric.kind is MetricKind.COUNTER else metric.name
        if metric.name not in METRICS:
            names = [f"{base}{suffix}" for suffix in _SUFFIXES[metric.kind]]
            if base in seen or any(not isinstance(owners[name], Collector) for name in names if name in owners):
                warn(
                    f"taken-{metric.name}",
                    "huoyan: %s is not on /metrics: the name is taken by another metric there",
                    metric.name,
                )
                continue
        seen.add(base)
        yield family


def _folded(family: Family) -> Family:
    """Return a family as the public contract has it: without the labels that only a server is told."""
    metric = _FOLDED.get(family.metric.name)
    if metric is None:
        labels = family.metric.labels
        if _GIVEN_SERVICE in labels:
            # A label of the application's own; only at a server another one has its name.
            own = tuple("service" if label == _GIVEN_SERVICE else label for label in labels)
            return replace(family, metric=replace(family.metric, labels=own))
        return family
    kept = [family.metric.labels.index(label) for label in metric.labels]
    numbers: dict[Key, float] = {}
    distributions: dict[Key, Histogram] = {}
    shared: set[Key] = set()
    for key, number in zip(family.keys, family.numbers, strict=False):
        short = tuple(key[place] for place in kept)
        numbers[short] = numbers.get(short, 0.0) + number
    for key, histogram in zip(family.keys, family.distributions, strict=False):
        short = tuple(key[place] for place in kept)
        if short not in distributions:
            distributions[short] = histogram
            continue
        if short not in shared:
            shared.add(short)
            distributions[short] = distributions[short].copy()
        distributions[short].merge(histogram)
    return Family(metric, list(numbers or distributions), list(numbers.values()), list(distributions.values()))


class _Registered(NamedTuple):
    """What a registry has of Huoyan.

    Args:
        groups: Those that its names left room for.
        text: Remembers label strings, as `protobuf` does.
    """

    groups: frozenset[str]
    text: TextWriter
    protobuf: ProtobufWriter


_apart = threading.local()
_registered: "weakref.WeakKeyDictionary[CollectorRegistry, _Registered]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()
_writing = threading.Lock()
_buckets = Buckets(chosen=_bounds)


def register(registry: "CollectorRegistry | None" = None) -> "CollectorRegistry":
    """Add Huoyan's metrics to a registry, once.

    Args:
        registry: prometheus-client's default registry when None.

    Returns:
        The registry. Names that something else in it already uses are left to that, with a warning.
    """
    from prometheus_client import REGISTRY

    chosen = REGISTRY if registry is None else registry
    totals.want()
    with _lock:
        if chosen not in _registered:
            groups = []
            for group in ("requests", "tasks", "measurements"):
                try:
                    chosen.register(Collector(group, chosen))
                    groups.append(group)
                except ValueError as error:
                    warn(
                        f"register-{group}",
                        "huoyan: metrics of the same names are there already, Huoyan leaves them alone: %s",
                        error,
                    )
            _registered[chosen] = _Registered(frozenset(groups), TextWriter(_buckets), ProtobufWriter(_buckets))
    return chosen


def render(registry: "CollectorRegistry", accept: str = "") -> tuple[str, bytes]:
    """Return the content type and body of a scrape, in the format that `accept` asks for."""
    from prometheus_client import generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    known = _registered.get(registry)
    chosen = negotiate(accept)
    families = _families(known.groups, registry) if known is not None else []
    _apart.on = known is not None
    rest: list[ClientMetric] = []
    written = b""
    try:
        if chosen is Format.PROTOBUF:
            rest = list(registry.collect())
        elif chosen is Format.OPENMETRICS:
            written = generate_openmetrics(registry)  # type: ignore[no-untyped-call]
        else:
            written = generate_latest(registry)
    finally:
        _apart.on = False
    if known is None:
        known = _Registered(frozenset(), TextWriter(_buckets), ProtobufWriter(_buckets))
    with _writing:  # The writers remember what they wrote; two scrapes at once must not change it together.
        if chosen is Format.PROTOBUF:
            return chosen.value, known.protobuf.write(families, rest)
        return chosen.value, known.text.write(families, (), chosen).removesuffix(b"# EOF\n") + written


def _converted(family: Family) -> "ClientMetric":
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
    from prometheus_client.utils import floatToGoString

    metric = family.metric
    if metric.kind is MetricKind.DISTRIBUTION:
        to_text: Callable[[float], str] = floatToGoString
        made = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        bounds = [to_text(bound) for bound in _buckets.bounds(metric)]
        for key, histogram in zip(family.keys, family.distributions, strict=True):
            counts = [float(count) for count in histogram.classic(_buckets.bounds(metric))]
            made.add_metric(key, list(zip(bounds, counts, strict=True)), histogram.sum)
        return made
    if metric.kind is MetricKind.COUNTER:
        plain: Any = CounterMetricFamily(metric.name.removesuffix("_total"), metric.help, labels=metric.labels)
    else:
        plain = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for key, value in zip(family.keys, family.numbers, strict=True):
        plain.add_metric(key, value)
    return plain  # type: ignore[no-any-return]


class Answer(NamedTuple):
    """What a scraper gets.

    Args:
        status: The HTTP status.
        headers: Names and values.
        body: The metrics, empty when it is refused.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def answer(registry: "CollectorRegistry", method: str, accept: str, authorization: str) -> Answer:
    """Answer a scrape: who may, how often, and in the format that is asked for.

    Args:
        registry: What is served.
        method: `GET` or `HEAD`; others are refused.
        accept: The header of that name, empty when there is none.
        authorization: Likewise.
    """
    client = process.existing()
    settings = Settings() if client is None else client.settings
    if not settings.metrics:
        return _empty(404)
    if method not in {"GET", "HEAD"}:
        return _empty(405, ("Allow", "GET, HEAD"))
    refusal = access(settings).refusal(authorization)
    if refusal is not None:
        return _empty(refusal.status, refusal.header)
    content_type, body = render(registry, accept)
    headers = [("Content-Type", content_type), ("Cache-Control", "no-store"), ("Content-Length", str(len(body)))]
    return Answer(200, headers, b"" if method == "HEAD" else body)


def _empty(status: int, *headers: tuple[str, str]) -> Answer:
    return Answer(status, [*headers, ("Content-Length", "0")], b"")


def metrics_app(registry: "CollectorRegistry | None" = None) -> "MetricsApp":
    """Return an ASGI application that answers every GET with the metrics of a registry in Prometheus' format.

    Args:
        registry: prometheus-client's default registry when None, which also holds what the application counts itself.

    Raises:
        ConfigurationError: The registry is none.
    """
    return MetricsApp(routes.registry({"registry": registry}))


class MetricsApp:
    """Serves a registry. An object and not a function, because that is how routers tell an ASGI application."""

    def __init__(self, registry: "CollectorRegistry | None" = None) -> None:
        self._given = registry
        self._registry: CollectorRegistry | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            if self._registry is None:
                self._registry = register(self._given)
            headers = scope["headers"]
            accept = b",".join(value for name, value in headers if name == b"accept").decode("latin-1")
            presented = b"".join(value for name, value in headers if name == b"authorization").decode("latin-1")
            # Off the event loop: ten thousand series take milliseconds.
            status, given, body = await in_thread(answer, self._registry, scope["method"], accept, presented)
            encoded = [(name.lower().encode(), value.encode()) for name, value in given]
            await send({"type": "http.response.start", "status": status, "headers": encoded})
            await send({"type": "http.response.body", "body": body})


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
