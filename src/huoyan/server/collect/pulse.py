"""Runs that promised signs of life, and those that owe one: they are stuck."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from huoyan.clock import Clock
from huoyan.model.run import Run, RunState, view
from huoyan.server.collect.fold import Entry
from huoyan.server.collect.hearing import LOOK_BACK_S, heard_from
from huoyan.server.collect.live import Bus
from huoyan.server.collect.metrics import Labels
from huoyan.server.store import RunFilters, Store
from huoyan.server.store.truth import StuckRun

INTERVAL_S = 1.0
_MOST = 100_000
_RESTORED = 5_000


@dataclass(slots=True)
class Pulse:
    """A run that is executed and promised a sign of life every `interval_s` seconds. `heard_at` is by our clock."""

    run_id: str
    interval_s: float
    heard_at: float
    service: str
    task: str
    queue: str


def overdue(now: float, pulses: Iterable[Pulse], missed: int, since: float) -> dict[str, StuckRun]:
    """Return the runs that owe more than `missed` signs of life, by id.

    Args:
        now: Seconds since 1970 UTC.
        pulses: The runs that promised them.
        missed: How many may be overdue.
        since: Silence before this time does not count, because nobody listened.
    """
    return {
        pulse.run_id: StuckRun(pulse.run_id, pulse.heard_at, pulse.service, pulse.task, pulse.queue)
        for pulse in pulses
        if now - max(pulse.heard_at, since) > missed * pulse.interval_s
    }


class Pulses:
    """The runs that promised signs of life and are executed now. Safe to use from any thread.

    Args:
        promises: Task → seconds, for runs that promise nothing themselves.
    """

    def __init__(self, promises: Mapping[str, float]) -> None:
        self._promises = promises
        self._lock = threading.Lock()
        self._pulses: dict[str, Pulse] = {}

    def note(self, entries: Iterable[Entry], now: float) -> None:
        """Take what was just stored: each of these runs was heard of now."""
        promises, pulses = self._promises, self._pulses
        for entry in entries:
            run, look = entry.run, entry.seen
            interval_s = run.heartbeat_s
            if interval_s is None:
                interval_s = promises.get(run.task) if promises else None
                if interval_s is None:
                    continue
            if look is None or not look.started:
                if run.id in pulses:
                    with self._lock:
                        pulses.pop(run.id, None)
            elif len(pulses) < _MOST:
                series = look.series
                with self._lock:
                    pulses[run.id] = Pulse(run.id, interval_s, now, series.service, run.task, series.queue)

    def restore(self, runs: Iterable[Run], now: float) -> None:
        """Take runs from the store; their silence counts from now on."""
        for run in runs:
            interval_s = run.heartbeat_s or self._promises.get(run.task)
            if interval_s is not None:
                seen = view(run)
                pulse = Pulse(run.id, interval_s, now, seen.service, seen.task, seen.queue)
                with self._lock:
                    self._pulses.setdefault(run.id, pulse)

    def all(self) -> list[Pulse]:
        """Return every run that promised signs of life."""
        with self._lock:
            return list(self._pulses.values())


class Stuck:
    """The service that finds stuck runs, and those that are stuck no longer.

    Args:
        missed: So many signs of life overdue, and a run is stuck.
    """

    name = "stuck runs"
    interval_s = INTERVAL_S

    def __init__(self, store: Store, pulses: Pulses, bus: Bus, clock: Clock, missed: int) -> None:
        self._store = store
        self._pulses = pulses
        self._bus = bus
        self._clock = clock
        self._missed = missed
        self._stuck: dict[str, StuckRun] | None = None

    def run_once(self) -> None:
        """Judge once."""
        if self._stuck is None:
            self._stuck = self._store.truth.stuck()
            started = RunFilters(state=(RunState.STARTED.value,))
            self._pulses.restore(self._store.runs.page(started, _RESTORED).items, self._clock.now())
        pulses = self._pulses.all()
        if not pulses and not self._stuck:
            return
        now = self._clock.now()
        since = heard_from(self._store.gaps.list(since=now - LOOK_BACK_S, workers=False))
        stuck = overdue(now, pulses, self._missed, since)
        alive = {pulse.run_id for pulse in pulses if now - pulse.heard_at <= self._missed * pulse.interval_s}
        executing = {pulse.run_id for pulse in pulses}
        added = [one for run_id, one in stuck.items() if run_id not in self._stuck]
        # Whoever is silent over a gap stays what he was.
        removed = [run_id for run_id in self._stuck if run_id in alive or run_id not in executing]
        if not added and not removed:
            return
        self._store.truth.set_stuck(added, removed)
        self._stuck = {**{i: one for i, one in self._stuck.items() if i not in removed}, **stuck}
        self._bus.publish("counts", {})

    def gauge(self) -> dict[Labels, float]:
        """Return how many runs of each service, task and queue are stuck."""
        found: dict[Labels, float] = {}
        for one in list((self._stuck or {}).values()):
            key = (("service", one.service), ("task", one.task), ("queue", one.queue))
            found[key] = found.get(key, 0.0) + 1.0
        return found
