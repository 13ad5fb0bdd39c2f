"""RQ's cron schedulers and their cron jobs: who is alive, what is due when, and which runs they asked for.

A scheduler is alive as long as its heartbeat in Redis moves, whatever time it shows: when that was seen is what counts.
It sleeps until something is due, so how long it may be silent is known, too. Of one whose process tells its schedules
by hooks nothing is said here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.model.event import EventKind, Evidence, ProcessReport, TaskEvent
from huoyan.model.job_identity import is_unique
from huoyan.model.schedule import ScheduleKind, ScheduleReport
from huoyan.server.ingest.rq_cron_clocks import CronClocks
from huoyan.server.ingest.rq_cron_records import CronRecord, SchedulerRecord
from huoyan.server.ingest.rq_cron_runs import CronRuns, Enqueued, Keeper
from huoyan.server.ingest.rq_reader import RqReader
from huoyan.server.ingest.rq_records import name
from huoyan.server.ingest.rq_translate import FRAMEWORK, SOURCE
from huoyan.server.store import Store

SLACK_S = 30.0
"""A scheduler that is so much longer silent than it sleeps, in seconds, is down."""
PRUNED_S = 100.0
"""RQ takes schedulers out of its list that were silent for two minutes; before that they can only leave themselves."""
SETTLE_S = 5.0
"""So long hooks in the process of a scheduler may take to be heard, in seconds, before it is spoken for here."""
TELL_EVERY_S = 30.0
HOOKS_EVERY_S = 3.0
_MOST_FUNCTIONS = 10_000
_OVERLAP_S = 60.0
"""Clocks of schedulers of one job may differ by this, in seconds: what one enqueues may stand behind another's."""


@dataclass(slots=True)
class CronLook:
    """What one look found.

    Args:
        processes: Schedulers that are alive, and those that said goodbye, with how far their clocks are ahead of ours
            in seconds, as far as that is known.
        schedules: Their cron jobs, as far as they changed or have to be told again. `RqCron.told` says that they were.
        events: Which runs they asked for.
    """

    processes: list[tuple[ProcessReport, float | None]] = field(default_factory=list)
    schedules: list[ScheduleReport] = field(default_factory=list)
    events: list[TaskEvent] = field(default_factory=list)


@dataclass(slots=True)
class _Scheduler:
    """A scheduler that was seen. Times other than that of the heartbeat are monotonic."""

    record: SchedulerRecord
    heartbeat: float
    since: float
    heard_at: float
    told: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)
    reported: bool = False
    ahead_s: float | None = None


