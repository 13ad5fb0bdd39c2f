"""What leaves the process at once, how the other side answers, and what a transport is."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from huoyan.model.event import EventGap, ProcessReport, QueueReading
from huoyan.model.example import Example
from huoyan.model.schedule import ScheduleReport


@dataclass(slots=True)
class Batch:
    """Events on their way out, already encoded one by one, and what the process says of itself.

    Args:
        events: Encoded events, oldest first (`huoyan.client.wire.encode_event`).
        process: The report that goes with them, if the process reports.
        queues: Queue depths read since the last batch.
        schedules: What is new about schedules.
        measurements: Numbers and encoded frames of what was measured, oldest first (`huoyan.client.outbox`).
        examples: Requests kept as examples since the last batch with a report.
        gaps: Times of which events were dropped.
        gone: Names of processes that were killed, with the last of what they left.
    """

    events: list[bytes] = field(default_factory=list)
    process: ProcessReport | None = None
    queues: list[QueueReading] = field(default_factory=list)
    schedules: list[ScheduleReport] = field(default_factory=list)
    measurements: list[tuple[int, bytes]] = field(default_factory=list)
    examples: list[Example] = field(default_factory=list)
    gaps: list[EventGap] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Answer(StrEnum):
    """What became of a batch."""

    STORED = "stored"
    """Safe with the server."""
    LATER = "later"
    """Not now: unreachable, overloaded; the same batch is worth another try."""
    TOO_LARGE = "too large"
    """Worth another try in smaller parts."""
    REFUSED = "refused"
    """Never: sending the same again would get the same answer."""


@dataclass(slots=True)
class Receipt:
    """The answer to one batch.

    Args:
        answer: What became of it.
        rejected: How many of its events the server would not take although it took the rest.
        reason: Why, in one sentence, when anything was not stored.
        retry_after_s: How long the server asked to be left alone, in seconds.
    """

    answer: Answer
    rejected: int = 0
    reason: str = ""
    retry_after_s: float | None = None


class Transport(Protocol):
    """Carries batches to a server. Called by one thread at a time."""

    def send(self, batch: Batch, timeout_s: float) -> Receipt:
        """Deliver `batch` within about `timeout_s` seconds and say what became of it. Never raises for the network."""
        ...

    def forget(self) -> None:
        """Drop connections without a word: this process was forked and they belong to its parent."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...
