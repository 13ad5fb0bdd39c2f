"""Workers that may have said something that nobody heard: they are asked what they still execute.

What they do not have any more has ended. The result backend may know how; otherwise nobody does, and that is what is
said. What they do have is known to go on, so that its loss can be told for certain later.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.model.event import TaskEvent
from huoyan.model.run import Run
from huoyan.server.collect.holdings import Broker
from huoyan.server.collect.unheard import ending, missed_in, open_since, sign_of_life
from huoyan.server.store import Store
from huoyan.server.store.gaps import source_of

_LOG = logging.getLogger(__name__)

INTERVAL_S = 1.0
SETTLE_S = 2.0
"""How long what was said may take to be stored, in seconds; between two questions too."""
MOST_QUESTIONS = 5
MOST_WORKERS = 10_000
SOURCE = "celery-doubts"


@dataclass(frozen=True, slots=True)
class _Doubt:
    """About what a worker had begun and said nothing of since `until`. `absent`: what it did not have when asked."""

    until: float
    due_at: float
    questions: int = 0
    absent: frozenset[str] = frozenset()


class CeleryDoubts:
    """The service that asks.

    Args:
        store: The runs.
        broker: Who can be asked.
        emit: Takes what follows, as events.
        clock: The time.
    """

    name = "celery doubts"
    interval_s = INTERVAL_S

    def __init__(self, store: Store, broker: Broker, emit: Callable[[list[TaskEvent]], None], clock: Clock) -> None:
        self._store = store
        self._broker = broker
        self._emit = emit
        self._clock = clock
        self._lock = threading.Lock()
        self._doubts: dict[str, _Doubt] = {}

    def doubt(self, workers: Iterable[str], until: float) -> None:
        """Ask these workers soon about what they had begun before `until`. From any thread; never waits."""
        due_at = self._clock.monotonic() + SETTLE_S
        with self._lock:
            for worker in workers:
                known = self._doubts.get(worker)
                if known is not None or len(self._doubts) < MOST_WORKERS:
                    self._doubts[worker] = _Doubt(max(until, known.until if known is not None else until), due_at)

    def run_once(self) -> int:
        """Ask whoever is due, and return how many facts follow."""
        now = self._clock.monotonic()
        with self._lock:
            due = {worker: doubt for worker, doubt in self._doubts.items() if doubt.due_at <= now}
        if not due:
            return 0
        runs = {worker: self._open(worker, doubt.until) for worker, doubt in due.items()}
        asked = sorted({run_id for found in runs.values() for run_id in found})
        try:
            answers = self._broker.working(asked) if asked else {}
            events: list[TaskEvent] = []
            for worker, doubt in due.items():
                events += self._judge(worker, doubt, runs[worker], answers.get(worker))
        except Unreachable as error:
            _LOG.info("workers could not be asked what they execute: %s", error.message)
            for worker, doubt in due.items():
                self._again(worker, doubt, doubt.absent)
            return 0
        if events:
            self._emit(events)
        return len(events)

    def close(self) -> None:
        """Close the connections."""
        self._broker.close()

    def _open(self, worker: str, until: float) -> dict[str, Run]:
        return {run.id: run for run in self._store.runs.started_on(worker) if any(open_since(run, worker, until))}

    def _judge(self, worker: str, doubt: _Doubt, runs: dict[str, Run], has: frozenset[str] | None) -> list[TaskEvent]:
        """Say what follows from the answer of a worker; None when it gave none."""
        if not runs:
            self._settle(worker, doubt)
            return []
        if has is None:
            self._again(worker, doubt, doubt.absent)
            return []
        now = self._clock.now()
        events = [
            replace(sign_of_life(run, execution, now), source=SOURCE)
            for run_id, run in runs.items()
            if run_id in has
            for execution in open_since(run, worker, doubt.until)
        ]
        absent = frozenset(runs) - has
        # Its end may have been on its way when the worker was asked.
        ended = absent & doubt.absent
        if ended:
            told = self._broker.outcomes(sorted(ended))
            events += told
            cuts = self._store.gaps.list(since=0.0, source=source_of(worker))
            for run_id in sorted(ended - {event.run_id for event in told}):
                for execution in open_since(runs[run_id], worker, doubt.until):
                    event = ending(runs[run_id], execution, now, missed_in(execution, cuts))
                    events.append(replace(event, source=SOURCE))
        if absent - ended:
            self._again(worker, doubt, absent)
        else:
            self._settle(worker, doubt)
        return events

    def _again(self, worker: str, doubt: _Doubt, absent: frozenset[str]) -> None:
        """Ask once more. A worker that never answers is judged by its silence and by the ledger."""
        if doubt.questions + 1 >= MOST_QUESTIONS:
            self._settle(worker, doubt)
            return
        later = replace(doubt, due_at=self._clock.monotonic() + SETTLE_S, questions=doubt.questions + 1, absent=absent)
        with self._lock:
            if self._doubts.get(worker) == doubt:
                self._doubts[worker] = later

    def _settle(self, worker: str, doubt: _Doubt) -> None:
        with self._lock:
            if self._doubts.get(worker) == doubt:
                del self._doubts[worker]
