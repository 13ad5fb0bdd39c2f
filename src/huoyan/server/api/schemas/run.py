"""Runs and their attempts as JSON."""

from typing import Any, Literal

from huoyan.model.event import Evidence, ExceptionInfo
from huoyan.model.run import Attempt as ModelAttempt
from huoyan.model.run import Run as ModelRun
from huoyan.model.run import RunState, view
from huoyan.server.api.schemas.base import Document, Timestamp, documented
from huoyan.server.api.schemas.reason import Explained
from huoyan.server.store.truth import Correction, StuckRun

EXCEPTION_EXAMPLE = {
    "type": "PaymentDeclined",
    "message": "card issuer did not answer within 5 s",
    "traceback": "Traceback (most recent call last):\n  …\nPaymentDeclined: card issuer did not answer within 5 s",
    "fingerprint": "5f1d3c0a9b7e2d44",
}
ATTEMPT_EXAMPLE = {
    "number": 1,
    "state": "failed",
    "evidence": "reported",
    "worker": "celery@host-1",
    "started_at": "2026-11-20T21:15:03.480000Z",
    "finished_at": "2026-11-20T21:15:08.492000Z",
    "duration_s": 5.012,
    "cpu_s": 0.041,
    "peak_memory_bytes": 94371840,
    "exception": EXCEPTION_EXAMPLE,
    "reason": "",
    "duplicate": False,
}
EXAMPLE: dict[str, Any] = {
    "id": "0b9ee1a1-4a0a-4a3c-a6d6-8f4a2f1d7c55",
    "task": "orders.take_payment",
    "service": "orders",
    "framework": "celery",
    "queue": "payments",
    "state": "failed",
    "evidence": "reported",
    "reason": "",
    "worker": "celery@host-1",
    "args": ["order-1042"],
    "kwargs": {"amount": 49.9, "card": "[scrubbed]"},
    "result": None,
    "exception": EXCEPTION_EXAMPLE,
    "parent_id": None,
    "root_id": None,
    "group_id": None,
    "enqueued_at": "2026-11-20T21:15:03.123456Z",
    "eta": None,
    "started_at": "2026-11-20T21:15:03.480000Z",
    "finished_at": "2026-11-20T21:15:08.492000Z",
    "updated_at": "2026-11-20T21:15:08.492000Z",
    "wait_s": 0.356,
    "duration_s": 5.012,
    "progress": None,
    "labels": {"tier": "critical"},
    "breakdown": None,
    "heartbeat_s": None,
    "stuck": False,
    "stuck_since": None,
    "redelivery": None,
    "attempt_count": 1,
    "attempts": [ATTEMPT_EXAMPLE],
    "history": [],
}


class RunException(Document):
    """The exception that ended an attempt."""

    type: str
    """Class name."""
    message: str
    traceback: str
    """The formatted traceback, empty when it is not known."""
    fingerprint: str
    """Identity of its failure group, see `/failures/{fingerprint}`."""


class RunProgress(Document):
    """How far a run said it is."""

    at: Timestamp
    """When it said so."""
    done: float | None
    """In any unit, of `total`."""
    total: float | None
    note: str


class Attempt(Explained):
    """One execution or delivery of a run."""

    number: int
    """1 for the first."""
    state: str
    """`queued` (delivered, not started), `started`, or how it ended."""
    evidence: Evidence
    """How the state is known."""
    worker: str
    started_at: Timestamp | None
    finished_at: Timestamp | None
    duration_s: float | None
    """By the worker's monotonic clock."""
    cpu_s: float | None
    """CPU time it took, in seconds; null where it cannot be told (coroutines, greenlets)."""
    peak_memory_bytes: int | None
    """Highest resident size of its process, when this attempt is known to have caused it (prefork children)."""
    exception: RunException | None
    duplicate: bool
    """True when the run had succeeded before this attempt."""


class RunCorrection(Explained):
    """A state that was put right, or worked out by the server instead of reported."""

    at: Timestamp
    """When, by the server's clock."""
    before: str
    """The state shown until then."""
    after: str
    evidence: Evidence
    """How the new state is known."""


