"""One execution or delivery of a run, and the merge that makes it from events."""

from dataclasses import dataclass, field

from huoyan.model.event import EventKind, ExceptionInfo, Payload, TaskEvent
from huoyan.model.join import joined_names, least, most, pick_exception, pick_payload, pick_text

OUTCOMES = frozenset(
    {
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.RETRYING,
        EventKind.REVOKED,
        EventKind.REJECTED,
        EventKind.DEAD,
    }
)
"""Events that say how something ended."""

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
# Looking a member up in its class costs more than the comparison it is for.
_RECEIVED = EventKind.RECEIVED
_STARTED = EventKind.STARTED
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
    lost_evidence: str = "inferred"
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None

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
        return self.lost_evidence if self.state() == "lost" else "reported"


def apply_to_execution(executions: dict[str, Execution], event: TaskEvent) -> None:
    """Merge an event into the execution it speaks of, which is added when it is new."""
    attempt = event.attempt
    key = event.execution or f"?{attempt if attempt is not None else ''}@{event.worker}"
    execution = executions.get(key)
    if execution is None:
        execution = executions[key] = Execution(key=key)
    kind = event.kind
    at = event.at
    if attempt is not None and (execution.number is None or attempt < execution.number):
        execution.number = attempt
    if event.worker and event.worker != execution.worker:
        execution.worker = pick_text(execution.worker, event.worker)
    if event.source and event.source != execution.sources:
        execution.sources = joined_names(execution.sources, event.source)
    if kind is _LOST:
        evidence = event.evidence._value_
        if execution.lost_at is None or (at, event.reason, evidence) > _loss(execution):
            execution.lost_at, execution.lost_reason, execution.lost_evidence = at, event.reason, evidence
        return
    if execution.seen_at is None or at > execution.seen_at:
        execution.seen_at = at
    if kind is _RECEIVED:
        execution.delivered_at = least(execution.delivered_at, at)
    elif kind is _STARTED:
        execution.started_at = least(execution.started_at, at)
    elif kind in OUTCOMES:
        execution.finished_at = least(execution.finished_at, at)
        outcome = Outcome(kind._value_, event.evidence._value_, event.reason)
        execution.outcome = stronger(execution.outcome, outcome) if execution.outcome.state else outcome
        if event.duration_s is not None:
            execution.duration_s = least(execution.duration_s, max(0.0, event.duration_s))
        if event.exception is not None:
            execution.exception = pick_exception(execution.exception, event.exception)
        if event.result is not None:
            execution.result = pick_payload(execution.result, event.result)
        if event.breakdown is not None:
            execution.breakdown = pick_payload(execution.breakdown, event.breakdown)
        if event.cpu_s is not None:
            execution.cpu_s = most(execution.cpu_s, max(0.0, event.cpu_s))
        if event.peak_memory_bytes is not None:
            execution.peak_memory_bytes = _larger(execution.peak_memory_bytes, max(0, event.peak_memory_bytes))


def merge_execution(ours: Execution, theirs: Execution) -> Execution:
    """Join two partial views of one execution into `ours`."""
    if theirs.number is not None:
        ours.number = theirs.number if ours.number is None else min(ours.number, theirs.number)
    ours.worker = pick_text(ours.worker, theirs.worker)
    ours.delivered_at = least(ours.delivered_at, theirs.delivered_at)
    ours.started_at = least(ours.started_at, theirs.started_at)
    ours.finished_at = least(ours.finished_at, theirs.finished_at)
    ours.duration_s = least(ours.duration_s, theirs.duration_s)
    ours.seen_at = most(ours.seen_at, theirs.seen_at)
    if theirs.lost_at is not None and (ours.lost_at is None or _loss(theirs) > _loss(ours)):
        ours.lost_at, ours.lost_reason, ours.lost_evidence = theirs.lost_at, theirs.lost_reason, theirs.lost_evidence
    ours.outcome = stronger(ours.outcome, theirs.outcome)
    if theirs.exception is not None:
        ours.exception = pick_exception(ours.exception, theirs.exception)
    ours.result = pick_payload(ours.result, theirs.result)
    ours.breakdown = pick_payload(ours.breakdown, theirs.breakdown)
    ours.cpu_s = most(ours.cpu_s, theirs.cpu_s)
    ours.peak_memory_bytes = _larger(ours.peak_memory_bytes, theirs.peak_memory_bytes)
    if theirs.sources and theirs.sources != ours.sources:
        ours.sources = joined_names(ours.sources, theirs.sources)
    return ours


def _larger(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return right if left is None else left
    return max(left, right)


def _loss(execution: Execution) -> tuple[float, str, str]:
    return execution.lost_at or 0.0, execution.lost_reason, execution.lost_evidence


def clone(execution: Execution) -> Execution:
    """Return an independent copy."""
    copy = Execution(key=execution.key)
    return merge_execution(copy, execution)


def is_bare_loss(execution: Execution) -> bool:
    """Return whether all that is known is that somebody missed the run, without knowing who had it."""
    return execution.seen_at is None and not execution.worker and execution.key.startswith("?")


def stronger(left: Outcome, right: Outcome) -> Outcome:
    """Return the one that is known better, or is more final."""
    return left if left.strength() >= right.strength() else right
