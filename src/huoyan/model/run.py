"""Runs, attempts and the merge that makes them from events.

A `Run` is the join of all that was said about it: every field only ever moves up in an order of its own (earliest
start, strongest outcome, most complete payload), so `apply` and `merge` are commutative, associative and idempotent,
and the state shown (`view`) is a pure function of the join. That is why events may come in any order and any number of
times.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from huoyan.model.event import EventKind, ExceptionInfo, Payload, Progress, TaskEvent


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

_OUTCOME_STRENGTH = {
    "": 0,
    "lost": 1,
    "dead": 2,
    "rejected": 3,
    "retrying": 4,
    "failed": 5,
    "revoked": 6,
    "succeeded": 7,
}
_EVIDENCE_STRENGTH = {"unknown": 0, "inferred": 1, "reported": 2}
_OUTCOMES = frozenset(
    {
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.RETRYING,
        EventKind.REVOKED,
        EventKind.REJECTED,
        EventKind.DEAD,
    }
)
_IN_EXECUTION = frozenset({EventKind.SUCCEEDED, EventKind.FAILED, EventKind.RETRYING, EventKind.LOST})
"""Ends that only an execution can have: one that is told without a name or worker belongs to the latest there is."""
_UNNUMBERED = 1 << 30

# Looking a member up in its class costs more than the comparison it is for.
_SCHEDULED = EventKind.SCHEDULED
_QUEUED = EventKind.QUEUED
_RECEIVED = EventKind.RECEIVED
_STARTED = EventKind.STARTED
_PROGRESS = EventKind.PROGRESS
_LOST = EventKind.LOST


@dataclass(slots=True)
class Outcome:
    """How an execution, or a run that no execution took up, ended. `state` is empty while it has not."""

    state: str = ""
    evidence: str = "reported"
    reason: str = ""

    def strength(self) -> tuple[int, int, int, str]:
        """Order outcomes: better evidence first, then the more final one, then by reason so that ties are settled."""
        return (
            _EVIDENCE_STRENGTH[self.evidence] if self.state else -1,
            _OUTCOME_STRENGTH[self.state],
            len(self.reason),
            self.reason,
        )


@dataclass(slots=True)
class Execution:
    """All that is known of one execution or delivery of a run; times in seconds since 1970 UTC."""

    key: str
    number: int | None = None
    worker: str = ""
    delivered_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    duration_s: float | None = None
    seen_at: float | None = None
    lost_at: float | None = None
    lost_reason: str = ""
    outcome: Outcome = field(default_factory=Outcome)
    exception: ExceptionInfo | None = None
    result: Payload = None
    breakdown: Payload = None
    sources: str = ""

    def state(self) -> str:
        """Return `received`, `started` or how it ended; a later sign of life outweighs an inferred loss."""
        if self.outcome.state:
            return self.outcome.state
        if self.lost_at is not None and (self.seen_at is None or self.lost_at >= self.seen_at):
            return "lost"
        return "started" if self.started_at is not None else "received"

    def evidence(self) -> str:
        """Return how its state is known."""
        if self.outcome.state:
            return self.outcome.evidence
        return "inferred" if self.state() == "lost" else "reported"


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
        run.task = _pick_text(run.task, event.task)
    if event.service and event.service != run.service:
        run.service = _pick_text(run.service, event.service)
    if event.framework and event.framework != run.framework:
        run.framework = _pick_text(run.framework, event.framework)
    if event.queue and event.queue != run.queue:
        run.queue = _pick_text(run.queue, event.queue)
    if event.args is not None:
        run.args = _pick_payload(run.args, event.args)
    if event.kwargs is not None:
        run.kwargs = _pick_payload(run.kwargs, event.kwargs)
    # Celery calls a task that is retried its own parent.
    if event.parent_id and event.parent_id != run.parent_id and event.parent_id != run.id:
        run.parent_id = _pick_text(run.parent_id or "", event.parent_id)
    if event.root_id and event.root_id != run.root_id:
        run.root_id = _pick_text(run.root_id or "", event.root_id)
    if event.group_id and event.group_id != run.group_id:
        run.group_id = _pick_text(run.group_id or "", event.group_id)
    if event.labels:
        for name, value in event.labels.items():
            run.labels[name] = _pick_text(run.labels.get(name, ""), value)
    if event.expires is not None:
        run.expires = _least(run.expires, event.expires)
    if event.progress is not None:
        run.progress = _pick_progress(run.progress, event.progress)

    first_try = event.attempt is None or event.attempt <= 1
    if event.eta is not None and first_try:
        # A retry has an ETA of its own; the run was due when its first try was.
        run.eta = _least(run.eta, event.eta)
    if kind is _QUEUED or kind is _SCHEDULED:
        if first_try and (run.enqueued_at is None or at < run.enqueued_at):
            run.enqueued_at = at
        return run
    if event.execution is None and not event.worker:
        if kind is _PROGRESS:
            return run
        if kind in _OUTCOMES and kind not in _IN_EXECUTION:
            run.fate = _stronger(run.fate, Outcome(kind._value_, event.evidence._value_, event.reason))
            run.fate_at = _least(run.fate_at, at)
            return run
    _apply_execution(run, event)
    return run


def _apply_execution(run: Run, event: TaskEvent) -> None:
    attempt = event.attempt
    key = event.execution or f"?{attempt if attempt is not None else ''}@{event.worker}"
    execution = run.executions.get(key)
    if execution is None:
        execution = run.executions[key] = Execution(key=key)
    kind = event.kind
    at = event.at
    if attempt is not None and (execution.number is None or attempt < execution.number):
        execution.number = attempt
    if event.worker and event.worker != execution.worker:
        execution.worker = _pick_text(execution.worker, event.worker)
    if event.source and event.source != execution.sources:
        execution.sources = _joined(execution.sources, event.source)
    if kind is _LOST:
        if execution.lost_at is None or (at, event.reason) > (execution.lost_at, execution.lost_reason):
            execution.lost_at, execution.lost_reason = at, event.reason
        return
    if execution.seen_at is None or at > execution.seen_at:
        execution.seen_at = at
    if kind is _RECEIVED:
        execution.delivered_at = _least(execution.delivered_at, at)
    elif kind is _STARTED:
        execution.started_at = _least(execution.started_at, at)
    elif kind in _OUTCOMES:
        execution.finished_at = _least(execution.finished_at, at)
        outcome = Outcome(kind._value_, event.evidence._value_, event.reason)
        execution.outcome = _stronger(execution.outcome, outcome) if execution.outcome.state else outcome
        if event.duration_s is not None:
            execution.duration_s = _least(execution.duration_s, max(0.0, event.duration_s))
        if event.exception is not None:
            execution.exception = _pick_exception(execution.exception, event.exception)
        if event.result is not None:
            execution.result = _pick_payload(execution.result, event.result)
        if event.breakdown is not None:
            execution.breakdown = _pick_payload(execution.breakdown, event.breakdown)


def merge(left: Run, right: Run) -> Run:
    """Join two partial views of one run into `left` (rows written by different collectors, memory and disk).

    Raises:
        ValueError: They are different runs.
    """
    if left.id != right.id:
        raise ValueError(f"expected run {left.id!r}, got {right.id!r}")
    left.task = _pick_text(left.task, right.task)
    left.service = _pick_text(left.service, right.service)
    left.framework = _pick_text(left.framework, right.framework)
    left.queue = _pick_text(left.queue, right.queue)
    left.args = _pick_payload(left.args, right.args)
    left.kwargs = _pick_payload(left.kwargs, right.kwargs)
    left.parent_id = _pick_text(left.parent_id or "", right.parent_id or "") or None
    left.root_id = _pick_text(left.root_id or "", right.root_id or "") or None
    left.group_id = _pick_text(left.group_id or "", right.group_id or "") or None
    left.enqueued_at = _least(left.enqueued_at, right.enqueued_at)
    left.eta = _least(left.eta, right.eta)
    left.expires = _least(left.expires, right.expires)
    left.first_at = _least(left.first_at, right.first_at)
    left.last_at = _most(left.last_at, right.last_at)
    for name, value in right.labels.items():
        left.labels[name] = _pick_text(left.labels.get(name, ""), value)
    if right.progress is not None:
        left.progress = _pick_progress(left.progress, right.progress)
    left.fate = _stronger(left.fate, right.fate)
    left.fate_at = _least(left.fate_at, right.fate_at)
    for key, theirs in right.executions.items():
        ours = left.executions.get(key)
        left.executions[key] = theirs if ours is None else _merge_execution(ours, theirs)
    return left


def _merge_execution(ours: Execution, theirs: Execution) -> Execution:
    if theirs.number is not None:
        ours.number = theirs.number if ours.number is None else min(ours.number, theirs.number)
    ours.worker = _pick_text(ours.worker, theirs.worker)
    ours.delivered_at = _least(ours.delivered_at, theirs.delivered_at)
    ours.started_at = _least(ours.started_at, theirs.started_at)
    ours.finished_at = _least(ours.finished_at, theirs.finished_at)
    ours.duration_s = _least(ours.duration_s, theirs.duration_s)
    ours.seen_at = _most(ours.seen_at, theirs.seen_at)
    if theirs.lost_at is not None and (
        ours.lost_at is None or (theirs.lost_at, theirs.lost_reason) > (ours.lost_at, ours.lost_reason)
    ):
        ours.lost_at, ours.lost_reason = theirs.lost_at, theirs.lost_reason
    ours.outcome = _stronger(ours.outcome, theirs.outcome)
    if theirs.exception is not None:
        ours.exception = _pick_exception(ours.exception, theirs.exception)
    ours.result = _pick_payload(ours.result, theirs.result)
    ours.breakdown = _pick_payload(ours.breakdown, theirs.breakdown)
    if theirs.sources and theirs.sources != ours.sources:
        ours.sources = _joined(ours.sources, theirs.sources)
    return ours


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
        due = run.eta if run.eta is not None else enqueued_at
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
    if fate.state and waiting and (state != "lost" or _is_bare_loss(last)):
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
        if e.lost_at is not None and _is_bare_loss(e):
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
    placed = sorted((_clone(e) for key, e in executions.items() if not key.startswith("?")), key=_position)
    # Those that say most come first, so that the others find them.
    for orphan in sorted(unnamed, key=lambda e: (_is_bare_loss(e), e.number is None, not e.worker, e.key)):
        home = _home(placed, orphan)
        if home is None or (home.outcome.state == "retrying" and _is_bare_loss(orphan)):
            placed = sorted([*placed, _clone(orphan)], key=_position)
        else:
            worker = home.worker
            _merge_execution(home, orphan)
            home.worker = worker or home.worker
    return sorted(placed, key=_position)


def _home(placed: list[Execution], orphan: Execution) -> Execution | None:
    """Find the execution that unnamed events speak of: the latest of the same worker and number, as far as they say."""
    for e in reversed(placed):
        same_worker = not orphan.worker or not e.worker or e.worker == orphan.worker
        if same_worker and (orphan.number is None or e.number is None or e.number == orphan.number):
            return e
    return None


def _is_bare_loss(execution: Execution) -> bool:
    """Return whether all that is known is that somebody missed the run, without knowing who had it."""
    return execution.seen_at is None and not execution.worker and execution.key.startswith("?")


def _position(execution: Execution) -> tuple[int, float, str]:
    for at in (execution.started_at, execution.delivered_at, execution.finished_at, execution.lost_at):
        if at is not None:
            break
    number = execution.number if execution.number is not None else _UNNUMBERED
    return (number, at if at is not None else float("inf"), execution.key)


def _clone(execution: Execution) -> Execution:
    copy = Execution(key=execution.key)
    return _merge_execution(copy, execution)


def _joined(left: str, right: str) -> str:
    """Return the names in two lists of names as one list, each once, in order."""
    return ",".join(sorted({*left.split(","), *right.split(",")} - {""}))


def _least(left: float | None, right: float | None) -> float | None:
    if left is None:
        return right
    return left if right is None or left <= right else right


def _most(left: float | None, right: float | None) -> float | None:
    if left is None:
        return right
    return left if right is None or left >= right else right


def _pick_text(left: str, right: str) -> str:
    """Prefer the longer text, then the greater one: any total order makes the choice independent of arrival."""
    if left == right or not right:
        return left
    return left if (len(left), left) > (len(right), right) else right


def _stronger(left: Outcome, right: Outcome) -> Outcome:
    return left if left.strength() >= right.strength() else right


def _pick_payload(left: Payload, right: Payload) -> Payload:
    """Prefer structured values over their repr as text, then the more complete one."""
    if left is None or left is right:
        return right
    if right is None or (type(left) is str and left == right):
        return left
    return left if _payload_order(left) >= _payload_order(right) else right


def _payload_order(value: Any) -> tuple[int, int, str]:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return (0 if isinstance(value, str) else 1, len(text), text)


def _pick_exception(left: ExceptionInfo | None, right: ExceptionInfo) -> ExceptionInfo:
    if left is None:
        return right
    return left if _exception_order(left) >= _exception_order(right) else right


def _exception_order(e: ExceptionInfo) -> tuple[bool, int, int, str, str, str, str]:
    return (bool(e.traceback), len(e.traceback), len(e.message), e.traceback, e.message, e.type, e.fingerprint)


def _pick_progress(left: Progress | None, right: Progress) -> Progress:
    if left is None:
        return right
    return left if _progress_order(left) >= _progress_order(right) else right


def _progress_order(p: Progress) -> tuple[float, float, float, str]:
    return (p.at, p.done if p.done is not None else -1.0, p.total if p.total is not None else -1.0, p.note)
