"""Judging schedules again and again: which due times were kept, and who keeps the schedules at all."""

import threading
from collections.abc import Collection, Mapping
from dataclasses import replace

from huoyan.clock import Clock
from huoyan.model.run import view
from huoyan.model.schedule import Sighting, Slot, SlotVerdict
from huoyan.server.collect.metrics import Labels
from huoyan.server.collect.verdicts import SETTLE_S, is_too_fast, judge, patience_s
from huoyan.server.store import Gap, KnownSchedule, Store, Worker
from huoyan.signals.metrics.work import SCHEDULE_MISSED, SCHEDULE_TOO_FAST, SCHEDULE_TOO_OFTEN

INTERVAL_S = 2.0
SILENT_S = 150.0
"""A schedule that nobody spoke of for so long, in seconds, has no process any more that is known."""
FORGOTTEN_S = 86_400.0
LISTENING_EVERY_S = 5.0
ABSENT_S = 20.0
"""A server that did not listen for longer than this, in seconds, leaves a gap."""
RETAIN_EVERY_S = 3600.0
_BEFORE_S = 60.0
_MOST_OPEN = 5000
_MOST_AT_ONCE = 200
COUNTED = (SCHEDULE_MISSED, SCHEDULE_TOO_OFTEN, SCHEDULE_TOO_FAST)
"""The counters that are kept here."""
Key = tuple[str, str, str]
_OF_ONE_FRAMEWORK = frozenset({"celery", "rq"})


class Schedules:
    """The service that gives one verdict on every due time.

    It also notes that the server listens: when it did not, because it was down or stood still, that is a gap, and
    what was due in a gap and not heard of is unknown, not missed.

    Args:
        store: Where schedules, runs, workers and gaps are.
        clock: The time.
        retention_s: How long verdicts are kept, in seconds.
    """

    name = "schedules"
    interval_s = INTERVAL_S

    def __init__(self, store: Store, clock: Clock, retention_s: float = 14 * 86_400.0) -> None:
        self._store = store
        self._clock = clock
        self._retention_s = retention_s
        self._lock = threading.Lock()
        self._counts: dict[str, dict[str, float]] = {metric.name: {} for metric in COUNTED}
        self._open: dict[str, tuple[Key, Slot]] | None = None
        self._dead: dict[str, bool] = {}
        self._listened_at = 0.0
        self._retained_at = 0.0

    def counts(self) -> Mapping[str, Mapping[str, float]]:
        """Return how often each went wrong since the start, by metric and by the label of the schedule."""
        with self._lock:
            return {metric: dict(counts) for metric, counts in self._counts.items()}

    def dead(self) -> Mapping[Labels, float]:
        """Return 1 for each schedule whose scheduler is dead or frozen, 0 for each that is kept."""
        with self._lock:
            return {(("schedule", label),): float(dead) for label, dead in self._dead.items()}

    def run_once(self) -> int:
        """Judge what is ripe and return how many due times were missed."""
        now = self._clock.now()
        self._listen(now)
        workers = {worker.worker: worker for worker in self._store.workers.list()}
        gaps: list[Gap] | None = None
        found = 0
        dead: dict[str, bool] = {}
        schedules = self._store.schedules.list()
        keepers = {schedule.source for schedule in schedules if schedule.enabled}
        for schedule in schedules:
            with self._lock:
                for counts in self._counts.values():
                    counts.setdefault(schedule.label, 0.0)
            worker = workers.get(schedule.source)
            if schedule.enabled and kept_by_nobody(schedule, worker, now, keepers):
                self._store.schedules.disable(schedule)
                continue
            if schedule.enabled:
                dead[schedule.label] = dead.get(schedule.label, False) or is_dead(schedule, worker, now)
            skew_s = worker.clock_skew_s if worker is not None else 0.0
            if schedule.slot_at is None or now + skew_s < schedule.slot_at + SETTLE_S:
                continue
            if gaps is None:
                gaps = self._store.gaps.list(since=now - FORGOTTEN_S)
            found += self._judge(schedule, now, skew_s, gaps)
        with self._lock:
            self._dead = dead
        self._time(now)
        if now - self._retained_at >= RETAIN_EVERY_S:
            self._retained_at = now
            self._store.schedules.delete_before(now - self._retention_s)
        return found

    def _judge(self, schedule: KnownSchedule, now: float, skew_s: float, gaps: list[Gap]) -> int:
        assert schedule.slot_at is not None
        since = schedule.slot_at - skew_s - _BEFORE_S
        # All is judged by the clock that the schedule is kept by; what runs say was corrected to ours.
        sightings = [
            replace(one, fired_at=one.fired_at + skew_s, at=one.at if one.at != one.fired_at else one.fired_at + skew_s)
            for one in self._store.schedules.sightings(schedule, since, now)
        ]
        heard = [_shifted(gap, skew_s) for gap in gaps if _concerns(gap, schedule)]
        key = schedule.service, schedule.framework, schedule.id
        verdicts, slot_at = judge(now + skew_s, schedule, sightings, heard, self._going_on(key))
        if not verdicts:
            return 0
        new = self._store.schedules.judged(schedule, verdicts, slot_at, now)
        for slot in new:
            if slot.run_id and self._open is not None and len(self._open) < _MOST_OPEN:
                self._open[slot.run_id] = key, slot
        missed = sum(slot.verdict is SlotVerdict.MISSED for slot in new)
        self._count(SCHEDULE_MISSED.name, schedule.label, missed)
        self._count(SCHEDULE_TOO_OFTEN.name, schedule.label, sum(slot.verdict is SlotVerdict.REPEATED for slot in new))
        return missed

    def _count(self, metric: str, label: str, number: int) -> None:
        if number:
            with self._lock:
                self._counts[metric][label] = self._counts[metric].get(label, 0.0) + number

    def _going_on(self, key: Key) -> list[Sighting]:
        """Return the runs of a schedule that have not ended as far as is known."""
        ids = [run_id for run_id, (of, _) in (self._open or {}).items() if of == key]
        found = []
        for run in self._store.runs.load(ids).values() if ids else ():
            seen = view(run)
            found.append(Sighting(0.0, 0.0, run.id, "", seen.state.value, "", seen.started_at, seen.finished_at))
        return found

    def _time(self, now: float) -> None:
        """Take the time of runs that have ended, and find those that were too fast to have done their work."""
        if self._open is None:
            since = now - FORGOTTEN_S
            self._open = {slot.run_id: (key, slot) for key, slot in self._store.schedules.unfinished(since)}
        for run_id in list(self._open)[:_MOST_AT_ONCE]:
            key, slot = self._open.pop(run_id)
            run = self._store.runs.get(run_id)
            if run is None:
                continue
            seen = view(run)
            if not seen.final:
                if slot.at > now - FORGOTTEN_S:
                    self._open[run_id] = key, slot
            elif seen.state.value == "succeeded" and seen.duration_s is not None:
                usual_s = is_too_fast(seen.duration_s, self._store.schedules.durations(key))
                reason = slot.reason
                if usual_s is not None:
                    reason = f"took {seen.duration_s:.3f} s, usually {usual_s:.3g} s or more"
                    self._count(SCHEDULE_TOO_FAST.name, f"{key[0] or key[1]}/{key[2]}", 1)
                timed = replace(slot, duration_s=seen.duration_s, reason=reason)
                self._store.schedules.took(key, timed, None if usual_s is None else now)

    def _listen(self, now: float) -> None:
        if self._listened_at and abs(now - self._listened_at) < LISTENING_EVERY_S:
            return
        before = self._store.gaps.listening(now)
        if before is not None and now - before > ABSENT_S:
            reason = "it was not running" if not self._listened_at else "it stood still"
            self._store.gaps.open("server", before, reason)
            self._store.gaps.close("server", now)
        self._listened_at = now


