"""What an application waits for: databases, Redis, other services, the mail server."""

from huoyan.signals.metric import Metric
from huoyan.signals.metrics.application import (
    DB_POOL_IN_USE,
    DB_POOL_WAIT,
    DB_QUERY_DURATION,
    DB_QUERY_ERRORS,
    HTTP_CLIENT_REQUEST_DURATION,
    REDIS_COMMAND_DURATION,
    REDIS_COMMAND_ERRORS,
    SMTP_SEND_DURATION,
    SMTP_SEND_ERRORS,
)
from huoyan.signals.spec import (
    Expression,
    Increase,
    Latest,
    Observations,
    Panel,
    Quantile,
    Rate,
    Ratio,
    Scale,
    Signal,
    Unit,
    where,
)

_SECTION = "dependencies"
_TABLES = ("service", "operation", "table", "target")
_COMMANDS = ("service", "command", "target")
_FAILED = ("error", *(str(status) for status in range(500, 600)))
_GOOD = tuple(str(status) for status in range(200, 400))


def _slow(
    name: str, metric: Metric, q: float, by: tuple[str, ...], title: str, title_zh: str, panel: Panel | None = None
) -> Signal:
    percentile = f"P{q * 100:g}"
    return Signal(
        id=f"{name}_{percentile.lower()}",
        title=f"{percentile} {title}",
        title_zh=f"{percentile} {title_zh}",
        help=f"{q * 100:g} % took at most this long: {metric.help[:1].lower()}{metric.help[1:]}",
        help_zh=f"{q * 100:g}% 的{title_zh}不超过该值。",
        unit=Unit.SECONDS,
        by=by,
        expression=Quantile(q, metric),
        panel=Panel(_SECTION) if panel is None else panel,
        window_s=60,
        min_samples=1,
    )


def _share(
    name: str, expression: Expression, by: tuple[str, ...], titles: tuple[str, str], helps: tuple[str, str]
) -> Signal:
    return Signal(
        id=name,
        title=titles[0],
        title_zh=titles[1],
        help=helps[0],
        help_zh=helps[1],
        unit=Unit.RATIO,
        by=by,
        expression=expression,
        panel=Panel(_SECTION),
        window_s=60,
        min_samples=1,
    )


def _calls(name: str, metric: Metric, by: tuple[str, ...], titles: tuple[str, str], helps: tuple[str, str]) -> Signal:
    return Signal(
        id=f"{name}_per_minute",
        title=titles[0],
        title_zh=titles[1],
        help=helps[0],
        help_zh=helps[1],
        unit=Unit.PER_MINUTE,
        by=by,
        expression=Scale(Rate(metric), 60.0),
        panel=Panel(_SECTION),
        window_s=60,
    )


DEPENDENCY_SIGNALS = (
    _calls(
        "db_queries",
        DB_QUERY_DURATION,
        _TABLES,
        ("Queries per minute", "每分钟查询数"),
        ("Database statements, per minute.", "每分钟的数据库语句数。"),
    ),
    _calls(
        "redis_commands",
        REDIS_COMMAND_DURATION,
        _COMMANDS,
        ("Redis commands per minute", "每分钟 Redis 命令数"),
        ("Redis commands, those that wait on purpose apart, per minute.", "每分钟的 Redis 命令数（不含主动等待的）。"),
    ),
    _calls(
        "http_client_requests",
        HTTP_CLIENT_REQUEST_DURATION,
        ("service", "host"),
        ("Outbound requests per minute", "每分钟出站请求数"),
        ("Requests to other services, per minute.", "每分钟对其他服务的请求数。"),
    ),
    _calls(
        "smtp_mails",
        SMTP_SEND_DURATION,
        ("service", "host"),
        ("Mails per minute", "每分钟邮件数"),
        ("Mails handed to mail servers, per minute.", "每分钟递交给邮件服务器的邮件数。"),
    ),
    _slow(
        "db_query",
        DB_QUERY_DURATION,
        0.95,
        _TABLES,
        "query time",
        "查询耗时",
        Panel(_SECTION, title="Query time", title_zh="查询耗时"),
    ),
    _slow(
        "db_query", DB_QUERY_DURATION, 0.99, _TABLES, "query time", "查询耗时", Panel(_SECTION, joins="db_query_p95")
    ),
    _share(
        "db_error_ratio",
        Ratio(Increase(DB_QUERY_ERRORS), Observations(DB_QUERY_DURATION)),
        _TABLES,
        ("Query errors", "查询错误率"),
        ("Share of the database statements that ended with an error.", "以错误告终的数据库语句比例。"),
    ),
    _slow("db_pool_wait", DB_POOL_WAIT, 0.95, ("service", "pool"), "wait for a connection", "连接等待时间"),
    Signal(
        id="db_pool_in_use",
        title="Connections in use",
        title_zh="使用中的连接",
        help="Connections of database pools that are lent out at this moment.",
        help_zh="此刻借出的数据库连接数。",
        unit=Unit.COUNT,
        by=("service", "pool"),
        expression=Latest(DB_POOL_IN_USE),
        panel=Panel(_SECTION),
    ),
    _slow("redis", REDIS_COMMAND_DURATION, 0.95, _COMMANDS, "Redis command time", "Redis 命令耗时"),
    _share(
        "redis_error_ratio",
        Ratio(Increase(REDIS_COMMAND_ERRORS), Observations(REDIS_COMMAND_DURATION)),
        _COMMANDS,
        ("Redis errors", "Redis 错误率"),
        ("Share of the Redis commands that ended with an error.", "以错误告终的 Redis 命令比例。"),
    ),
    _slow(
        "http_client", HTTP_CLIENT_REQUEST_DURATION, 0.95, ("service", "host"), "outbound request time", "出站请求耗时"
    ),
    _share(
        "http_client_success_ratio",
        Ratio(
            Observations(HTTP_CLIENT_REQUEST_DURATION, where(http_status=_GOOD)),
            Observations(HTTP_CLIENT_REQUEST_DURATION),
        ),
        ("service", "host"),
        ("Outbound success", "出站成功率"),
        (
            "Share of the requests to other services that were answered with a status from 200 to 399.",
            "以 2xx 或 3xx 应答的出站请求比例。",
        ),
    ),
    _share(
        "http_client_failure_ratio",
        Ratio(
            Observations(HTTP_CLIENT_REQUEST_DURATION, where(http_status=_FAILED)),
            Observations(HTTP_CLIENT_REQUEST_DURATION),
        ),
        ("service", "host"),
        ("Outbound failures", "出站失败率"),
        (
            "Share of the requests to other services that got no answer, or one of 500 and above.",
            "没有应答或以 5xx 应答的出站请求比例。",
        ),
    ),
    _slow("smtp", SMTP_SEND_DURATION, 0.95, ("service", "host"), "mail hand-over", "邮件递交耗时"),
    _share(
        "smtp_error_ratio",
        Ratio(Increase(SMTP_SEND_ERRORS), Observations(SMTP_SEND_DURATION)),
        ("service", "host"),
        ("Mail errors", "邮件错误率"),
        ("Share of the mails that the mail server did not take.", "邮件服务器未接收的邮件比例。"),
    ),
)
