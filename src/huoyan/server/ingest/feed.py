"""Hands what a stream brings to the collector, and keeps account of what became of it."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from sqlalchemy.exc import SQLAlchemyError

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.model.event import ProcessReport, TaskEvent
from huoyan.server.collect.pipeline import Collector, Receipt
from huoyan.server.ingest.complaints import Complaints
from huoyan.server.store.gaps import source_of

MAX_UNSETTLED = 64
_MOST_GAPS = 10_000


class Feed:
    """Used by the one thread that translates; the counts may be read from any.

    Args:
        collector: Where runs are made of events.
        source: Names the cuts of this stream in the store.
        kind: What the events came through, for the collector: `celery-events`.
        clock: Monotonic time.
        complaints: Where trouble is told.
        give_up: Says whether to stop waiting for a collector that takes nothing.
    """

    def __init__(
        self,
        collector: Collector,
        source: str,
        kind: str,
        clock: Clock,
        complaints: Complaints,
        give_up: Callable[[], bool],
    ) -> None:
        self._collector = collector
        self._source = source
        self._kind = kind
        self._clock = clock
        self._complaints = complaints
        self._give_up = give_up
        self._unsettled: deque[tuple[Future[Receipt], int]] = deque()
        self._lock = threading.Lock()
        self._cuts: deque[tuple[float, str | None]] = deque()
        self._gaps: deque[tuple[str, float, float, str]] = deque(maxlen=_MOST_GAPS)
        self.lost = 0
        """Events that could not be stored."""
        self.rejected = 0
        """Events that the collector could make no sense of."""

    def hand_over(
        self,
        events: list[TaskEvent],
        *,
        process: ProcessReport | None = None,
        received_at: float | None = None,
        sent_at: float | None = None,
    ) -> None:
        """Give events to the collector, and wait for it as long as it takes none."""
        while True:
            try:
                done = self._collector.submit(
                    events, process=process, received_at=received_at, sent_at=sent_at, source=self._kind
                )
            except Unreachable as error:
                self._complaints.tell("collector", f"the collector takes no events: {error.message}")
                if self._give_up():
                    self._lose(len(events))
                    return
            else:
                self._unsettled.append((done, len(events)))
                return

    def settle(self, wait_s: float = 0.0) -> None:
        """Look at what became of what was handed over.

        Args:
            wait_s: How long to wait for it, in seconds (default 0). When very much is open it waits a second all the
            same.
        """
        deadline = self._clock.monotonic() + wait_s
        while self._unsettled:
            done, count = self._unsettled[0]
            left_s = max(deadline - self._clock.monotonic(), 1.0 if len(self._unsettled) > MAX_UNSETTLED else 0.0)
            try:
                receipt = done.result(timeout=left_s)
            except TimeoutError:
                return
            except Exception as error:  # noqa: BLE001 - whatever kept the collector from storing them, they are lost
                self._lose(count)
                self._complaints.tell("store", f"events could not be stored: {error}")
            else:
                self.rejected += len(getattr(receipt, "rejected", ()))
            self._unsettled.popleft()

    def cut(self, at: float, reason: str | None) -> None:
        """Remember that the stream was cut at `at`, or with None as the reason that it flows again. From any thread."""
        with self._lock:
            self._cuts.append((at, reason))

    def missed(self, worker: str, started_at: float, ended_at: float, reason: str) -> None:
        """Remember that not everything a worker said in a time was heard."""
        self._gaps.append((source_of(worker), started_at, ended_at, reason))

    def note_cuts(self) -> None:
        """Write remembered cuts to the store; those that it does not take now are tried again."""
        while self._gaps:
            try:
                self._collector.store.gaps.note(*self._gaps[0])
            except SQLAlchemyError as error:
                self._complaints.tell("gap", f"a gap could not be noted: {error}")
                break
            self._gaps.popleft()
        while self._cuts:
            at, reason = self._cuts[0]
            try:
                if reason is None:
                    self._collector.store.gaps.close(self._source, at)
                else:
                    self._collector.store.gaps.open(self._source, at, reason)
            except SQLAlchemyError as error:
                self._complaints.tell("gap", f"a cut could not be noted: {error}")
                return
            with self._lock:
                self._cuts.popleft()

    def _lose(self, count: int) -> None:
        self.lost += count
        if count:
            self._collector.count_lost(count, self._kind)