class Run(Explained):
    """One logical task execution request, with every attempt at it."""

    model_config = documented(EXAMPLE)

    id: str
    task: str
    service: str
    """The service that runs it, or its framework when the service is not known."""
    framework: str
    queue: str
    """Empty when it is not known or there is none."""
    state: RunState
    evidence: Evidence
    """How the state is known."""
    worker: str
    """The worker of the attempt that decides the state."""
    args: Any
    """Positional arguments, scrubbed and bounded."""
    kwargs: Any
    """Keyword arguments, scrubbed and bounded."""
    result: Any
    """What it returned, scrubbed and bounded."""
    exception: RunException | None
    """Of the attempt that decides the state."""
    parent_id: str | None
    root_id: str | None
    group_id: str | None
    enqueued_at: Timestamp | None
    eta: Timestamp | None
    """Not to be executed before."""
    started_at: Timestamp | None
    """First start of any attempt."""
    finished_at: Timestamp | None
    updated_at: Timestamp
    """Time of the latest event."""
    wait_s: float | None
    """From being enqueued (or due) to the first start."""
    duration_s: float | None
    """Of the attempt that decides the state."""
    progress: RunProgress | None
    labels: dict[str, str]
    breakdown: Any
    """Where the time went, when the client measured it."""
    heartbeat_s: float | None
    """How often it promised a sign of life, in seconds; null: it promised none."""
    stuck: bool
    """True while it owes more signs of life than it may."""
    stuck_since: Timestamp | None
    """When it was last heard of, while it is stuck."""
    redelivery: Literal["expected", "none", "unknown"] | None
    """Whether the broker delivers it again, when the worker it was delivered to is gone: `expected` (the broker still
    holds its message), `none` (it does not), `unknown` (it cannot be asked). Null when that is no question."""
    attempt_count: int
    attempts: list[Attempt]
    history: list[RunCorrection] | None
    """What was put right about its state, oldest first; null in lists."""


class RunPage(Document):
    """A page of runs, newest first."""

    model_config = documented({"items": [EXAMPLE], "next": "eyJzIjoxNzk1Mjg4NTAzLjEyfQ"})

    items: list[Run]
    next: str | None
    """Cursor of the next page, null on the last one."""


class RunCounts(Document):
    """How many runs there are per value of each facet; every facet ignores its own filter."""

    model_config = documented(
        {
            "state": {"succeeded": 9120, "failed": 12, "started": 3},
            "task": {"orders.take_payment": 4570, "orders.send_confirmation": 4565},
            "queue": {"payments": 4570, "mail": 4565},
            "worker": {"celery@host-1": 9135},
            "service": {"orders": 9135},
            "framework": {"celery": 9135},
            "stuck": 0,
            "total": 9135,
            "exact": True,
        }
    )

    state: dict[str, int]
    task: dict[str, int]
    queue: dict[str, int]
    worker: dict[str, int]
    service: dict[str, int]
    framework: dict[str, int]
    stuck: int
    """Runs that are stuck now, whatever the filters."""
    total: int
    """Runs that match every filter."""
    exact: bool
    """False when only the newest runs were counted, because there are too many to look at each."""


def run_document(
    run: ModelRun,
    stuck: StuckRun | None = None,
    history: list[Correction] | None = None,
    redelivery: Literal["expected", "none", "unknown"] | None = None,
) -> Run:
    """Render a run as the API shows it.

    Args:
        run: Its merge state.
        stuck: Since when it owes a sign of life; default it does not.
        history: What was put right about it; default not told.
        redelivery: Whether the broker delivers it again; default no question.
    """
    seen = view(run)
    progress = run.progress
    return Run(
        id=seen.id,
        task=seen.task,
        service=seen.service,
        framework=seen.framework,
        queue=seen.queue,
        state=seen.state,
        evidence=Evidence(seen.evidence),
        reason=seen.reason,
        worker=seen.worker,
        args=run.args,
        kwargs=run.kwargs,
        result=seen.result,
        exception=exception_document(seen.exception),
        parent_id=run.parent_id,
        root_id=run.root_id,
        group_id=run.group_id,
        enqueued_at=seen.enqueued_at,
        eta=seen.eta,
        started_at=seen.started_at,
        finished_at=seen.finished_at,
        updated_at=seen.last_at,
        wait_s=seen.wait_s,
        duration_s=seen.duration_s,
        progress=None
        if progress is None
        else RunProgress(at=progress.at, done=progress.done, total=progress.total, note=progress.note),
        labels=run.labels,
        breakdown=next((a.breakdown for a in reversed(seen.attempts) if a.breakdown is not None), None),
        heartbeat_s=run.heartbeat_s,
        stuck=stuck is not None,
        stuck_since=None if stuck is None else stuck.since_at,
        redelivery=redelivery,
        attempt_count=len(seen.attempts),
        attempts=[_attempt_document(attempt) for attempt in seen.attempts],
        history=None
        if history is None
        else [
            RunCorrection(
                at=one.at, before=one.before, after=one.after, evidence=Evidence(one.evidence), reason=one.reason
            )
            for one in history
        ],
    )


def exception_document(exception: ExceptionInfo | None) -> RunException | None:
    """Render an exception, None stays None."""
    if exception is None:
        return None
    return RunException(
        type=exception.type,
        message=exception.message,
        traceback=exception.traceback,
        fingerprint=exception.fingerprint,
    )


def _attempt_document(attempt: ModelAttempt) -> Attempt:
    return Attempt(
        number=attempt.number,
        state=attempt.state,
        evidence=Evidence(attempt.evidence),
        worker=attempt.worker,
        started_at=attempt.started_at,
        finished_at=attempt.finished_at,
        duration_s=attempt.duration_s,
        cpu_s=attempt.cpu_s,
        peak_memory_bytes=attempt.peak_memory_bytes,
        exception=exception_document(attempt.exception),
        reason=attempt.reason,
        duplicate=attempt.duplicate,
    )
