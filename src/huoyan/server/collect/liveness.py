"""Saying which workers are gone, and which of their runs are lost with them."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from huoyan.clock import Clock
from huoyan.model.event import EventGap, EventKind, Evidence, TaskEvent
from huoyan.model.execution import Execution
from huoyan.model.run import Run
from huoyan.server.collect.attempts import OpenAttempts
from huoyan.server.collect.live import Bus
from huoyan.server.collect.registry import Departure, Registry
from huoyan.server.collect.unheard import ending, missed_in, named, open_since, sign_of_life
from huoyan.server.store import Gap, Store
from huoyan.server.store.gaps import source_of
from huoyan.server.store.workers import Worker

SOURCE = "liveness"
INTERVAL_S = 1.0
_PAUSED_S = 5.0
_LEAST_GOODBYE_S = 2.0
SWEEP_EVERY_S = 10.0
"""How often runs are looked for that a process had started which was gone already, in seconds."""
_SAME_START_S = 1.0
_MOST_TOLD = 10_000


class Liveness:
    """The service that judges silence, by the time at which reports were received.

    A worker is down when three of its reports are overdue. What it was executing is then lost, as far as anybody can
    tell: an inferred verdict, which the worker's own word corrects when it is heard again. Nobody is judged for silence
    while the source is cut or this process itself was paused.

    Args:
        emit: Takes the verdicts on runs, as events.
        attempts: Attempts that go on beside the one that decides their run.
    """

    name = "liveness"
    interval_s = INTERVAL_S

    def __init__(
        self,
        store: Store,
        registry: Registry,
        bus: Bus,
        clock: Clock,
        emit: Callable[[list[TaskEvent]], None],
        attempts: OpenAttempts,
    ) -> None:
        self._store = store
        self._registry = registry
        self._bus = bus
        self._clock = clock
        self._emit = emit
        self._attempts = attempts
        self._others: dict[str, list[str]] = {}
        self._last_monotonic: float | None = None
        self._listening_from = 0.0
        self._judged_goodbyes: dict[str, float] = {}
        self._departures: list[Departure] = []
        self._returned: list[Worker] = []
        self._swept_at = 0.0
        self._told: deque[EventGap] = deque(maxlen=_MOST_TOLD)

    def told(self, gaps: Iterable[EventGap]) -> None:
        """Take of which times processes dropped events, and what they still execute. From any thread."""
        self._told.extend(gap for gap in gaps if gap.executing is not None)

    def run_once(self) -> None:
        """Judge once."""
        now = self._clock.now()
        monotonic = self._clock.monotonic()
        if self._last_monotonic is not None and monotonic - self._last_monotonic > self._pause_s():
            # The machine slept or was too busy to listen: everybody gets the time of three reports again.
            self._listening_from = now
        self._last_monotonic = monotonic
        # Kept until their runs are judged: the store may fail in between, and nobody departs twice.
        self._departures += self._registry.overdue(now, self._blind(now), self._listening_from)
        self._departures += self._goodbyes(now)
        self._returned += self._registry.returned()
        events: list[TaskEvent] = []
        for departure in self._departures:
            events += self._losses(self._runs_of(departure.worker), departure, now)
        while self._told:
            events += self._unsaid(self._told[0], now)
            self._told.popleft()
        blind = self._blind(now)
        if now - self._swept_at >= SWEEP_EVERY_S and not blind and now - self._listening_from > SWEEP_EVERY_S:
            self._swept_at = now
            events += self._leftovers(now)
        for worker in self._returned:
            events += _signs_of_life(self._store.runs.lost_on(worker.worker), worker, now)
        if events:
            self._emit(events)
        self._departures, self._returned, self._others = [], [], {}
        changed = self._registry.unsaved()
        if changed:
            self._store.workers.save(changed)
            self._registry.saved(changed)
            self._bus.publish("workers", {"workers": [worker.worker for worker in changed[:200]]})

    def _runs_of(self, worker: str) -> list[Run]:
        """Return the runs that a worker executes or holds, those included that another worker has decided since."""
        runs = self._store.runs
        # Kept until the verdicts are given: the store may fail in between.
        others = self._others.setdefault(worker, [])
        others += self._attempts.take(worker)
        found = {run.id: run for run in (*runs.started_on(worker), *runs.queued_on(worker))}
        return list((runs.load(others) | found).values())

    def _leftovers(self, now: float) -> list[TaskEvent]:
        """Return the verdicts on what was heard of too late: that a process which was already gone had started a run.

        Its last words come late when another process sends them for it, or when the server was away.
        """
        executing = self._store.runs.executing()
        others = self._attempts.workers()
        if not executing and not others:
            return []
        events: list[TaskEvent] = []
        for worker in self._store.workers.list():
            earliest = executing.get(worker.worker)
            if earliest is None and worker.worker not in others:
                continue
            if worker.state in ("down", "closed"):
                if now - worker.last_seen_at > 3 * worker.interval_s + SWEEP_EVERY_S:
                    departure = Departure(
                        worker.worker, 0, None, f"worker {worker.worker} was gone before it could end this"
                    )
                    events += self._losses(self._runs_of(worker.worker), departure, now)
            elif worker.pid and worker.started_at:
                # Its clock may be wrong by as much as is known of it.
                before = worker.started_at - _SAME_START_S - abs(worker.clock_skew_s)
                started = self._store.runs.started_on(worker.worker) if (earliest or before) < before else []
                started += self._store.runs.load(self._attempts.of(worker.worker)).values()
                events += self._of_predecessors(started, worker, before, now)
        return events

    def _losses(self, runs: Sequence[Run], departure: Departure, now: float) -> list[TaskEvent]:
        """Return the verdict for every execution that ended with a worker: unknown, where its end may not have been
        heard."""
        if not runs:
            return []
        cuts = self._cuts(runs, departure.worker, now)
        return [
            _loss(run, execution, departure, missed_in(execution, cuts), now)
            for run in runs
            for execution in run.executions.values()
            if execution.worker == departure.worker and _is_over(run, execution) and _ended_with(execution, departure)
        ]

    def _cuts(self, runs: Iterable[Run], worker: str, now: float) -> list[Gap]:
        """Return the gaps since any of these runs began: those of the worker, and those in which nobody was heard."""
        since = min((run.first_at or now for run in runs), default=now)
        gaps = self._store.gaps
        return [*gaps.list(since=since, source=source_of(worker)), *gaps.list(since=since, workers=False)]

    def _unsaid(self, gap: EventGap, now: float) -> list[TaskEvent]:
        """Return what follows when a process that dropped events has said all the rest: what it does not execute, and
        was not heard to end, ended in the gap."""
        runs = [
            *self._store.runs.started_on(gap.worker),
            *self._store.runs.load(self._attempts.of(gap.worker)).values(),
        ]
        cuts = self._cuts(runs, gap.worker, now)
        events: list[TaskEvent] = []
        for run in {run.id: run for run in runs}.values():
            for execution in open_since(run, gap.worker, gap.ended_at):
                if run.id in (gap.executing or ()):
                    event = sign_of_life(run, execution, now)
                else:
                    event = ending(run, execution, now, missed_in(execution, cuts))
                event.source = SOURCE
                events.append(event)
        return events

    def _of_predecessors(self, runs: Sequence[Run], worker: Worker, before: float, now: float) -> list[TaskEvent]:
        """Return the verdict for what an earlier process of this worker's name had started and cannot end any more."""
        reason = f"the process of worker {worker.worker} that executed this is gone, another one has its name"
        events: list[TaskEvent] = []
        if worker.worker.endswith(f":{worker.pid}"):
            # Its name tells its number, so an earlier one of this name had the same: only the time tells them apart.
            events += self._losses(runs, Departure(worker.worker, worker.pid, before, reason, again=True), now)
        for run in runs:
            pids = {
                _pid(execution): execution for execution in run.executions.values() if execution.worker == worker.worker
            }
            for pid, execution in pids.items():
                old = execution.started_at is not None and execution.started_at < before
                if pid and pid != worker.pid and old:
                    events += self._losses([run], Departure(worker.worker, pid, None, reason), now)
        return events

    def _pause_s(self) -> float:
        return _PAUSED_S + self.interval_s

    def _blind(self, now: float) -> frozenset[str]:
        """Return the sources that are cut. What came over one comes under the name of its kind, `celery-events`."""
        cut: set[str] = set()
        for gap in self._store.gaps.list(since=now - 3600.0, workers=False):
            if gap.ended_at is None:
                cut.add(gap.source)
                if gap.source.startswith(("celery", "redis", "amqp", "rediss", "amqps")):
                    cut.add("celery-events")
            else:
                self._listening_from = max(self._listening_from, gap.ended_at)
        return frozenset(cut)

    def _goodbyes(self, now: float) -> list[Departure]:
        """Return the workers that said goodbye a while ago: the end of what they executed would have been heard."""
        found = []
        for worker in self._registry.closed_before(now - _LEAST_GOODBYE_S):
            known = self._judged_goodbyes.get(worker.worker)
            if known == worker.last_seen_at or now - worker.last_seen_at < min(worker.interval_s, 10.0):
                continue
            self._judged_goodbyes[worker.worker] = worker.last_seen_at
            reason = f"worker {worker.worker} said goodbye while it was executing this"
            found.append(Departure(worker.worker, 0, None, reason))
        return found


