"""Metrics of what applications measure: requests, what they call, and what they declare themselves."""

from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind

HTTP_REQUESTS = Metric(
    "http_requests_total",
    MetricKind.COUNTER,
    "HTTP requests answered; endpoint is the route template, never the path.",
    ("method", "endpoint", "http_status"),
    endpoint=Endpoint.APPLICATION,
)
HTTP_REQUEST_DURATION = Metric(
    "http_request_duration_seconds",
    MetricKind.DISTRIBUTION,
    "How long HTTP requests took; endpoint is the route template, never the path.",
    ("method", "endpoint"),
    "seconds",
    Endpoint.APPLICATION,
)
HTTP_REQUESTS_IN_FLIGHT = Metric(
    "http_requests_in_flight",
    MetricKind.GAUGE,
    "HTTP requests being answered now.",
    endpoint=Endpoint.APPLICATION,
)
HTTP_WEBSOCKETS = Metric(
    "http_websockets_total",
    MetricKind.COUNTER,
    "WebSocket connections accepted; they are no requests.",
    ("endpoint",),
    endpoint=Endpoint.APPLICATION,
)
HTTP_WEBSOCKETS_OPEN = Metric(
    "http_websockets_open",
    MetricKind.GAUGE,
    "WebSocket connections that are open now.",
    ("endpoint",),
    endpoint=Endpoint.APPLICATION,
)
DB_QUERY_DURATION = Metric(
    "db_query_duration_seconds",
    MetricKind.DISTRIBUTION,
    "How long database statements took; a server tells databases apart by target: host:port/name, or the file's name.",
    ("operation", "table", "target"),
    "seconds",
    Endpoint.APPLICATION,
    folded=("target",),
)
DB_QUERY_ERRORS = Metric(
    "db_query_errors_total",
    MetricKind.COUNTER,
    "Database statements that ended with an error.",
    ("operation", "table", "target"),
    endpoint=Endpoint.APPLICATION,
    folded=("target",),
)
DB_POOL_WAIT = Metric(
    "db_pool_wait_seconds",
    MetricKind.DISTRIBUTION,
    "How long a connection of the pool was waited for.",
    ("pool",),
    "seconds",
    Endpoint.APPLICATION,
)
DB_POOL_IN_USE = Metric(
    "db_pool_connections_in_use",
    MetricKind.GAUGE,
    "Connections of the pool that are lent out now.",
    ("pool",),
    endpoint=Endpoint.APPLICATION,
)
REDIS_COMMAND_DURATION = Metric(
    "redis_command_duration_seconds",
    MetricKind.DISTRIBUTION,
    "How long Redis commands took; a server tells them apart by target: host:port/number of the database.",
    ("command", "target"),
    "seconds",
    Endpoint.APPLICATION,
    folded=("target",),
)
REDIS_COMMAND_ERRORS = Metric(
    "redis_command_errors_total",
    MetricKind.COUNTER,
    "Redis commands that ended with an error.",
    ("command", "target"),
    endpoint=Endpoint.APPLICATION,
    folded=("target",),
)
HTTP_CLIENT_REQUEST_DURATION = Metric(
    "http_client_request_duration_seconds",
    MetricKind.DISTRIBUTION,
    "How long requests to other services took; http_status is `error` where there was no answer.",
    ("method", "host", "http_status"),
    "seconds",
    Endpoint.APPLICATION,
)
SMTP_SEND_DURATION = Metric(
    "smtp_send_duration_seconds",
    MetricKind.DISTRIBUTION,
    "How long it took to hand a mail to the mail server.",
    ("host",),
    "seconds",
    Endpoint.APPLICATION,
)
SMTP_SEND_ERRORS = Metric(
    "smtp_send_errors_total",
    MetricKind.COUNTER,
    "Mails that the mail server did not take, and connections to it, TLS and logins that failed.",
    ("host",),
    endpoint=Endpoint.APPLICATION,
)
HTTP_CLIENT_ERRORS = Metric(
    "http_client_errors_total",
    MetricKind.COUNTER,
    "Requests to other services that got no answer, or one of 500 and above; error is the exception or the status.",
    ("method", "host", "error"),
    endpoint=Endpoint.APPLICATION,
)
DB_POOL_SIZE = Metric(
    "db_pool_connections_max",
    MetricKind.GAUGE,
    "Connections that the pool opens at most; absent when it has no limit.",
    ("pool",),
    endpoint=Endpoint.APPLICATION,
)
DEPENDENCY_LAST_SUCCESS = Metric(
    "dependency_last_success_timestamp_seconds",
    MetricKind.GAUGE,
    "When a database, Redis, service or mail server last answered without an error, in seconds since 1970 UTC.",
    ("component", "target"),
    "seconds",
    Endpoint.APPLICATION,
    across=Across.MAX,
)
OPERATIONS = Metric(
    "huoyan_operations_total",
    MetricKind.COUNTER,
    "Named operations of the application that ended.",
    ("operation", "outcome"),
    endpoint=Endpoint.APPLICATION,
    closed=(("outcome", ("failure", "success")),),
)
OPERATION_DURATION = Metric(
    "huoyan_operation_duration_seconds",
    MetricKind.DISTRIBUTION,
    "How long named operations took, however they ended.",
    ("operation",),
    "seconds",
    Endpoint.APPLICATION,
)
FUNNEL_ENTERED = Metric(
    "huoyan_funnel_entered_total",
    MetricKind.COUNTER,
    "Keys that entered a funnel, counted at every one of its steps; position is the number of the step.",
    ("funnel", "step", "position"),
    endpoint=Endpoint.APPLICATION,
)
FUNNEL_REACHED = Metric(
    "huoyan_funnel_reached_total",
    MetricKind.COUNTER,
    "Keys that reached a step of a funnel, each once.",
    ("funnel", "step", "position"),
    endpoint=Endpoint.APPLICATION,
)
BACKLOG = Metric(
    "huoyan_backlog",
    MetricKind.GAUGE,
    "What waits in a backlog that the application reads; absent while it cannot be read.",
    ("backlog",),
    endpoint=Endpoint.APPLICATION,
    # Every process that reads a backlog reads the same one.
    across=Across.MAX,
)
