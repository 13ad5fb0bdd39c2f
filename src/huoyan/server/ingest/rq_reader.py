"""Reads RQ's keys in Redis, many at a time: each method is a round trip or a few."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from huoyan.server.ingest.rq_cron_records import SCHEDULER_FIELDS, SchedulerRecord, scheduler_of
from huoyan.server.ingest.rq_records import (
    JOB_FIELDS,
    Job,
    Outcome,
    exception_of,
    function_of_data,
    function_of_description,
    job_of,
    name,
    outcome_of,
    seconds,
    text,
)

REGISTRIES = ("finished", "failed", "canceled", "scheduled", "deferred")
MAX_QUEUES = 1_000
MAX_EXECUTING = 10_000
MAX_RESULT_BYTES = 1024 * 1024
MAX_DATA_BYTES = 1024 * 1024
MAX_CRON_SCHEDULERS = 500
MAX_CRON_NAMES = 1_000
MAX_CRON_BYTES = 4 * 1024 * 1024
MAX_CRON_HISTORY = 1_000
_OUTCOMES = 10
_LATEST = 1e11
_ATOMIC = 200

Place = tuple[str, float]
"""Id of a job and its score in the registry; in a queue's list the score is 0."""


@dataclass(slots=True)
class QueueState:
    """A queue at one moment.

    Args:
        depth: How many jobs wait.
        first: The job that is next.
        last: The job that came last.
        executing: Job id → RQ's name of the execution that goes on.
        registries: Name → (how many, the last entry and its score).
    """

    depth: int = 0
    first: str = ""
    last: str = ""
    executing: dict[str, str] = field(default_factory=dict)
    registries: dict[str, tuple[int, str, float]] = field(default_factory=dict)

    def mark(self, listing: str) -> object:
        """Return what changes when something was added to a listing, `queue` or the name of a registry."""
        return (self.depth, self.first, self.last) if listing == "queue" else self.registries.get(listing)


