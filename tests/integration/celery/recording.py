"""A collector that only keeps what it is given, so that a stream can be watched alone."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from huoyan.errors import Unreachable
from huoyan.model.event import ProcessReport, QueueReading, TaskEvent
from huoyan.model.run import Run, apply
from huoyan.server.store.workers import Worker


class RecordingCollector:
    """Keeps what it is given.

    Args:
        delay_s: How long it takes for each event, in seconds, as a slow disk would.
    """

    def __init__(self, delay_s: float = 0.0) -> None:
        self.events: list[TaskEvent] = []
        self.reports: list[ProcessReport] = []
        self.readings: list[QueueReading] = []
        self.cuts: list[tuple[str, float]] = []
        self.lost = 0
        self.runs: dict[str, Run] = {}
        self.refuses = False
        self.workers: list[Worker] = []
        self.store: Any = SimpleNamespace(gaps=self, runs=self, workers=SimpleNamespace(list=lambda: self.workers))
        self._delay = threading.Event()
        self._delay_s = delay_s

    def submit(
        self,
        events: Sequence[TaskEvent],
        *,
        process: ProcessReport | None = None,
        queues: Sequence[QueueReading] = (),
        received_at: float | None = None,
        sent_at: float | None = None,
        source: str = "http",
    ) -> Future[int]:
        """Keep it."""
        assert source == "celery-events"
        if self.refuses:
            self._delay.wait(0.05)
            raise Unreachable("expected room for events, there is none")
        if self._delay_s and events:
            self._delay.wait(self._delay_s * len(events))
        self.events += events
        if process is not None:
            self.reports.append(process)
        self.readings += queues
        done: Future[int] = Future()
        done.set_result(len(events))
        return done

    def offer(self, events: Sequence[TaskEvent], **more: Any) -> Future[int] | None:
        """Keep it, or refuse at once."""
        return None if self.refuses else self.submit(events, **more)

    def count_lost(self, events: int, source: str) -> None:
        """Count what was lost."""
        self.lost += events

    def open(self, source: str, at: float, reason: str) -> int:
        """Note the beginning of a cut."""
        self.cuts.append(("open", at))
        return 1

    def close(self, source: str, at: float) -> None:
        """Note the end of a cut."""
        self.cuts.append(("close", at))

    def get(self, run_id: str) -> Run | None:
        """Return a run made of the events so far."""
        run: Run | None = None
        for event in self.events:
            if event.run_id == run_id:
                run = apply(run, event)
        return run
