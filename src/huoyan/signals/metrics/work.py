"""Metrics of runs, queues, workers and schedules."""

from huoyan.model.run import FINAL_STATES
from huoyan.signals.metric import Metric, MetricKind

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
