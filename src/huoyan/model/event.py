"""What a source says about a run: one `TaskEvent` per fact.

Clients post events in batches over HTTP; server-side ingests (Celery event streams, …) make the same events. Events may
arrive in any order, twice, or never: `huoyan.model.run.apply` merges whatever comes.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from huoyan.model.example import Example
from huoyan.model.schedule import ScheduleReport


class EventKind(StrEnum):
    """The fact that an event reports."""

    SCHEDULED = "scheduled"
    """Accepted by the producer, not to be executed before `eta`."""
    QUEUED = "queued"
    """Handed to the broker (again: a retry is queued too)."""
    RECEIVED = "received"
    """Delivered to a worker that has not started it yet."""
    STARTED = "started"
    PROGRESS = "progress"
    """Still alive; `progress` may say how far."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The attempt raised and no retry is left."""
    RETRYING = "retrying"
    """The attempt raised and another one will follow."""
    REVOKED = "revoked"
    """Cancelled by a person, a program or a shutdown."""
    REJECTED = "rejected"
    """Refused by the worker (unknown task, explicit reject)."""
    LOST = "lost"
    """Its worker vanished; nothing will run it again by itself."""
    DEAD = "dead"
    """Given up without an outcome: expired, redelivered too often, its message dropped."""


class Evidence(StrEnum):
    """How a state is known."""

    REPORTED = "reported"
    """Somebody who was there said so."""
    INFERRED = "inferred"
    """Worked out from heartbeats, broker or result backend."""
    UNKNOWN = "unknown"


Payload = Any
"""A JSON value (None, bool, int, float, str, list, dict with string keys), bounded and scrubbed by the sender."""


@dataclass(slots=True)
class ExceptionInfo:
    """An exception as text. `traceback` is the formatted traceback, `fingerprint` the identity of its failure group."""

    type: str
    message: str = ""
    traceback: str = ""
    fingerprint: str = ""


@dataclass(slots=True)
class Progress:
    """How far a run is: `done` of `total` (any unit), with an optional note. `at` is when it said so, in seconds."""

    at: float
    done: float | None = None
    total: float | None = None
    note: str = ""


@dataclass(slots=True)
class TaskEvent:
    """One fact about one run.

    Args:
        kind: What happened.
        run_id: Identity of the run, unique across services (a UUID, the broker's task id).
        at: When it happened, seconds since 1970 UTC by the sender's clock (the collector corrects skewed clocks).
        attempt: Number of the try, 1 for the first; None when the sender cannot know.
        execution: Identity of this one execution or delivery of the run. Two sources that watch the same execution send
            the same value. None lets the collector derive one from `attempt` and `worker`.
        worker: The process or worker that executes the run, e.g. `celery@host-1` or `orders@host-1:4242`.
        dependents: Runs that start once this one (or the group it belongs to) has finished, with the names of their
            tasks: the next step of a chain, the body of a chord. They may not have been sent yet.
        depends_on: Runs that have to finish before this one starts.
        eta: Not before this time, seconds since 1970 UTC.
        expires: Not after this time, seconds since 1970 UTC.
        heartbeat_s: The run promises a sign of life at least this often, in seconds, from its start to its end.
        duration_s: Measured by the worker's monotonic clock; only on events that end an attempt.
        cpu_s: CPU time the attempt took, in seconds; only on events that end an attempt, like the next.
        peak_memory_bytes: Highest resident size of its process, when the attempt is known to have caused it.
        evidence: How the sender knows.
        reason: Why, for `revoked`, `rejected`, `lost`, `dead`, in one sentence.
        source: Who says so: `client`, `celery-events`, `liveness`, `http`.
        received_at: When the server got it, seconds since 1970 UTC; set by the server.
    """

    kind: EventKind
    run_id: str
    at: float
    task: str = ""
    service: str = ""
    framework: str = ""
    queue: str = ""
    attempt: int | None = None
    execution: str | None = None
    worker: str = ""
    args: Payload = None
    kwargs: Payload = None
    result: Payload = None
    exception: ExceptionInfo | None = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    eta: float | None = None
    expires: float | None = None
    duration_s: float | None = None
    progress: Progress | None = None
    labels: dict[str, str] | None = None
    breakdown: Payload = None
    heartbeat_s: float | None = None
    evidence: Evidence = Evidence.REPORTED
    reason: str = ""
    source: str = "client"
    received_at: float | None = None
    dependents: dict[str, str] | None = None
    depends_on: list[str] | None = None
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(slots=True)
class ProcessReport:
    """A process that sends events speaks of itself, with every batch and at least every `interval_s`.

    Args:
        worker: The name that its events carry in `worker`.
        interval_s: How often it promises to report, in seconds; three missed reports mean it is down.
        dropped: Events this process had to drop so far (buffer full, server away too long).
        closing: True in the last report of an orderly shutdown.
        version: Of the client.
        service_version: Of the application, as its settings say; empty when they do not.
    """

    worker: str
    service: str = ""
    framework: str = ""
    host: str = ""
    pid: int = 0
    started_at: float = 0.0
    interval_s: float = 10.0
    dropped: int = 0
    active: int = 0
    queues: list[str] = field(default_factory=list)
    closing: bool = False
    version: str = ""
    service_version: str = ""


@dataclass(slots=True)
class QueueReading:
    """What a broker says of a queue at one moment: `depth` messages wait, the oldest for `oldest_age_s` seconds."""

    queue: str
    depth: int
    at: float
    service: str = ""
    oldest_age_s: float | None = None


@dataclass(slots=True)
class EventGap:
    """A time of which some events of a process were dropped: the end of a run may be among them.

    Args:
        worker: The name that its events carry in `worker`.
        started_at: When the first of them happened, seconds since 1970 UTC by its clock.
        ended_at: When the last did.
        events: How many.
        executing: All runs that it executes now, when everything else it had to say was said; None: it does not tell.
    """

    worker: str
    started_at: float
    ended_at: float
    events: int = 0
    executing: list[str] | None = None


@dataclass(slots=True)
class EventBatch:
    """What a client posts at once. `sent_at` is its wall clock at sending, from which the server learns the skew.

    `gone` names processes of its machine that were killed, and whose last words these were."""

    events: list[TaskEvent]
    sent_at: float | None = None
    process: ProcessReport | None = None
    queues: list[QueueReading] = field(default_factory=list)
    schedules: list[ScheduleReport] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    gaps: list[EventGap] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
