"""A transport that keeps everything, for tests."""

import json
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from huoyan.client.delivery import Answer, Batch, Receipt
from huoyan.client.wire import decode_events
from huoyan.model.event import ProcessReport, QueueReading, TaskEvent
from huoyan.model.schedule import ScheduleReport


class MemoryTransport:
    """Keeps what it is sent.

    Args:
        answers: What to answer to the next batches, in order; stored when they are used up.
    """

    def __init__(self, answers: Iterable[Receipt] = ()) -> None:
        self.answers = deque(answers)
        self.events: list[TaskEvent] = []
        self.reports: list[ProcessReport] = []
        self.queues: list[QueueReading] = []
        self.schedules: list[ScheduleReport] = []
        self.measurements: list[dict[str, Any]] = []
        self.batches: list[Batch] = []
        self._lock = threading.Lock()

    def send(self, batch: Batch, timeout_s: float) -> Receipt:  # noqa: ARG002 - it never waits
        with self._lock:
            self.batches.append(batch)
            receipt = self.answers.popleft() if self.answers else Receipt(Answer.STORED)
            if receipt.answer is Answer.STORED:
                self.events += decode_events(batch.events)
                self.queues += batch.queues
                self.schedules += batch.schedules
                self.measurements += [json.loads(encoded) for _, encoded in batch.measurements]
                if batch.process is not None:
                    self.reports.append(batch.process)
            return receipt

    def forget(self) -> None:
        """There is no connection to drop; what the parent sent stays the parent's."""
        self.events, self.reports, self.queues, self.schedules, self.batches = [], [], [], [], []
        self.measurements = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """There is nothing to close."""
