"""Figures per service and endpoint, from the signals, so that every screen and rule shows the same number."""

from collections.abc import Mapping
from typing import Any

from huoyan.server.api.figures import Remembered
from huoyan.server.api.observed import observed_s
from huoyan.server.api.schemas.endpoint import Endpoint, Service
from huoyan.signals.catalogue import CATALOGUE
from huoyan.signals.evaluate import evaluate
from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS, HTTP_REQUESTS_IN_FLIGHT
from huoyan.signals.source import Key, Moments, Source

_BY_ENDPOINT = ("service", "method", "endpoint")
_BY_SERVICE = ("service",)
_TREND_POINTS = 30


def service_figures(source: Source, now: float, window_s: float, services: tuple[str, ...]) -> list[Service]:
    """Return the figures of every service that answered HTTP requests, the busiest first.

    Args:
        source: What the signals read.
        now: End of the window, seconds since 1970 UTC.
        window_s: Its length in seconds.
        services: Only these; empty: all.
    """
    where = _where(services)
    step_s = window_s / _TREND_POINTS
    trends = source.increase_range(HTTP_REQUESTS.name, where, _BY_SERVICE, now - window_s, now, step_s)
    moments = Remembered(source)
    observed = observed_s(source, HTTP_REQUESTS.name, where, now, window_s)
    endpoints: dict[str, int] = {}
    for service, _, _ in moments.increase(HTTP_REQUESTS.name, where, _BY_ENDPOINT, now - window_s, now):
        endpoints[service] = endpoints.get(service, 0) + 1
    in_flight = moments.gauge(HTTP_REQUESTS_IN_FLIGHT.name, where, _BY_SERVICE, now, "sum")
    found = [
        Service(
            service=key[0],
            endpoints=endpoints.get(key[0], 0),
            in_flight=round(in_flight[key]) if key in in_flight else None,
            trend_per_minute=[count * 60.0 / step_s for count in trends.get(key, [0.0] * _TREND_POINTS)],
            **figures,
        )
        for key, figures in _figures(moments, observed, now, window_s, where, _BY_SERVICE).items()
    ]
    return sorted(found, key=lambda one: (-one.requests, one.service))


def endpoint_figures(source: Source, now: float, window_s: float, services: tuple[str, ...]) -> list[Endpoint]:
    """Return the figures of every endpoint that was answered, those that took most time first; see above."""
    where = _where(services)
    observed = observed_s(source, HTTP_REQUESTS.name, where, now, window_s)
    found = [
        Endpoint(service=key[0], method=key[1], endpoint=key[2], **figures)
        for key, figures in _figures(Remembered(source), observed, now, window_s, where, _BY_ENDPOINT).items()
    ]
    return sorted(found, key=lambda one: (-one.total_s, one.service, one.endpoint, one.method))


def _where(services: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {"service": services} if services else {}


def _figures(
    source: Moments,
    observed: Mapping[str, float],
    now: float,
    window_s: float,
    where: dict[str, tuple[str, ...]],
    by: Key,
) -> dict[Key, dict[str, Any]]:
    answered = source.increase(HTTP_REQUESTS.name, where, by, now - window_s, now)
    taken = source.distribution(HTTP_REQUEST_DURATION.name, where, by, now - window_s, now)
    clients, servers, p50, p95, p99 = (
        _values(source, signal_id, now, window_s, where, by)
        for signal_id in (
            "http_client_error_ratio",
            "http_error_ratio",
            "http_latency_p50",
            "http_latency_p95",
            "http_latency_p99",
        )
    )
    return {
        key: {
            "requests": round(count),
            "requests_per_minute": count * 60.0 / observed.get(key[0], window_s),
            "client_error_ratio": clients.get(key),
            "server_error_ratio": servers.get(key),
            "p50_s": p50.get(key),
            "p95_s": p95.get(key),
            "p99_s": p99.get(key),
            "total_s": taken[key].sum if key in taken else 0.0,
        }
        for key, count in answered.items()
        if count > 0
    }


def _values(
    source: Moments, signal_id: str, now: float, window_s: float, where: dict[str, tuple[str, ...]], by: Key
) -> dict[Key, float]:
    """Return what is known of a signal; where there are fewer requests than it needs, nothing is."""
    measured = evaluate(CATALOGUE[signal_id], source, now, window_s=window_s, where=where, by=by)
    return {tuple(v.labels[label] for label in by): v.value for v in measured if v.value is not None}
