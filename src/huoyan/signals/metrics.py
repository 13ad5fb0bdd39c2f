"""Every metric that Huoyan names: what it counts, its labels, its unit and its help text, said here and nowhere else.

The exporter takes the help text from here, signals refer to these objects (a misspelt metric does not import), and the
reference page is generated from them. `closed` labels have a fixed set of values: the exporter shows all of them, even
at zero, because Prometheus cannot see the first increase of a series that did not exist before it.
"""

from collections.abc import Iterable

from huoyan.model.run import FINAL_STATES
from huoyan.signals.metric import Across, Endpoint, Metric, MetricKind

_TASK = ("service", "task", "queue")
_FINAL = tuple(sorted(state.value for state in FINAL_STATES))

TASK_RUNS = Metric(
    "huoyan_task_runs_total",
    MetricKind.COUNTER,
    "Runs that reached a final state.",
    (*_TASK, "state"),
    closed=(("state", _FINAL),),
)
TASK_DURATION = Metric(
    "huoyan_task_duration_seconds",
    MetricKind.DISTRIBUTION,
    "How long finished attempts took; state is the outcome of the attempt.",
    (*_TASK, "state"),
    "seconds",
)
TASK_WAIT = Metric(
    "huoyan_task_wait_seconds",
    MetricKind.DISTRIBUTION,
    "Time from being enqueued, or due when it had an ETA, to the first start of a run.",
    _TASK,
    "seconds",
)
TASK_FAILURES = Metric(
    "huoyan_task_failures_total",
    MetricKind.COUNTER,
    "Runs that failed, by type of the exception.",
    (*_TASK, "exception"),
)
TASK_RETRIES = Metric(
    "huoyan_task_retries_total", MetricKind.COUNTER, "Attempts that ended with the decision to try again.", _TASK
)
TASK_DUPLICATES = Metric(
    "huoyan_task_duplicates_total",
    MetricKind.COUNTER,
    "Attempts that began after their run had succeeded: it was executed twice.",
    _TASK,
)
TASKS_ENQUEUED = Metric("huoyan_tasks_enqueued_total", MetricKind.COUNTER, "Runs that producers asked for.", _TASK)
TASKS_ACTIVE = Metric("huoyan_tasks_active", MetricKind.GAUGE, "Runs being executed now.", _TASK)

TASKS_STUCK = Metric(
    "huoyan_tasks_stuck",
    MetricKind.GAUGE,
    "Runs being executed that owe more signs of life than they may; absent without any.",
    _TASK,
)

QUEUE_DEPTH = Metric(
    "huoyan_queue_depth",
    MetricKind.GAUGE,
    "Messages waiting in a queue, as its broker says; absent while the broker does not answer.",
    ("service", "queue"),
)
QUEUE_OLDEST_AGE = Metric(
    "huoyan_queue_oldest_age_seconds",
    MetricKind.GAUGE,
    "Age of the oldest message waiting in a queue; absent when unknown.",
    ("service", "queue"),
    "seconds",
)

LEDGER_DISCREPANCIES = Metric(
    "huoyan_ledger_discrepancies",
    MetricKind.GAUGE,
    "Runs found in the last 15 minutes to have vanished, or to have been executed again after success.",
    ("service", "queue", "kind"),
)

WORKER_UP = Metric(
    "huoyan_worker_up",
    MetricKind.GAUGE,
    "1 while a worker reports, 0 when it missed three reports; absent after an orderly end.",
    ("worker",),
)
WORKER_WEDGED = Metric(
    "huoyan_worker_wedged",
    MetricKind.GAUGE,
    "1 while a worker reports but starts nothing of what waits in its queues, 0 otherwise; absent while it is down.",
    ("worker",),
)
CLOCK_SKEW = Metric(
    "huoyan_clock_skew_seconds",
    MetricKind.GAUGE,
    "How far the clock of a worker is ahead of the server's.",
    ("worker",),
    "seconds",
)

ALERTS_FIRING = Metric("huoyan_alerts_firing", MetricKind.GAUGE, "Alerts firing now.", ("rule", "level"))
INCIDENTS_OPEN = Metric(
    "huoyan_incidents_open",
    MetricKind.GAUGE,
    "Incidents that are not resolved.",
    ("level",),
    closed=(("level", ("critical", "warning")),),
)

EVENTS_RECEIVED = Metric("huoyan_events_received_total", MetricKind.COUNTER, "Events received and stored.")
EVENTS_LOST = Metric(
    "huoyan_events_lost_total",
    MetricKind.COUNTER,
    "Events known to be lost: dropped by clients that could not send them, or by the server that could not store them.",
)
INGEST_LAG = Metric(
    "huoyan_ingest_lag_seconds",
    MetricKind.GAUGE,
    "Time from the receipt of the newest stored event to its being stored.",
    (),
    "seconds",
)
BLIND = Metric(
    "huoyan_blind",
    MetricKind.GAUGE,
    "1 while nothing can be heard from a source of events (a broker that is watched), 0 otherwise.",
    ("source",),
)
BUILD_INFO = Metric("huoyan_build_info", MetricKind.GAUGE, "Always 1; the version is the label.", ("version",))

