"""Emitters, and servers that take what they send late, never, or not at once."""

import threading
from collections.abc import Iterable

from huoyan.client.delivery import Answer, Batch, Receipt
from huoyan.client.emitter import Emitter
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.clock import SYSTEM_CLOCK
from huoyan.model.event import EventKind, ProcessReport, TaskEvent

LATER = Receipt(Answer.LATER, reason="away")


class Gate(MemoryTransport):
    """Lets batches through only while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.open = threading.Event()
        self.waiting = threading.Event()

    def send(self, batch: Batch, timeout_s: float) -> Receipt:
        self.waiting.set()
        assert self.open.wait(10)
        return super().send(batch, timeout_s)


class Away(MemoryTransport):
    """A server that is away until told otherwise; counts the tries."""

    def __init__(self) -> None:
        super().__init__()
        self.away = True
        self.tries = 0
        self.retry_after_s: float | None = None

    def send(self, batch: Batch, timeout_s: float) -> Receipt:
        self.tries += 1
        if self.away:
            return Receipt(Answer.LATER, reason="connection refused", retry_after_s=self.retry_after_s)
        return super().send(batch, timeout_s)


def event(run_id: str, size: int = 0) -> TaskEvent:
    return TaskEvent(EventKind.QUEUED, run_id, 1.0, args=["x" * size] if size else None)


def report(dropped: int, closing: bool) -> ProcessReport | None:
    return ProcessReport("w", dropped=dropped, closing=closing)


def silent(dropped: int, closing: bool) -> ProcessReport | None:
    return None


def opened(
    emitters: list[Emitter], transport: MemoryTransport, reports: object = silent, **settings: object
) -> Emitter:
    chosen = {"flush_interval_s": 0.01, **settings}
    emitter = Emitter(Settings(**chosen), SYSTEM_CLOCK, transport, reports)  # type: ignore[arg-type]
    emitters.append(emitter)
    return emitter


def ids(events: Iterable[TaskEvent]) -> list[str]:
    return [each.run_id for each in events]


def refuse(self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