class RqReader:
    """Reads one Redis.

    Args:
        client: Gives bytes, not text.

    Every method raises redis.RedisError or OSError when the Redis does not answer.
    """

    def __init__(self, client: "redis.Redis") -> None:
        self._client = client

    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of all queues and of all workers."""
        pipe = self._pipe()
        pipe.smembers("rq:queues")
        pipe.smembers("rq:workers")
        queues, workers = _answers(pipe)
        return (
            sorted(text(key).removeprefix("rq:queue:") for key in queues or ())[:MAX_QUEUES],
            sorted(text(key).removeprefix("rq:worker:") for key in workers or ()),
        )

    def states(self, queues: Sequence[str]) -> dict[str, QueueState]:
        """Return how these queues are now."""
        pipe = self._pipe()
        for queue in queues:
            pipe.llen(f"rq:queue:{queue}")
            pipe.lindex(f"rq:queue:{queue}", 0)
            pipe.lindex(f"rq:queue:{queue}", -1)
            pipe.zrange(f"rq:wip:{queue}", 0, MAX_EXECUTING - 1)
            for registry in REGISTRIES:
                pipe.zcard(f"rq:{registry}:{queue}")
                pipe.zrevrange(f"rq:{registry}:{queue}", 0, 0, withscores=True)
        answers = _answers(pipe)
        found = {}
        width = 4 + 2 * len(REGISTRIES)
        for number, queue in enumerate(queues):
            depth, first, last, executing, *registries = answers[number * width : (number + 1) * width]
            found[queue] = QueueState(
                depth or 0,
                name(first),
                name(last),
                dict(name(entry).partition(":")[::2] for entry in executing or ()),
                {
                    registry: (registries[2 * place] or 0, *_top(registries[2 * place + 1]))
                    for place, registry in enumerate(REGISTRIES)
                },
            )
        return found

    def newest(self, queue: str, listing: str, start: int, count: int) -> list[Place]:
        """Return entries of a queue's list or of a registry, the newest first.

        Args:
            queue: Its name.
            listing: `queue`, or one of `REGISTRIES`.
            start: How many to pass over.
            count: How many at most.
        """
        try:
            if listing == "queue":
                ids: Any = self._client.lrange(f"rq:queue:{queue}", -start - count, -start - 1)
                return [(name(job_id), 0.0) for job_id in reversed(ids)]
            found: Any = self._client.zrevrange(f"rq:{listing}:{queue}", start, start + count - 1, withscores=True)
        except redis.ResponseError:
            return []  # Something else has that name.
        return [(name(job_id), float(score)) for job_id, score in found]

    def next(self, queue: str, count: int) -> list[Place]:
        """Return the jobs at the head of a queue, where a program may put some past the others."""
        try:
            ids: Any = self._client.lrange(f"rq:queue:{queue}", 0, count - 1)
        except redis.ResponseError:
            return []
        return [(name(job_id), 0.0) for job_id in ids]

    def jobs(self, ids: Sequence[str]) -> dict[str, Job | None]:
        """Return jobs by id, None for those that are gone."""
        pipe = self._pipe()
        for job_id in ids:
            pipe.hmget(f"rq:job:{job_id}", JOB_FIELDS)
        return {
            job_id: job_of(job_id, values) if values else None
            for job_id, values in zip(ids, _answers(pipe), strict=True)
        }

    def statuses(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the status of jobs by id, empty for those that are gone."""
        pipe = self._pipe()
        for job_id in ids:
            pipe.hget(f"rq:job:{job_id}", "status")
        return {job_id: text(status) for job_id, status in zip(ids, _answers(pipe), strict=True)}

    def name_functions(self, jobs: Iterable[Job]) -> None:
        """Fill in the function of jobs whose description does not tell it, unless their data is very large."""
        nameless = [job for job in jobs if not job.function]
        sizes = self._pipe()
        for job in nameless:
            sizes.hstrlen(f"rq:job:{job.id}", "data")
        small = [job for job, size in zip(nameless, _answers(sizes), strict=True) if 0 < (size or 0) <= MAX_DATA_BYTES]
        data = self._pipe()
        for job in small:
            data.hget(f"rq:job:{job.id}", "data")
        for job, value in zip(small, _answers(data), strict=True):
            job.function = function_of_data(value) if isinstance(value, bytes) else ""

    def add_outcomes(self, jobs: Sequence[Job]) -> None:
        """Fill in how the executions of jobs ended, and what the jobs are at that moment. Results that are very large
        stay where they are."""
        sizes = self._pipe()
        for job in jobs:
            sizes.execute_command("MEMORY", "USAGE", f"rq:results:{job.id}", "SAMPLES", "1")
        # A Redis that does not tell the size is asked all the same.
        measured = sizes.execute(raise_on_error=False)
        small = [
            job
            for job, size in zip(jobs, measured, strict=True)
            if size is not None and (not isinstance(size, int) or size <= MAX_RESULT_BYTES)
        ]
        for start in range(0, len(small), _ATOMIC):
            self._add_outcomes(small[start : start + _ATOMIC])
        self._add_exceptions([job for job in jobs if job.status in {"failed", "stopped"} and not job.outcomes])

    def _add_outcomes(self, jobs: Sequence[Job]) -> None:
        """Read jobs and outcomes in one moment, as RQ writes them: an outcome that is newer than its job would be taken
        for that of another execution."""
        pipe: Any = self._client.pipeline(transaction=True)
        for job in jobs:
            pipe.hmget(f"rq:job:{job.id}", JOB_FIELDS)
            pipe.xrevrange(f"rq:results:{job.id}", "+", "-", count=_OUTCOMES)
        answers = _answers(pipe)
        for job, values, entries in zip(jobs, answers[::2], answers[1::2], strict=True):
            now = job_of(job.id, values) if values else None
            if now is not None:
                job.become(now)
                found = (outcome_of(entry_id, entry) for entry_id, entry in entries or ())
                job.outcomes = [outcome for outcome in found if isinstance(outcome, Outcome)]

    def enqueued_at(self, ids: Sequence[str]) -> list[float | None]:
        """Return when jobs were enqueued, seconds since 1970 UTC."""
        return self._times(ids, "enqueued_at")

    def created_at(self, ids: Sequence[str]) -> list[float | None]:
        """Return when jobs were made, seconds since 1970 UTC."""
        return self._times(ids, "created_at")

    def _times(self, ids: Sequence[str], field_name: str) -> list[float | None]:
        pipe = self._pipe()
        for job_id in ids:
            pipe.hget(f"rq:job:{job_id}", field_name)
        return [seconds(text(value)) for value in _answers(pipe)]

    def _add_exceptions(self, jobs: Sequence[Job]) -> None:
        pipe = self._pipe()
        for job in jobs:
            pipe.hget(f"rq:job:{job.id}", "exc_info")
        for job, value in zip(jobs, _answers(pipe), strict=True):
            job.exception = exception_of(value)

    # Cron.

    def cron_times(self) -> tuple[dict[bytes, float], dict[bytes, float]]:
        """Return cron schedulers by their last heartbeat, and names of cron jobs by when they enqueued last.

        Older RQ has neither. Times that cannot be are left out.
        """
        pipe = self._pipe()
        pipe.zrevrange("rq:cron_schedulers", 0, MAX_CRON_SCHEDULERS - 1, withscores=True)
        pipe.zrevrange("rq:cron_jobs", 0, MAX_CRON_NAMES - 1, withscores=True)
        schedulers, jobs = _answers(pipe)
        return _times(schedulers), _times(jobs)

    def cron_schedulers(self, names: Sequence[bytes]) -> dict[bytes, SchedulerRecord]:
        """Return schedulers as they wrote themselves down, without those that expired or are very large."""
        sizes = self._pipe()
        for each in names:
            sizes.hstrlen(b"rq:cron_scheduler:" + each, "cron_jobs")
        small = [each for each, size in zip(names, _answers(sizes), strict=True) if 0 < (size or 0) <= MAX_CRON_BYTES]
        pipe = self._pipe()
        for each in small:
            pipe.hmget(b"rq:cron_scheduler:" + each, SCHEDULER_FIELDS)
        answers = zip(small, _answers(pipe), strict=True)
        found = {each: scheduler_of(name(each), values) for each, values in answers if values}
        return {each: record for each, record in found.items() if record is not None}

    def cron_history(self, since: Mapping[bytes, float]) -> dict[bytes, list[Place]]:
        """Return what cron jobs enqueued since a time, seconds since 1970 UTC, by their names, newest first."""
        pipe = self._pipe()
        for each, at in since.items():
            key = b"rq:cron_job:" + each + b":jobs"
            pipe.zrevrangebyscore(key, "+inf", at, start=0, num=MAX_CRON_HISTORY, withscores=True)
        return {
            each: [(name(job_id), float(score)) for job_id, score in entries or ()]
            for each, entries in zip(since, _answers(pipe), strict=True)
        }

    def functions(self, ids: Sequence[str]) -> dict[str, str | None]:
        """Return the functions of jobs as their descriptions tell them, None for those that are gone."""
        pipe = self._pipe()
        for job_id in ids:
            pipe.hmget(f"rq:job:{job_id}", "created_at", "description")
        return {
            job_id: function_of_description(text(values[1])) if values and values[0] is not None else None
            for job_id, values in zip(ids, _answers(pipe), strict=True)
        }

    def _pipe(self) -> Any:
        return self._client.pipeline(transaction=False)


def _times(entries: Any) -> dict[bytes, float]:
    return {each: float(at) for each, at in entries or () if 0 < at < _LATEST}


def _top(entries: Any) -> Place:
    return (name(entries[0][0]), float(entries[0][1])) if entries else ("", 0.0)


def _answers(pipe: Any) -> list[Any]:
    """Send what was gathered; what Redis refuses, because a key holds something that is not RQ's, is None.

    Raises:
        redis.RedisError: It refuses everything.
    """
    answers: list[Any] = pipe.execute(raise_on_error=False)
    refused = [answer for answer in answers if isinstance(answer, Exception)]
    if refused and len(refused) == len(answers) and not str(refused[0]).startswith("WRONGTYPE"):
        raise refused[0]
    return [None if isinstance(answer, Exception) else answer for answer in answers]