def _loss(run: Run, execution: Execution, departure: Departure, gap: Gap | None, now: float) -> TaskEvent:
    reason, worker = departure.reason, departure.worker
    if gap is not None:
        reason = f"worker {worker} is gone, and how this ended may not have been heard ({gap.source}: {gap.reason})"
    return TaskEvent(
        kind=EventKind.LOST,
        run_id=run.id,
        at=max(now, execution.seen_at or 0.0),
        attempt=execution.number,
        execution=named(execution),
        worker=worker,
        evidence=Evidence.INFERRED if gap is None else Evidence.UNKNOWN,
        reason=reason,
        source=SOURCE,
    )


IN_MEMORY = frozenset({"fastapi", "apscheduler"})
"""Frameworks whose runs wait in the memory of the process that will execute them. A broker delivers again."""


def _is_over(run: Run, execution: Execution) -> bool:
    """Return whether the end of its process is the end of an execution."""
    state = execution.state()
    return state == "started" or (state == "received" and run.framework in IN_MEMORY)


def _ended_with(execution: Execution, departure: Departure) -> bool:
    if not departure.pid:
        return True
    _, mark, pid = execution.key.rpartition("#")
    if mark and pid.isdecimal() and not (departure.again and int(pid) == departure.pid):
        return int(pid) == departure.pid
    if departure.started_before is None or execution.started_at is None:
        return False
    return execution.started_at < departure.started_before


def _signs_of_life(runs: Iterable[Run], worker: Worker, now: float) -> list[TaskEvent]:
    """Return what takes the verdicts back: the process that executes these runs was only not heard."""
    return [
        replace(sign_of_life(run, execution, max(now, (execution.lost_at or 0.0) + 0.001)), source=SOURCE)
        for run in runs
        for execution in run.executions.values()
        if execution.worker == worker.worker and execution.state() == "lost" and _of_process(execution, worker)
    ]


def _of_process(execution: Execution, worker: Worker) -> bool:
    _, mark, pid = execution.key.rpartition("#")
    if mark and pid.isdecimal():
        return not worker.pid or int(pid) == worker.pid
    return True


def _pid(execution: Execution) -> int:
    _, mark, pid = execution.key.rpartition("#")
    return int(pid) if mark and pid.isdecimal() else 0
