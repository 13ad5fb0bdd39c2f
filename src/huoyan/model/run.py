"""Runs, attempts and the merge that makes them from events.

A `Run` is the join of all that was said about it: every field only ever moves up in an order of its own (earliest
start, strongest outcome, most complete payload), so `apply` and `merge` are commutative, associative and idempotent,
and the state shown (`view`) is a pure function of the join. That is why events may come in any order and any number of
times.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from huoyan.model.event import EventKind, ExceptionInfo, Payload, Progress, TaskEvent
from huoyan.model.execution import (
    OUTCOMES,
    Execution,
    Outcome,
    apply_to_execution,
    clone,
    is_bare_loss,
    merge_execution,
    stronger,
)
from huoyan.model.join import least, most, pick_payload, pick_progress, pick_text


class RunState(StrEnum):
    """Where a run is, see DESIGN "What is true"."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    STARTED = "started"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVOKED = "revoked"
    REJECTED = "rejected"
    LOST = "lost"
    DEAD = "dead"


FINAL_STATES = frozenset(
    {RunState.SUCCEEDED, RunState.FAILED, RunState.REVOKED, RunState.REJECTED, RunState.LOST, RunState.DEAD}
)
"""States that nothing leaves by itself (a correction may)."""

BAD_STATES = frozenset({RunState.FAILED, RunState.REJECTED, RunState.LOST, RunState.DEAD})
"""Final states that count as failures in ratios."""

_IN_EXECUTION = frozenset({EventKind.SUCCEEDED, EventKind.FAILED, EventKind.RETRYING, EventKind.LOST})
"""Ends that only an execution can have: one that is told without a name or worker belongs to the latest there is."""
_UNNUMBERED = 1 << 30

# Looking a member up in its class costs more than the comparison it is for.
_SCHEDULED = EventKind.SCHEDULED
_QUEUED = EventKind.QUEUED
_PROGRESS = EventKind.PROGRESS


@dataclass(slots=True)
class Run:
    """The join of everything said about one run. Read it through `view`."""

    id: str
    task: str = ""
    service: str = ""
    framework: str = ""
    queue: str = ""
    args: Payload = None
    kwargs: Payload = None
    parent_id: str | None = None
    root_id: str | None = None
    group_id: str | None = None
    enqueued_at: float | None = None
    eta: float | None = None
    expires: float | None = None
    first_at: float | None = None
    last_at: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    progress: Progress | None = None
    fate: Outcome = field(default_factory=Outcome)
    fate_at: float | None = None
    executions: dict[str, Execution] = field(default_factory=dict)
    dependents: dict[str, str] = field(default_factory=dict)
    depends_on: set[str] = field(default_factory=set)
    heartbeat_s: float | None = None


@dataclass(slots=True)
class Attempt:
    """One execution as people see it: numbered from 1 in order, `duplicate` when the run had succeeded before."""

    number: int
    state: str
    evidence: str
    worker: str
    started_at: float | None
    finished_at: float | None
    duration_s: float | None
    exception: ExceptionInfo | None
    result: Payload
    reason: str
    duplicate: bool
    key: str
    breakdown: Payload = None
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None


@dataclass(slots=True)
class RunView:
    """A run as the API, the page, the rollups and the rules see it; times in seconds since 1970 UTC.

    `started_at` is the first start of any attempt, `finished_at` and `duration_s` belong to the attempt that decided
    the state, `wait_s` is the time from being enqueued (or due, when it had an ETA) to the first start, never negative.
    `exception` is that of the deciding attempt, never an older one's.
    """

    id: str
    task: str
    service: str
    framework: str
    queue: str
    state: RunState
    evidence: str
    worker: str
    enqueued_at: float | None
    eta: float | None
    started_at: float | None
    finished_at: float | None
    wait_s: float | None
    duration_s: float | None
    exception: ExceptionInfo | None
    result: Payload
    reason: str
    attempts: list[Attempt]
    first_at: float
    last_at: float

    @property
    def final(self) -> bool:
        """Whether nothing will change the state by itself."""
        return self.state in FINAL_STATES


