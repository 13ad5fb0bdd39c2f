"""Schedules as their processes tell them, and the verdicts on their due times."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, func, select, update

from huoyan.model.run import view
from huoyan.model.schedule import Schedule, ScheduleKind, ScheduleReport, Sighting, Slot, SlotVerdict
from huoyan.server.store.codec import decode_run
from huoyan.server.store.schema.runs import run_states, runs
from huoyan.server.store.schema.watched import schedule_slots, schedules, workers
from huoyan.server.store.upsert import insert_into, replace_into

KEEPER_SILENT_S = 150.0
"""A process tells all its schedules once a minute: after this time without a word another one may speak for them."""
_MOST_RUNS = 5000
_OLDEST_S = 60.0
_TOLD = (
    "name",
    "task",
    "kind",
    "expression",
    "timezone",
    "next_due_at",
    "last_run_at",
    "grace_s",
    "ends_at",
    "source",
    "enabled",
)
_MEANING = ("kind", "expression", "timezone")


@dataclass(slots=True)
class KnownSchedule(Schedule):
    """A schedule and what was found out about it.

    Args:
        reported_at: When its process said so by its own clock, seconds since 1970 UTC.
        heard_at: When that was heard by the server's clock, seconds since 1970 UTC.
        slot_at: The first due time without a verdict; None: none is awaited.
        state: The verdict on the latest due time; empty before the first.
        last_state: The state of the latest run when it was judged.
        missed_count: Due times missed so far.
        last_missed_at: The latest of them.
    """

    reported_at: float = 0.0
    heard_at: float = 0.0
    slot_at: float | None = None
    state: str = ""
    last_state: str = ""
    missed_count: int = 0
    last_missed_at: float | None = None


class ScheduleStore:
    """The tables of schedules and slots."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def report(self, reports: Iterable[ScheduleReport], heard_at: float) -> int:
        """Keep what is told of schedules.

        One process at a time speaks for a schedule; what another one says counts when that is gone or silent.

        Args:
            reports: What was told, in any order.
            heard_at: When, by the server's clock, seconds since 1970 UTC.

        Returns:
            How many reports changed anything.
        """
        newest: dict[tuple[str, str, str], list[ScheduleReport]] = {}
        for report in reports:
            newest.setdefault((report.service, report.framework, report.id), []).append(report)
        if not newest:
            return 0
        changed = 0
        with self._engine.begin() as connection:
            for key, told in sorted(newest.items()):
                for report in sorted(told, key=lambda one: one.at):
                    changed += self._take(connection, key, report, heard_at)
        return changed

    def _take(self, connection: Connection, key: tuple[str, str, str], report: ScheduleReport, heard_at: float) -> bool:
        row = connection.execute(select(schedules).where(_is(key)).with_for_update()).one_or_none()
        known = None if row is None else _known(row)
        if known is not None and not self._speaks(connection, known, report, heard_at):
            return False
        values = {name: getattr(report, name) for name in _TOLD}
        values |= {"reported_at": report.at, "heard_at": heard_at, "slot_at": _awaited(known, report)}
        if known is None:
            service, framework, name = key
            values |= {"service": service, "framework": framework, "id": name}
            values |= {"state": "", "last_state": "", "missed_count": 0, "last_missed_at": None}
            connection.execute(replace_into(connection, schedules), [values])
        else:
            if report.last_run_at is None:
                del values["last_run_at"]
            connection.execute(update(schedules).where(_is(key)).values(**values))
        return True

    def _speaks(self, connection: Connection, known: KnownSchedule, report: ScheduleReport, heard_at: float) -> bool:
        """Return whether a report counts: it comes from the process that keeps the schedule, or that one is gone."""
        if known.source == report.source:
            return report.at >= known.reported_at
        if not known.enabled or heard_at - known.heard_at > KEEPER_SILENT_S:
            return report.enabled
        state = connection.execute(select(workers.c.state).where(workers.c.worker == known.source)).scalar()
        return report.enabled and state in ("down", "closed")

    def list(self) -> list[KnownSchedule]:
        """Return every schedule, by service and id."""
        order = schedules.c.service, schedules.c.framework, schedules.c.id
        with self._engine.connect() as connection:
            return [_known(row) for row in connection.execute(select(schedules).order_by(*order))]

    def sightings(self, schedule: Schedule, since: float, until: float) -> Sequence[Sighting]:
        """Return the runs of a schedule that were enqueued or started from `since` to `until`, seconds since 1970."""
        query = (
            select(run_states.c.state, runs.c.state.label("now"), runs.c.worker, runs.c.sort_at)
            .join(run_states, run_states.c.n == runs.c.n)
            .where(runs.c.sort_at >= since, runs.c.sort_at <= until, runs.c.framework == schedule.framework)
            .order_by(runs.c.sort_at)
            .limit(_MOST_RUNS)
        )
        if schedule.task:
            query = query.where(runs.c.task == schedule.task)
        if schedule.service:
            query = query.where(runs.c.service == schedule.service)
        found = []
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                run = decode_run(row.state)
                if run.labels.get("schedule") != schedule.id:
                    continue
                fired_at = float(row.sort_at)
                at = fired_at if run.eta is None else run.eta
                # Where a queue lies between, who executes it says nothing of who asked for it.
                asked_by = run.labels.get("scheduler") or row.worker
                seen = view(run)
                found.append(
                    Sighting(at, fired_at, run.id, asked_by, row.now, seen.reason, seen.started_at, seen.finished_at)
                )
        return found

    def judged(
        self, schedule: KnownSchedule, verdicts: Sequence[Slot], slot_at: float | None, now: float
    ) -> Sequence[Slot]:
        """Keep verdicts, each due time's first one for ever, and go on with `slot_at`.

        Returns:
            Those that are new.
        """
        key = (schedule.service, schedule.framework, schedule.id)
        new: list[Slot] = []
        with self._engine.begin() as connection:
            for slot in verdicts:
                statement = insert_into(connection, schedule_slots).on_conflict_do_nothing()
                values = asdict(slot) | {"service": key[0], "framework": key[1], "id": key[2], "judged_at": now}
                values["slot_at"] = values.pop("at")
                for name in ("run_state", "too_fast"):
                    del values[name]
                kept = connection.execute(statement.values(values).returning(schedule_slots.c.slot_at)).first()
                if kept is not None:
                    new.append(slot)
            # A report may have moved the awaited slot meanwhile: what it says of the future goes before.
            awaited = schedules.c.slot_at
            same = awaited.is_(None) if schedule.slot_at is None else awaited == schedule.slot_at
            connection.execute(update(schedules).where(_is(key), same).values(slot_at=slot_at))
            if new:
                last = new[-1]
                missed = [slot.at for slot in new if slot.verdict is SlotVerdict.MISSED]
                changes: dict[str, Any] = {"state": last.verdict.value}
                if last.run_id:
                    changes |= {"last_state": last.run_state}
                if missed:
                    changes |= {"missed_count": schedules.c.missed_count + len(missed), "last_missed_at": max(missed)}
                connection.execute(update(schedules).where(_is(key)).values(**changes))
        return new

    def disable(self, schedule: KnownSchedule) -> None:
        """Note that nobody keeps a schedule any more, unless somebody said otherwise meanwhile."""
        key = (schedule.service, schedule.framework, schedule.id)
        with self._engine.begin() as connection:
            connection.execute(
                update(schedules)
                .where(_is(key), schedules.c.heard_at == schedule.heard_at)
                .values(enabled=False, slot_at=None, next_due_at=None)
            )

    def recent_slots(self, limit: int = 30) -> Mapping[tuple[str, str, str], Sequence[Slot]]:
        """Return the latest verdicts on every schedule, oldest first, by (service, framework, id)."""
        table = schedule_slots.c
        key = table.service, table.framework, table.id
        place = func.row_number().over(partition_by=key, order_by=table.slot_at.desc()).label("place")
        ranked = select(schedule_slots, place).subquery()
        query = select(ranked).where(ranked.c.place <= limit).order_by(ranked.c.slot_at)
        found: dict[tuple[str, str, str], Any] = {}
        with self._engine.connect() as connection:
            for row in connection.execute(query):
                found.setdefault((row.service, row.framework, row.id), []).append(_slot(row))
        return found

    def slots(self, schedule: Schedule, limit: int = 100) -> Sequence[Slot]:
        """Return the latest verdicts on a schedule, newest first; the state of their runs is not kept."""
        table = schedule_slots.c
        query = (
            select(schedule_slots)
            .where(table.service == schedule.service, table.framework == schedule.framework, table.id == schedule.id)
            .order_by(table.slot_at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [_slot(row) for row in connection.execute(query)]

    def unfinished(self, since: float, limit: int = 2000) -> Sequence[tuple[tuple[str, str, str], Slot]]:
        """Return the due times from `since` on whose run has not succeeded as far as is known, oldest first."""
        table = schedule_slots.c
        query = (
            select(schedule_slots)
            .where(table.slot_at >= since, table.run_id != "", table.duration_s.is_(None))
            .order_by(table.slot_at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
        return [((row.service, row.framework, row.id), _slot(row)) for row in reversed(rows)]

    def durations(self, key: tuple[str, str, str], limit: int = 200) -> Sequence[float]:
        """Return how long the latest runs of a schedule took that succeeded and were not too fast, in seconds."""
        table = schedule_slots.c
        query = (
            select(table.duration_s)
            .where(table.service == key[0], table.framework == key[1], table.id == key[2])
            .where(table.duration_s.is_not(None), table.fast_at.is_(None))
            .order_by(table.slot_at.desc())
            .limit(limit)
        )
        with self._engine.connect() as connection:
            return [float(took_s) for took_s in connection.execute(query).scalars()]

    def took(self, key: tuple[str, str, str], slot: Slot, fast_at: float | None) -> None:
        """Keep how long the run of a due time took, and when that was found too fast, if it was."""
        table = schedule_slots.c
        with self._engine.begin() as connection:
            connection.execute(
                update(schedule_slots)
                .where(table.service == key[0], table.framework == key[1], table.id == key[2])
                .where(table.slot_at == slot.at)
                .values(duration_s=slot.duration_s, fast_at=fast_at, reason=slot.reason)
            )

    def found(self, verdict: SlotVerdict, since: float, until: float) -> Sequence[tuple[str, float]]:
        """Return `(label, when it was found)` of every verdict of a kind given from `since` to before `until`."""
        return self._found(schedule_slots.c.judged_at, since, until, schedule_slots.c.verdict == verdict.value)

    def found_fast(self, since: float, until: float) -> Sequence[tuple[str, float]]:
        """Return `(label, when it was found)` of every run found too fast from `since` to before `until`."""
        return self._found(schedule_slots.c.fast_at, since, until)

    def _found(self, at: Any, since: float, until: float, *conditions: Any) -> Sequence[tuple[str, float]]:
        table = schedule_slots.c
        query = select(table.service, table.framework, table.id, at.label("found_at"))
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(at >= since, at < until, *conditions))
            return [
                (Schedule(row.id, service=row.service, framework=row.framework).label, row.found_at) for row in rows
            ]

    def delete_before(self, at: float) -> int:
        """Forget verdicts on due times before `at`, and schedules nobody has kept since; return how many verdicts."""
        with self._engine.begin() as connection:
            gone = connection.execute(delete(schedule_slots).where(schedule_slots.c.slot_at < at)).rowcount
            connection.execute(delete(schedules).where(schedules.c.enabled.is_(False), schedules.c.heard_at < at))
        return gone


def _awaited(known: KnownSchedule | None, report: ScheduleReport) -> float | None:
    """Return the first due time to judge from now on: one that has passed stays, whatever is said of the future."""
    if known is not None and known.slot_at is not None and known.slot_at <= report.at:
        changed = known.enabled and report.enabled and any(getattr(known, n) != getattr(report, n) for n in _MEANING)
        if not changed:
            return known.slot_at
    due = report.next_due_at
    # A scheduler that starts with what it should have done days ago was not watched then: judging begins with it.
    return due if report.enabled and due is not None and due > report.at - _OLDEST_S else None


def _is(key: tuple[str, str, str]) -> Any:
    return and_(schedules.c.service == key[0], schedules.c.framework == key[1], schedules.c.id == key[2])


def _slot(row: Row[Any]) -> Slot:
    return Slot(
        row.slot_at,
        SlotVerdict(row.verdict),
        row.late_s,
        row.run_id,
        "",
        row.reason,
        row.duration_s,
        row.fast_at is not None,
    )


def _known(row: Row[Any]) -> KnownSchedule:
    values = dict(row._mapping)
    values["kind"] = ScheduleKind(values["kind"])
    return KnownSchedule(**values)