SCHEDULE_MISSED = Metric(
    "huoyan_schedule_missed_total",
    MetricKind.COUNTER,
    "Due times of a schedule at which nothing started within its grace; schedule is service/id.",
    ("schedule",),
)
SCHEDULE_TOO_OFTEN = Metric(
    "huoyan_schedule_too_often_total",
    MetricKind.COUNTER,
    "Due times of a schedule at which its scheduler started more than one run.",
    ("schedule",),
)
SCHEDULE_TOO_FAST = Metric(
    "huoyan_schedule_too_fast_total",
    MetricKind.COUNTER,
    "Runs of a schedule that succeeded in less than a tenth of the time that they take at least.",
    ("schedule",),
)
SCHEDULER_DEAD = Metric(
    "huoyan_scheduler_dead",
    MetricKind.GAUGE,
    "1 while the process that keeps a schedule is down or lets due times pass, 0 while it does its work.",
    ("schedule",),
)
HEAL_ACTIONS = Metric(
    "huoyan_heal_actions_total",
    MetricKind.COUNTER,
    "Repairs that were carried out, by outcome.",
    ("action", "outcome"),
    endpoint=Endpoint.RESERVED,
)
BREAKER_STATE = Metric(
    "huoyan_breaker_state",
    MetricKind.GAUGE,
    "State of the circuit breaker of a dependency: 0 closed, 1 half open, 2 open.",
    ("dependency",),
    endpoint=Endpoint.RESERVED,
)

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
    "Mails that the mail server did not take.",
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

PROCESS_CPU = Metric(
    "huoyan_process_cpu_seconds_total",
    MetricKind.COUNTER,
    "CPU time that the process used, user and system.",
    ("worker",),
    endpoint=Endpoint.APPLICATION,
)
PROCESS_RSS = Metric(
    "huoyan_process_resident_memory_bytes",
    MetricKind.GAUGE,
    "Memory of the process that is in RAM.",
    ("worker",),
    "bytes",
    Endpoint.APPLICATION,
)
PROCESS_VMS = Metric(
    "huoyan_process_virtual_memory_bytes",
    MetricKind.GAUGE,
    "Address space of the process.",
    ("worker",),
    "bytes",
    Endpoint.APPLICATION,
)
PROCESS_OPEN_FILES = Metric(
    "huoyan_process_open_files",
    MetricKind.GAUGE,
    "Files, sockets and pipes that the process has open.",
    ("worker",),
    endpoint=Endpoint.APPLICATION,
)
PROCESS_THREADS = Metric(
    "huoyan_process_threads",
    MetricKind.GAUGE,
    "Threads of the process.",
    ("worker",),
    endpoint=Endpoint.APPLICATION,
)
EVENT_LOOP_LAG = Metric(
    "huoyan_event_loop_lag_seconds",
    MetricKind.DISTRIBUTION,
    "How much later than asked for the event loop called back.",
    ("worker",),
    "seconds",
    Endpoint.APPLICATION,
)
GC_COLLECTIONS = Metric(
    "huoyan_gc_collections_total",
    MetricKind.COUNTER,
    "Garbage collections of the process, by generation.",
    ("worker", "generation"),
    endpoint=Endpoint.APPLICATION,
)
GC_PAUSE = Metric(
    "huoyan_gc_pause_seconds",
    MetricKind.DISTRIBUTION,
    "How long the process stood still for each garbage collection.",
    ("worker",),
    "seconds",
    Endpoint.APPLICATION,
)
HOST_CPU = Metric(
    "huoyan_host_cpu_ratio",
    MetricKind.GAUGE,
    "Share of the host's CPU time that is used, 0 to 1.",
    ("host",),
    endpoint=Endpoint.APPLICATION,
    across=Across.MAX,
)
HOST_MEMORY = Metric(
    "huoyan_host_memory_ratio",
    MetricKind.GAUGE,
    "Share of the host's memory that is used, 0 to 1.",
    ("host",),
    endpoint=Endpoint.APPLICATION,
    across=Across.MAX,
)
HOST_DISK = Metric(
    "huoyan_host_disk_ratio",
    MetricKind.GAUGE,
    "Share of the disk that holds the working directory that is used, 0 to 1.",
    ("host",),
    endpoint=Endpoint.APPLICATION,
    across=Across.MAX,
)


def _index(metrics: Iterable[object]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics if isinstance(metric, Metric)}


METRICS: dict[str, Metric] = _index(list(globals().values()))
"""Every metric by its name, in the order of this page."""