class RqCron:
    """Looks at the cron schedulers of one Redis. Used by one thread.

    Args:
        reader: Reads it.
        service: Goes into what is told.
        store: Where it stands who else tells of schedules.
        clock: Time.
    """

    def __init__(self, reader: RqReader, service: str, store: Store, clock: Clock = SYSTEM_CLOCK) -> None:
        self._reader = reader
        self._service = service
        self._store = store
        self._clock = clock
        self._looked_at: float | None = None
        self._hooks: frozenset[tuple[str, int]] = frozenset()
        self._hooks_at = float("-inf")
        self._schedulers: dict[bytes, _Scheduler] = {}
        self._enqueued_at: dict[bytes, float] = {}
        self._seen: dict[bytes, frozenset[str]] = {}
        self._functions: dict[str, str] = {}
        self._runs = CronRuns()
        self.clocks = CronClocks()

    def look(self, since: float) -> CronLook:
        """Look once.

        Args:
            since: Jobs enqueued before this are left alone when they are seen for the first time.

        Raises:
            redis.RedisError, OSError: The Redis does not answer.
        """
        found = CronLook()
        began = self._clock.now()
        heartbeats, enqueued = self._reader.cron_times()
        now, monotonic = self._clock.now(), self._clock.monotonic()
        self._hear(heartbeats, now, monotonic)
        self._looked_at = began
        if self._schedulers and monotonic - self._hooks_at >= HOOKS_EVERY_S:
            self._hooks_at = monotonic
            self._hooks = self._hooked()
        for key in [key for key in self._schedulers if key not in heartbeats]:
            gone = self._schedulers.pop(key)
            self._runs.forget(gone.record.name)
            if monotonic - gone.heard_at < PRUNED_S:
                self._leave(gone, found)
        for scheduler in self._schedulers.values():
            if self._is_hooked(scheduler):
                self._leave(scheduler, found)
            elif monotonic - scheduler.since >= SETTLE_S:
                self._tell(scheduler, monotonic, found)
        self._take(enqueued, since)
        found.events += self._asked_for(now)
        self.clocks.put_right(found.events, now)
        return found

    def told(self, schedules: Iterable[ScheduleReport]) -> None:
        """Note that schedules were kept."""
        monotonic = self._clock.monotonic()
        by_source = {scheduler.record.name: scheduler for scheduler in self._schedulers.values()}
        for one in schedules:
            scheduler = by_source.get(one.source)
            if scheduler is None:
                continue
            if one.enabled:
                scheduler.told[one.id] = _meaning(one), monotonic
            else:
                scheduler.told.pop(one.id, None)

    # Schedulers.

    def _hear(self, heartbeats: Mapping[bytes, float], now: float, monotonic: float) -> None:
        known = self._schedulers
        beating = [key for key, at in heartbeats.items() if key not in known or known[key].heartbeat != at]
        if not beating:
            return
        for key, record in self._reader.cron_schedulers(beating).items():
            scheduler = known.get(key)
            if scheduler is None:
                scheduler = known[key] = _Scheduler(record, heartbeats[key], monotonic, monotonic)
            scheduler.record, scheduler.heartbeat, scheduler.heard_at = record, heartbeats[key], monotonic
            scheduler.reported = False
            if self._looked_at is not None:
                scheduler.ahead_s = self.clocks.heard(record.name, scheduler.heartbeat, self._looked_at, now)
            self._runs.written(record.name, record.jobs)

    def _hooked(self) -> frozenset[tuple[str, int]]:
        """Return (host, process id) of the processes that tell schedules of RQ by hooks."""
        own = {scheduler.record.name for scheduler in self._schedulers.values()}
        names = {schedule.source for schedule in self._store.schedules.list() if schedule.framework == FRAMEWORK} - own
        workers = self._store.workers.list() if names else ()
        return frozenset((w.host, w.pid) for w in workers if w.worker in names and w.pid and w.state != "closed")

    def _is_hooked(self, scheduler: _Scheduler) -> bool:
        return (scheduler.record.host, scheduler.record.pid) in self._hooks

    def _tell(self, scheduler: _Scheduler, monotonic: float, found: CronLook) -> None:
        """Say that a scheduler is alive, and what it keeps."""
        record = scheduler.record
        if not scheduler.reported:
            scheduler.reported = True
            found.processes.append((self._report(scheduler), scheduler.ahead_s))
        if monotonic - scheduler.heard_at >= TELL_EVERY_S:
            return
        at = max((job.last_run_at for job in record.jobs if job.last_run_at is not None), default=0.0)
        kept = {job.id for job in record.jobs}
        for job in record.jobs:
            one = self._schedule(job, record.name, max(at, scheduler.heartbeat))
            meaning, told_at = scheduler.told.get(job.id, ({}, 0.0))
            if meaning != _meaning(one) or monotonic - told_at >= TELL_EVERY_S:
                found.schedules.append(one)
        found.schedules += self._taken_out(scheduler, scheduler.told.keys() - kept)

    def _leave(self, scheduler: _Scheduler, found: CronLook) -> None:
        """Say that a scheduler keeps nothing any more, or that another voice speaks for it."""
        if scheduler.told:
            found.schedules += self._taken_out(scheduler, scheduler.told)
            report = self._report(scheduler)
            report.closing = True
            found.processes.append((report, None))

    def _taken_out(self, scheduler: _Scheduler, ids: Iterable[str]) -> list[ScheduleReport]:
        found = []
        for each in ids:
            fields, _ = scheduler.told[each]
            fields = {**fields, "enabled": False, "next_due_at": None}
            found.append(ScheduleReport(**fields, at=max(scheduler.heartbeat, fields["last_run_at"] or 0.0)))
        return found

    def _report(self, scheduler: _Scheduler) -> ProcessReport:
        record = scheduler.record
        return ProcessReport(
            worker=record.name,
            service=self._service,
            framework=FRAMEWORK,
            host=record.host,
            pid=record.pid,
            started_at=record.created_at or 0.0,
            # Three of these overdue, and it is down.
            interval_s=(record.sleeps_s(scheduler.heartbeat) + SLACK_S) / 3,
        )

    def _schedule(self, job: CronRecord, source: str, at: float) -> ScheduleReport:
        return ScheduleReport(
            id=job.id,
            name=job.name,
            service=self._service,
            framework=FRAMEWORK,
            task=self._functions.get(job.id, job.task),
            kind=job.kind,
            expression=job.expression,
            timezone="UTC" if job.kind is ScheduleKind.CRON else "",
            next_due_at=job.next_due_at,
            last_run_at=job.last_run_at,
            source=source,
            at=at,
        )

    # Runs.

    def _take(self, enqueued: Mapping[bytes, float], since: float) -> None:
        """Read what was enqueued since the last look."""
        # RQ 2.11 has the records and no list of them.
        records = (record for scheduler in self._schedulers.values() for record in scheduler.record.jobs)
        unlisted = {record.name.encode(): record.last_run_at for record in records if record.last_run_at is not None}
        enqueued = unlisted | dict(enqueued)
        changed = {key: at for key, at in enqueued.items() if self._enqueued_at.get(key) != at}
        if not changed:
            return
        before = {key: self._enqueued_at.get(key, since + _OVERLAP_S) - _OVERLAP_S for key in changed}
        for key, places in self._reader.cron_history(before).items():
            seen = self._seen.get(key, frozenset())
            # Ids that are not unique do not tell their run.
            new = [place for place in reversed(places) if place[0] not in seen and is_unique(place[0])]
            self._runs.enqueued(Enqueued(name(key), job_id, at) for job_id, at in new)
            for job_id, _ in new:
                self.clocks.asked_for(job_id, "")
            self._seen[key] = frozenset(job_id for job_id, at in places if at >= changed[key] - _OVERLAP_S)
        self._enqueued_at = dict(enqueued)
        self._seen = {key: ids for key, ids in self._seen.items() if key in enqueued}
        if len(self._functions) > _MOST_FUNCTIONS:
            self._functions.clear()

    def _asked_for(self, now: float) -> list[TaskEvent]:
        keepers: dict[str, list[Keeper]] = {}
        for scheduler in self._schedulers.values():
            for record in scheduler.record.jobs:
                keepers.setdefault(record.name, []).append(Keeper(scheduler.record.name, record))
        settled = self._runs.settle(keepers)
        if not settled:
            return []
        hooked = {scheduler.record.name for scheduler in self._schedulers.values() if self._is_hooked(scheduler)}
        try:
            functions = self._reader.functions([one.job_id for one, _ in settled])
        except (OSError, redis.RedisError):
            self._runs.enqueued(one for one, _ in settled)
            raise
        events: list[TaskEvent] = []
        for one, keeper in settled:
            function = functions[one.job_id]
            if keeper is not None and keeper.scheduler in hooked:
                continue
            self.clocks.asked_for(one.job_id, keeper.scheduler if keeper is not None else "")
            job: CronRecord | None = keeper.job if keeper is not None else None
            if function and job is not None and function != job.task:
                # RQ's cron knows a method by its own name alone.
                self._functions[job.id] = function
            done_and_gone = function is None and job is not None and job.result_ttl_s == 0
            if function is None and not done_and_gone:
                # What became of it Redis does not tell any more.
                continue
            labels = {"trigger": "cron", "schedule": job.id if job is not None else one.name}
            if keeper is not None:
                labels["scheduler"] = keeper.scheduler
            events.append(self._event(EventKind.QUEUED, one, one.at, labels))
            if done_and_gone and job is not None:
                events[-1].task, events[-1].queue = job.task, job.queue
                ended = self._event(EventKind.SUCCEEDED, one, now)
                ended.evidence = Evidence.INFERRED
                ended.reason = "gone from Redis, as RQ does after a success with result_ttl=0"
                events.append(ended)
        return events

    def _event(self, kind: EventKind, one: Enqueued, at: float, labels: dict[str, str] | None = None) -> TaskEvent:
        return TaskEvent(kind, one.job_id, at, "", self._service, FRAMEWORK, labels=labels, source=SOURCE)


def _meaning(one: ScheduleReport) -> dict[str, Any]:
    """Return what a schedule says, without when it said so."""
    names = ("id", "name", "service", "framework", "task", "kind", "expression", "timezone")
    return {each: getattr(one, each) for each in (*names, "next_due_at", "last_run_at", "source", "enabled")}