def apply(run: Run | None, event: TaskEvent) -> Run:
    """Merge one event into a run, in place.

    Args:
        run: The run so far, or None when the event is the first one seen.
        event: What was said.

    Returns:
        The run (a new one when `run` was None).

    Raises:
        ValueError: The event belongs to another run.
    """
    if run is None:
        run = Run(id=event.run_id)
    elif run.id != event.run_id:
        raise ValueError(f"expected an event of run {run.id!r}, got one of {event.run_id!r}")
    # Comparisons stand before the calls they spare: this runs for every event there is.
    kind = event.kind
    at = event.at
    if run.first_at is None or at < run.first_at:
        run.first_at = at
    if run.last_at is None or at > run.last_at:
        run.last_at = at
    if event.task and event.task != run.task:
        run.task = pick_text(run.task, event.task)
    if event.service and event.service != run.service:
        run.service = pick_text(run.service, event.service)
    if event.framework and event.framework != run.framework:
        run.framework = pick_text(run.framework, event.framework)
    if event.queue and event.queue != run.queue:
        run.queue = pick_text(run.queue, event.queue)
    if event.args is not None:
        run.args = pick_payload(run.args, event.args)
    if event.kwargs is not None:
        run.kwargs = pick_payload(run.kwargs, event.kwargs)
    # Celery calls a task that is retried its own parent.
    if event.parent_id and event.parent_id != run.parent_id and event.parent_id != run.id:
        run.parent_id = pick_text(run.parent_id or "", event.parent_id)
    if event.root_id and event.root_id != run.root_id:
        run.root_id = pick_text(run.root_id or "", event.root_id)
    if event.group_id and event.group_id != run.group_id:
        run.group_id = pick_text(run.group_id or "", event.group_id)
    if event.labels:
        for name, value in event.labels.items():
            run.labels[name] = pick_text(run.labels.get(name, ""), value)
    if event.dependents:
        _link(run.dependents, event.dependents)
    if event.depends_on:
        run.depends_on.update(event.depends_on)
    if event.expires is not None:
        run.expires = least(run.expires, event.expires)
    if event.progress is not None:
        run.progress = pick_progress(run.progress, event.progress)
    if event.heartbeat_s is not None:
        run.heartbeat_s = most(run.heartbeat_s, event.heartbeat_s)

    first_try = event.attempt is None or event.attempt <= 1
    if event.eta is not None and first_try:
        # A retry has an ETA of its own; the run was due when its first try was.
        run.eta = least(run.eta, event.eta)
    if kind is _QUEUED or kind is _SCHEDULED:
        if first_try and (run.enqueued_at is None or at < run.enqueued_at):
            run.enqueued_at = at
        if event.execution is None or not event.worker:
            return run
        # It waits inside the process that will execute it, and is gone when that process is.
    if event.execution is None and not event.worker:
        if kind is _PROGRESS:
            return run
        if kind in OUTCOMES and kind not in _IN_EXECUTION:
            run.fate = stronger(run.fate, Outcome(kind._value_, event.evidence._value_, event.reason))
            run.fate_at = least(run.fate_at, at)
            return run
    apply_to_execution(run.executions, event)
    return run


def merge(left: Run, right: Run) -> Run:
    """Join two partial views of one run into `left` (rows written by different collectors, memory and disk).

    Raises:
        ValueError: They are different runs.
    """
    if left.id != right.id:
        raise ValueError(f"expected run {left.id!r}, got {right.id!r}")
    left.task = pick_text(left.task, right.task)
    left.service = pick_text(left.service, right.service)
    left.framework = pick_text(left.framework, right.framework)
    left.queue = pick_text(left.queue, right.queue)
    left.args = pick_payload(left.args, right.args)
    left.kwargs = pick_payload(left.kwargs, right.kwargs)
    left.parent_id = pick_text(left.parent_id or "", right.parent_id or "") or None
    left.root_id = pick_text(left.root_id or "", right.root_id or "") or None
    left.group_id = pick_text(left.group_id or "", right.group_id or "") or None
    left.enqueued_at = least(left.enqueued_at, right.enqueued_at)
    left.eta = least(left.eta, right.eta)
    left.expires = least(left.expires, right.expires)
    left.first_at = least(left.first_at, right.first_at)
    left.last_at = most(left.last_at, right.last_at)
    for name, value in right.labels.items():
        left.labels[name] = pick_text(left.labels.get(name, ""), value)
    _link(left.dependents, right.dependents)
    left.depends_on |= right.depends_on
    if right.progress is not None:
        left.progress = pick_progress(left.progress, right.progress)
    left.fate = stronger(left.fate, right.fate)
    left.fate_at = least(left.fate_at, right.fate_at)
    left.heartbeat_s = most(left.heartbeat_s, right.heartbeat_s)
    for key, theirs in right.executions.items():
        ours = left.executions.get(key)
        left.executions[key] = theirs if ours is None else merge_execution(ours, theirs)
    return left


def _link(known: dict[str, str], more: dict[str, str]) -> None:
    for run_id, task in more.items():
        known[run_id] = pick_text(known.get(run_id, ""), task)


