"""What RQ's cron schedulers keep in Redis, read as data.

| key | what |
|---|---|
| `rq:cron_schedulers` | sorted set of the names of schedulers, by the time of their last heartbeat |
| `rq:cron_scheduler:{name}` | hash of one, which expires two minutes after its last heartbeat; `cron_jobs` is JSON |
| `rq:cron_jobs` | sorted set of the names of cron jobs, by when they enqueued last |
| `rq:cron_job:{name}:jobs` | sorted set of the ids of the jobs that one enqueued, by when |

A scheduler writes its hash when it begins and after it has enqueued, and beats its heart whenever it goes to sleep:
until something is due, for a minute at most. It knows cron expressions in UTC only.

Source: `rq.cron` and `rq.cron_job_registry` of RQ 2.12, https://python-rq.org/docs/cron. RQ 2.11 has all but
`rq:cron_jobs`. Earlier versions keep no record of what their cron jobs enqueued, and give them no names; those are left
alone, because every due time would seem missed.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from huoyan.model.schedule import ScheduleKind
from huoyan.server.ingest.rq_records import MAX_NAME_CHARACTERS, name, seconds, text

SCHEDULER_FIELDS = ("hostname", "pid", "created_at", "cron_jobs")
LONGEST_SLEEP_S = 60.0
"""A scheduler that has nothing to do looks again after this time, in seconds."""
MAX_CRON_JOBS = 1_000
_LATEST = 1e11
"""RQ writes the year 9999 for never."""


@dataclass(frozen=True, slots=True)
class CronRecord:
    """A cron job as its scheduler wrote it down; times in seconds since 1970 UTC.

    Args:
        id: What its schedule is called: its name, and with several of one name their number too.
        name: What RQ calls it, the function where the program gave no name.
        task: The function.
        expression: The cron expression, or the interval in seconds.
        result_ttl_s: For how long RQ keeps what succeeded, in seconds; with 0 it is gone at once.
    """

    id: str
    name: str
    task: str
    queue: str
    kind: ScheduleKind
    expression: str
    next_due_at: float | None = None
    last_run_at: float | None = None
    result_ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class SchedulerRecord:
    """A cron scheduler as it wrote itself down."""

    name: str
    host: str
    pid: int
    created_at: float | None
    jobs: tuple[CronRecord, ...]

    def sleeps_s(self, since: float) -> float:
        """Return for how long it sleeps that went to sleep at `since`, in seconds."""
        due = min((job.next_due_at for job in self.jobs if job.next_due_at is not None), default=math.inf)
        return min(max(due - since, 0.0), LONGEST_SLEEP_S)


def scheduler_of(scheduler: str, values: Sequence[bytes | None]) -> SchedulerRecord | None:
    """Return a scheduler from the values of `SCHEDULER_FIELDS`, None when there is no such hash."""
    host, pid, created_at, jobs = values
    if all(value is None for value in values):
        return None
    number = text(pid)
    return SchedulerRecord(
        scheduler,
        name(host),
        int(number) if number.isascii() and number.isdecimal() and len(number) < 11 else 0,
        _moment(text(created_at)),
        _jobs(jobs),
    )


def _jobs(written: bytes | None) -> tuple[CronRecord, ...]:
    try:
        entries = json.loads(written) if written else []
    except (ValueError, RecursionError):
        entries = []
    if not isinstance(entries, list):
        return ()
    taken: dict[str, int] = {}
    records = (_record(entry, taken) for entry in entries[:MAX_CRON_JOBS] if isinstance(entry, dict))
    return tuple(record for record in records if record is not None)


def _record(entry: dict[str, Any], taken: dict[str, int]) -> CronRecord | None:
    called = _written(entry.get("name"))
    cron = _written(entry.get("cron")).strip()
    interval = entry.get("interval")
    if not called:
        return None
    if cron:
        # RQ's croniter has seconds last, where others have them first: shown in words.
        kind, expression = ScheduleKind.CRON, f"{cron} (seconds last)" if len(cron.split()) == 6 else cron
    elif isinstance(interval, (int, float)) and not isinstance(interval, bool) and 0 < interval < _LATEST:
        kind, expression = ScheduleKind.INTERVAL, str(interval)
    else:
        return None
    taken[called] = taken.get(called, 0) + 1
    kept_s = entry.get("result_ttl")
    return CronRecord(
        called if taken[called] == 1 else f"{called} #{taken[called]}",
        called,
        _written(entry.get("func_name")),
        _written(entry.get("queue_name")),
        kind,
        expression,
        _moment(entry.get("next_enqueue_time")),
        _moment(entry.get("latest_enqueue_time")),
        kept_s if isinstance(kept_s, int) else None,
    )


def _written(value: object) -> str:
    """Return a text as it can be stored: JSON may hold half a surrogate pair."""
    return name(value.encode("utf-8", "replace")) if isinstance(value, str) else ""


def _moment(value: object) -> float | None:
    if not isinstance(value, str) or len(value) > MAX_NAME_CHARACTERS:
        return None
    try:
        at = seconds(value)
    except OverflowError:
        return None
    return at if at is not None and 0 < at < _LATEST else None
