"""The rules that apply when none are configured.

They are meant to be silent where all is well and to speak within seconds where something breaks. Thresholds and times
are those that the signals declare, the same that `huoyan deploy rules` writes for Prometheus. Only the two about
failures have their own: they look at shorter windows, so that people hear of the beginning and of the end soon.
"""

from collections.abc import Mapping
from typing import Any

from huoyan.server.alert.rules import Rule, parse_rules

# As they would be written in huoyan.toml: what applies by default is what a reader can copy and change.
DEFAULTS: tuple[Mapping[str, Any], ...] = (
    {
        # Something broke just now: most of what ran in the last minute failed. A share, not a number, so that a busy
        # service whose runs fail now and then stays quiet; five runs at least, so that one failure of one run does too.
        "name": "task-failure-burst",
        "signal": "task_failure_ratio",
        "op": ">",
        "threshold": 0.5,
        "window": "1m",
        "min_samples": 5,
        "level": "critical",
        "group": "task-failures",
        "annotations": {"summary": "More than half of the runs of the last minute failed."},
    },
    {
        # Something fails more than it should, and goes on doing so. It shares its incident with the burst.
        "name": "task-failures",
        "signal": "task_failure_ratio",
        "op": ">",
        "threshold": 0.2,
        "window": "2m",
        "for": "30s",
        "min_samples": 5,
        "level": "warning",
        "group": "task-failures",
        "annotations": {"summary": "More than a fifth of the runs of the last two minutes failed."},
    },
    {
        "name": "task-wait",
        "signal": "task_wait_p95",
        "min_samples": 5,
        "annotations": {"summary": "Runs wait long for a worker: too few workers, or workers that hang."},
    },
    {
        "name": "queue-oldest-age",
        "signal": "queue_oldest_age",
        "annotations": {"summary": "A message waits long: nothing takes from this queue, or not enough."},
    },
    {
        # One alert for each worker, one incident for all of them: a machine takes its workers down together.
        "name": "worker-down",
        "signal": "workers_down",
        "by": ["worker"],
        "annotations": {"summary": "The worker missed three reports in a row and did not say goodbye."},
    },
    {
        "name": "worker-wedged",
        "signal": "workers_wedged",
        "by": ["worker"],
        "annotations": {"summary": "The worker reports but starts nothing, although something waits in its queues."},
    },
    {
        "name": "task-stuck",
        "signal": "task_stuck",
        "annotations": {"summary": "A run promised signs of life and gives none: it hangs, or its process does."},
    },
    {
        "name": "task-duplicates",
        "signal": "task_duplicates",
        "annotations": {"summary": "A run was executed again after it had succeeded: what it does was done twice."},
    },
    {
        "name": "ledger-discrepancy",
        "signal": "ledger_discrepancy",
        "annotations": {"summary": "Runs vanished, or were executed again after they had succeeded."},
    },
    {
        "name": "schedule-missed",
        "signal": "schedule_missed",
        "by": ["schedule"],
        "annotations": {"summary": "A scheduled run did not start in time: its scheduler is gone, frozen or too busy."},
    },
    {
        "name": "http-latency",
        "signal": "http_latency_p99",
        "annotations": {"summary": "One request in a hundred takes longer than a second."},
    },
    {
        "name": "http-errors",
        "signal": "http_error_ratio",
        "level": "critical",
        "annotations": {"summary": "More than 1 % of the requests are answered with a server error."},
    },
    {
        "name": "event-loop-lag",
        "signal": "event_loop_lag_p99",
        "annotations": {"summary": "Something blocks the event loop: every request and task of the process waits."},
    },
    {
        "name": "host-disk",
        "signal": "host_disk",
        "annotations": {"summary": "A disk is nearly full."},
    },
    {
        "name": "schedule-too-often",
        "signal": "schedule_too_often",
        "by": ["schedule"],
        "annotations": {"summary": "A schedule starts more runs than it has due times."},
    },
    {
        "name": "schedule-too-fast",
        "signal": "schedule_too_fast",
        "by": ["schedule"],
        "annotations": {"summary": "A scheduled run took a fraction of its usual time: did it do its work?"},
    },
    {
        # One scheduler keeps many schedules: one alert for each of them, one incident for all.
        "name": "scheduler-dead",
        "signal": "scheduler_dead",
        "by": ["schedule"],
        "annotations": {"summary": "The process that keeps the schedule is down or stands still: nothing will start."},
    },
    {
        "name": "events-lost",
        "signal": "events_lost",
        "annotations": {"summary": "Figures may be too low: events were lost on their way."},
    },
    {
        "name": "ingest-lag",
        "signal": "ingest_lag",
        "annotations": {"summary": "Events wait long before they are stored: the server cannot keep up."},
    },
)


def default_rules() -> tuple[Rule, ...]:
    """Return the rules that apply when none are configured."""
    return parse_rules(DEFAULTS, "default rules")
