"""Services that answer HTTP and their endpoints, as JSON."""

from huoyan.server.api.schemas.base import Document, documented

_FIGURES = {
    "requests": 1240,
    "requests_per_minute": 20.7,
    "client_error_ratio": 0.012,
    "server_error_ratio": 0.002,
    "p50_s": 0.011,
    "p95_s": 0.34,
    "p99_s": 3.1,
    "total_s": 96.7,
}
SERVICE = {
    "service": "orders",
    "endpoints": 7,
    "in_flight": 3,
    "trend_per_minute": [*([18.0] * 10), *([20.0] * 10), *([24.0] * 10)],
    **_FIGURES,
}
ENDPOINT = {"service": "orders", "method": "GET", "endpoint": "/orders", **_FIGURES}


class HttpFigures(Document):
    """How much, how well and how fast was answered over the window; what was not measured is null."""

    requests: int
    requests_per_minute: float
    """Over the part of the window in which the service was observed, a minute at least."""
    client_error_ratio: float | None
    """Share answered with a status from 400 to 499."""
    server_error_ratio: float | None
    """Share answered with a status from 500 on; null below 20 requests."""
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    """Null below 20 requests: the slowest of a handful is no percentile."""
    total_s: float
    """Time of all requests together: what a shorter one would save."""


class Service(HttpFigures):
    """A service that answered HTTP requests in the window."""

    model_config = documented(SERVICE)

    service: str
    endpoints: int
    """How many different methods and route templates it answered."""
    in_flight: int | None
    """Requests that are being answered now."""
    trend_per_minute: list[float]
    """Requests per minute in each thirtieth of the window, oldest first."""


class ServiceList(Document):
    """Every service that answered in the window, the busiest first."""

    model_config = documented({"items": [SERVICE], "next": None, "window_s": 3600.0})

    items: list[Service]
    next: None
    """Always null: the list is whole."""
    window_s: float


class Endpoint(HttpFigures):
    """A method and route template of a service."""

    model_config = documented(ENDPOINT)

    service: str
    method: str
    endpoint: str
    """The route template."""


class EndpointList(Document):
    """Every endpoint that answered in the window, those that took most time together first."""

    model_config = documented({"items": [ENDPOINT], "next": None, "window_s": 3600.0})

    items: list[Endpoint]
    next: None
    """Always null: the list is whole."""
    window_s: float
