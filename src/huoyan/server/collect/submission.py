"""What sources hand over, and the answer they get."""

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from huoyan.model.event import EventGap, ProcessReport, QueueReading, TaskEvent


@dataclass(frozen=True, slots=True)
class Rejection:
    """An event that could not be merged; `index` is its place in the submission."""

    index: int
    run_id: str
    reason: str


class Receipt(int):
    """How many events of a submission are stored; `rejected` names the others."""

    rejected: tuple[Rejection, ...] = ()


@dataclass(slots=True)
class Submission:
    """What one call handed over."""

    events: Sequence[TaskEvent]
    process: ProcessReport | None
    queues: Sequence[QueueReading]
    received_at: float
    sent_at: float | None
    source: str
    gaps: Sequence[EventGap] = ()
    gone: Sequence[str] = ()
    future: Future[Receipt] = field(default_factory=Future)

    @property
    def weight(self) -> int:
        """What it counts against the bounds."""
        return len(self.events) + 1