def kept_by_nobody(
    schedule: KnownSchedule, worker: Worker | None, now: float, keepers: Collection[str] = frozenset()
) -> bool:
    """Return whether the process of a schedule ended on purpose, or went so long ago that nobody waits for it.

    One that was killed and replaced has ended on purpose as far as the other one keeps its schedules in turn: this one
    would be among them. Replaced by a process that keeps none, it is missed like one that nobody replaced.

    Args:
        keepers: Processes that keep schedules.
    """
    silent_s = now - schedule.heard_at
    if worker is None:
        return silent_s > FORGOTTEN_S
    if worker.replaced_by:
        return silent_s > (SILENT_S if worker.replaced_by in keepers else FORGOTTEN_S)
    return worker.state == "closed" and worker.last_seen_at >= schedule.heard_at - 1.0


def is_dead(schedule: KnownSchedule, worker: Worker | None, now: float) -> bool:
    """Return whether a schedule's scheduler is dead or frozen: its process is down, or it let a due time pass without
    naming the next one."""
    if not schedule.enabled:
        return False
    if (worker is None or worker.replaced_by) and now - schedule.heard_at > SILENT_S:
        return True
    if worker is not None and worker.state == "down":
        return True
    skew_s = worker.clock_skew_s if worker is not None else 0.0
    return schedule.next_due_at is not None and now + skew_s > schedule.next_due_at + patience_s(schedule)


def _concerns(gap: Gap, schedule: KnownSchedule) -> bool:
    """Return whether a gap says anything of a schedule: a Celery stream that was cut is nothing to APScheduler."""
    kind = gap.source.partition(" ")[0]
    return kind not in _OF_ONE_FRAMEWORK or kind == schedule.framework


def _shifted(gap: Gap, skew_s: float) -> Gap:
    ended_at = None if gap.ended_at is None else gap.ended_at + skew_s
    return replace(gap, started_at=gap.started_at + skew_s, ended_at=ended_at)