def view(run: Run) -> RunView:
    """Work out what people see: state, attempts, times. Pure: equal runs give equal views."""
    executions = _ordered(run)
    winner = next((e for e in executions if e.outcome.state == "succeeded"), None)
    attempts = _attempts(executions, winner)
    state, evidence, reason, decider = _decide(run, executions, winner)
    started = [e.started_at for e in executions if e.started_at is not None]
    started_at = min(started) if started else None
    enqueued_at = run.enqueued_at
    finished_at = None
    exception = None
    if state in FINAL_STATES:
        if decider is None:
            finished_at = run.fate_at
        else:
            finished_at = decider.finished_at if decider.finished_at is not None else decider.lost_at
    if decider is not None and state is not RunState.SUCCEEDED and state is not RunState.STARTED:
        exception = decider.exception
    wait_s = None
    if started_at is not None:
        due = most(run.eta, enqueued_at)
        if due is None:
            due = min((e.delivered_at for e in executions if e.delivered_at is not None), default=None)
        wait_s = None if due is None else max(0.0, started_at - due)
    return RunView(
        id=run.id,
        task=run.task,
        service=run.service or run.framework,
        framework=run.framework,
        queue=run.queue,
        state=state,
        evidence=evidence,
        worker=decider.worker if decider is not None else "",
        enqueued_at=enqueued_at,
        eta=run.eta,
        started_at=started_at,
        finished_at=finished_at,
        wait_s=wait_s,
        duration_s=decider.duration_s if decider is not None else None,
        exception=exception,
        result=winner.result if winner is not None else None,
        reason=reason,
        attempts=attempts,
        first_at=run.first_at or 0.0,
        last_at=run.last_at or 0.0,
    )


def _decide(
    run: Run, executions: list[Execution], winner: Execution | None
) -> tuple[RunState, str, str, Execution | None]:
    """Return (state, evidence, reason, the execution that decided it)."""
    if winner is not None:
        return RunState.SUCCEEDED, winner.outcome.evidence, winner.outcome.reason, winner
    fate = run.fate
    if not executions:
        if fate.state:
            return RunState(fate.state), fate.evidence, fate.reason, None
        return (RunState.SCHEDULED if run.eta is not None else RunState.QUEUED), "reported", "", None
    last = executions[-1]
    state = last.state()
    waiting = state in {"received", "retrying", "rejected", "lost"}
    if fate.state and waiting and (state != "lost" or is_bare_loss(last)):
        # Nobody executes it now, so what was decided about the run as a whole stands.
        return RunState(fate.state), fate.evidence, fate.reason, None
    if state == "received":
        earlier = [e.state() for e in executions[:-1]]
        if "retrying" in earlier:
            retried = next(e for e in reversed(executions) if e.state() == "retrying")
            return RunState.RETRYING, "reported", "", retried
        due = run.eta is not None and not earlier
        return (RunState.SCHEDULED if due else RunState.QUEUED), "reported", "", last
    reason = last.lost_reason if state == "lost" else last.outcome.reason
    return RunState(state), last.evidence(), reason, last


def _attempts(executions: list[Execution], winner: Execution | None) -> list[Attempt]:
    attempts: list[Attempt] = []
    after_winner = False
    for e in executions:
        if e.lost_at is not None and is_bare_loss(e):
            # Somebody missed the run; nobody is known to have executed it.
            continue
        state = e.state()
        attempts.append(
            Attempt(
                number=len(attempts) + 1,
                state="queued" if state == "received" else state,
                evidence=e.evidence(),
                worker=e.worker,
                started_at=e.started_at,
                finished_at=e.finished_at if state != "lost" else e.lost_at,
                duration_s=e.duration_s,
                exception=e.exception,
                result=e.result,
                reason=e.lost_reason if state == "lost" else e.outcome.reason,
                duplicate=after_winner and (e.started_at is not None or bool(e.outcome.state)),
                key=e.key,
                breakdown=e.breakdown,
                cpu_s=e.cpu_s,
                peak_memory_bytes=e.peak_memory_bytes,
            )
        )
        after_winner = after_winner or e is winner
    return attempts


def _ordered(run: Run) -> list[Execution]:
    """Return the executions in the order they were tried; those a source could not name join the one they belong to."""
    executions = run.executions
    if len(executions) <= 1:
        return list(executions.values())
    unnamed = [e for key, e in executions.items() if key.startswith("?")]
    if not unnamed:
        return sorted(executions.values(), key=_position)
    placed = sorted((clone(e) for key, e in executions.items() if not key.startswith("?")), key=_position)
    # Those that say most come first, so that the others find them.
    for orphan in sorted(unnamed, key=lambda e: (is_bare_loss(e), e.number is None, not e.worker, e.key)):
        home = _home(placed, orphan)
        if home is None or (home.outcome.state == "retrying" and is_bare_loss(orphan)):
            placed = sorted([*placed, clone(orphan)], key=_position)
        else:
            worker = home.worker
            merge_execution(home, orphan)
            home.worker = worker or home.worker
    return sorted(placed, key=_position)


def _home(placed: list[Execution], orphan: Execution) -> Execution | None:
    """Find the execution that unnamed events speak of: the latest of the same worker and number, as far as they say."""
    for e in reversed(placed):
        same_worker = not orphan.worker or not e.worker or e.worker == orphan.worker
        if same_worker and (orphan.number is None or e.number is None or e.number == orphan.number):
            return e
    return None


def _position(execution: Execution) -> tuple[int, float, str]:
    for at in (execution.started_at, execution.delivered_at, execution.finished_at, execution.lost_at):
        if at is not None:
            break
    number = execution.number if execution.number is not None else _UNNUMBERED
    return (number, at if at is not None else float("inf"), execution.key)
