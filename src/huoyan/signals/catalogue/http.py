"""What a web application answers: how much, how fast, how well."""

from huoyan.signals.metrics.application import HTTP_REQUEST_DURATION, HTTP_REQUESTS, HTTP_REQUESTS_IN_FLIGHT
from huoyan.signals.spec import (
    Increase,
    Latest,
    Op,
    Panel,
    PanelKind,
    Quantile,
    Rate,
    Ratio,
    Scale,
    Signal,
    Thresholds,
    Unit,
    where,
)

_BY = ("service", "endpoint")
_LATENCIES = "http_latency_p95"
CLIENT_ERRORS = tuple(str(status) for status in range(400, 500))
SERVER_ERRORS = tuple(str(status) for status in range(500, 600))


def _latency(
    q: float, panel: Panel, reading: str, reading_zh: str, *, thresholds: Thresholds | None = None, fewest: int = 1
) -> Signal:
    name = f"p{q * 100:g}"
    return Signal(
        id=f"http_latency_{name}",
        title=f"{name.upper()} latency",
        title_zh=f"{name.upper()} 延迟",
        help=f"{reading} requests took at most this long.",
        help_zh=f"{reading_zh}请求耗时不超过该值。",
        unit=Unit.SECONDS,
        by=_BY,
        expression=Quantile(q, HTTP_REQUEST_DURATION),
        panel=panel,
        window_s=60,
        min_samples=fewest,
        thresholds=thresholds,
    )


HTTP_SIGNALS = (
    Signal(
        id="http_requests_per_minute",
        title="Requests per minute",
        title_zh="每分钟请求数",
        help="HTTP requests answered, per minute.",
        help_zh="每分钟应答的 HTTP 请求数。",
        unit=Unit.PER_MINUTE,
        by=_BY,
        expression=Scale(Rate(HTTP_REQUESTS), 60.0),
        panel=Panel("http"),
        window_s=60,
    ),
    _latency(0.5, Panel("http", joins=_LATENCIES), "Half of the", "一半"),
    _latency(0.95, Panel("http", title="Latency", title_zh="延迟"), "95 % of the", "95% 的"),
    _latency(
        0.99,
        Panel("http", joins=_LATENCIES),
        "99 % of the",
        "99% 的",
        thresholds=Thresholds(Op.ABOVE, warning=1.0, for_s=120),
        # The slowest of a handful is no percentile.
        fewest=20,
    ),
    Signal(
        id="http_error_ratio",
        title="Server errors",
        title_zh="服务端错误率",
        help="Share of the requests that were answered with a status from 500 on.",
        help_zh="以 5xx 状态应答的请求比例。",
        unit=Unit.RATIO,
        by=_BY,
        expression=Ratio(Increase(HTTP_REQUESTS, where(http_status=SERVER_ERRORS)), Increase(HTTP_REQUESTS)),
        panel=Panel("http", PanelKind.HEAT),
        window_s=60,
        min_samples=20,
        thresholds=Thresholds(Op.ABOVE, critical=0.01, for_s=60),
    ),
    Signal(
        id="http_client_error_ratio",
        title="Client errors",
        title_zh="客户端错误率",
        help="Share of the requests that were answered with a status from 400 to 499.",
        help_zh="以 4xx 状态应答的请求比例。",
        unit=Unit.RATIO,
        by=_BY,
        expression=Ratio(Increase(HTTP_REQUESTS, where(http_status=CLIENT_ERRORS)), Increase(HTTP_REQUESTS)),
        panel=Panel("http"),
        window_s=60,
        min_samples=1,
    ),
    Signal(
        id="http_in_flight",
        title="Requests in flight",
        title_zh="处理中的请求",
        help="HTTP requests being answered at this moment.",
        help_zh="此刻正在处理的 HTTP 请求数。",
        unit=Unit.COUNT,
        by=("service",),
        expression=Latest(HTTP_REQUESTS_IN_FLIGHT),
        panel=Panel("http"),
    ),
)
