"""The recorder: what becomes of a batch, from events to committed rows."""

import gc
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from huoyan.clock import Clock
from huoyan.model.event import EventGap, QueueReading, TaskEvent
from huoyan.model.rollup import Series
from huoyan.model.run import merge
from huoyan.server.collect.fold import (
    Bounds,
    Changes,
    Entry,
    by_minute,
    changes_of,
    look_at,
    merge_events,
)
from huoyan.server.collect.hand import Hand
from huoyan.server.collect.preparation import Preparation, Rejected, Told, sane_readings
from huoyan.server.collect.registry import Registry
from huoyan.server.collect.skew import SkewEstimator
from huoyan.server.collect.submission import Rejection, Submission
from huoyan.server.store import Store
from huoyan.server.store.counts import active, add_counts
from huoyan.server.store.failures import add_failures
from huoyan.server.store.gaps import source_of
from huoyan.server.store.writing import RunRows, RunWriter, load

_LOG = logging.getLogger(__name__)

_FIRST_BACKOFF_S = 0.05
_LONGEST_BACKOFF_S = 5.0
_LOG_EVERY_S = 10.0

MayTryAgain = Callable[[float], bool]
"""Waits for so many seconds and returns whether to try again."""


class _Changed(Exception):
    """Runs were written by somebody else since they were read."""

    def __init__(self, run_ids: set[str]) -> None:
        super().__init__(f"{len(run_ids)} runs")
        self.run_ids = run_ids


class _NotTaken(Exception):
    """The database refuses the values."""


@dataclass(slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        stored: Events that are stored.
        dropped: Events that the processes heard of had to drop since they last said so.
        rejected: Events that could not be merged.
        changes: What was written.
        queues: The readings of queues.
        workers: Whether something is new about workers.
        gaps: Times of which processes dropped events.
    """

    stored: int = 0
    dropped: int = 0
    rejected: Rejected = field(default_factory=dict)
    changes: list[Changes] = field(default_factory=list)
    queues: list[QueueReading] = field(default_factory=list)
    workers: bool = False
    gaps: list[EventGap] = field(default_factory=list)


class Recorder:
    """Makes rows of batches. Used by one thread at a time.

    Args:
        store: Where to.
        clock: The time.
        bounds: The budgets of what is counted apart.
        registry: Who executes.
        skew: How far clocks are off.
        live_runs: Runs kept in hand.
    """

    def __init__(
        self, store: Store, clock: Clock, bounds: Bounds, registry: Registry, skew: SkewEstimator, live_runs: int
    ) -> None:
        self._store = store
        self._clock = clock
        self._bounds = bounds
        self._registry = registry
        self._preparation = Preparation(registry, skew)
        self._hand = Hand(live_runs)
        self._highest = 0
        self._logged_at = float("-inf")

    def active(self) -> dict[Series, int]:
        """Return how many runs are being executed of each series, as stored."""
        with self._store.engine.connect() as connection:
            found: dict[Series, int] = {}
            for key, number in active(connection).items():
                series = self._bounds.series(Series(*key))
                found[series] = found.get(series, 0) + number
        return found

    def record(self, batch: Sequence[Submission], may_try_again: MayTryAgain) -> Outcome | None:
        """Store a batch, trying again until the database takes it.

        Args:
            batch: What to store.
            may_try_again: Waits between two tries.

        Returns:
            What became of it, None when there was no more time to try.
        """
        outcome = Outcome()
        told: dict[str, Told] = {}
        for submission in batch:
            outcome.dropped += self._preparation.prepare(submission, told, outcome.rejected, outcome.gaps)
            outcome.queues += sane_readings(submission.queues)
        if not self._record(told, outcome, may_try_again):
            return None
        refused = sum(len(rejections) for rejections in outcome.rejected.values())
        outcome.stored = sum(len(submission.events) for submission in batch) - refused
        return outcome

    def _record(self, told: dict[str, Told], outcome: Outcome, may_try_again: MayTryAgain) -> bool:
        """Store what is told of these runs, half by half if the database refuses the whole."""
        pause_s = _FIRST_BACKOFF_S
        while True:
            try:
                for gap in outcome.gaps:
                    # Before the rest, and as often as it takes: told twice, it is the same gap.
                    self._store.gaps.note(source_of(gap.worker), gap.started_at, gap.ended_at, reason=_missing(gap))
                with _uncollected():
                    self._attempt(told, outcome)
            except _NotTaken as refusal:
                if len(told) > 1:
                    names = list(told)
                    half = len(names) // 2
                    parts = names[:half], names[half:]
                    return all(
                        self._record({name: told[name] for name in part}, outcome, may_try_again) for part in parts
                    )
                self._reject(told, outcome, str(refusal))
                return True
            except SQLAlchemyError as error:
                cause = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
                self._log("the database does not take what is to be stored (%s); trying again in %g s", cause, pause_s)
                if not may_try_again(pause_s):
                    return False
                pause_s = min(pause_s * 2, _LONGEST_BACKOFF_S)
            else:
                return True

    def _attempt(self, told: dict[str, Told], outcome: Outcome) -> None:
        entries = self._fold(told, outcome)
        while True:
            changes = changes_of(entries)
            try:
                self._write(changes, outcome)
            except _Changed as changed:
                entries = self._reread(entries, changed.run_ids)
            else:
                break
        for entry in entries:
            entry.seen, entry.next = entry.next, None
        self._hand.keep(entries)
        outcome.changes.append(changes)

    def _fold(self, told: dict[str, Told], outcome: Outcome) -> list[Entry]:
        """Apply the events to the runs and look at what they have become."""
        hand = self._hand
        known = {run_id: entry for run_id in told if (entry := hand.get(run_id)) is not None}
        # Until the rows are committed these entries are ahead of the database: if anything fails, they are read again.
        hand.drop(known)
        missing = [run_id for run_id in told if run_id not in known]
        known |= self._load(missing)
        now = self._clock.now()
        bounds = self._bounds
        entries = []
        for run_id, events in told.items():
            entry = known.get(run_id)
            try:
                run = merge_events(entry.run if entry is not None else None, [event for event, _, _ in events])
                if entry is None:
                    entry = Entry(run)
                entry.next = look_at(run, now, bounds)
            except Exception:  # noqa: BLE001 - whatever one event does, the others of the batch are stored
                entry = self._fold_apart(run_id, events, outcome)
            if entry is not None:
                entries.append(entry)
        return entries

    def _load(self, run_ids: Sequence[str]) -> dict[str, Entry]:
        if not run_ids:
            return {}
        with _classified(), self._store.engine.connect() as connection:
            stored = load(connection, run_ids)
        return {
            run_id: Entry(one.run, one.n, one.version, look_at(one.run, 0.0, self._bounds))
            for run_id, one in stored.items()
        }

    def _fold_apart(self, run_id: str, events: Told, outcome: Outcome) -> Entry | None:
        """Apply the events of a run one by one to what is stored, and reject those that cannot be."""
        good: list[TaskEvent] = []
        for event, submission, index in events:
            try:
                stored = self._load([run_id]).get(run_id)
                run = merge_events(stored.run if stored is not None else None, [*good, event])
                look_at(run, 0.0, self._bounds)
            except Exception as error:  # noqa: BLE001 - it is the event's fault, whatever it is
                self._log("an event of run %r cannot be merged: %r", run_id, error)
                rejection = Rejection(index, run_id, f"cannot be merged: {type(error).__name__}: {error}"[:300])
                outcome.rejected.setdefault(id(submission), {})[index] = rejection
            else:
                good.append(event)
        if not good:
            return None
        entry = self._load([run_id]).get(run_id)
        run = merge_events(entry.run if entry is not None else None, good)
        if entry is None:
            entry = Entry(run)
        entry.next = look_at(run, self._clock.now(), self._bounds)
        return entry

    def _reject(self, told: dict[str, Told], outcome: Outcome, reason: str) -> None:
        self._hand.drop(told)
        for run_id, events in told.items():
            self._log("events of run %r cannot be stored: %s", run_id, reason)
            for _, submission, index in events:
                rejection = Rejection(index, run_id, f"cannot be stored: {reason}"[:300])
                outcome.rejected.setdefault(id(submission), {})[index] = rejection

    def _reread(self, entries: Iterable[Entry], run_ids: set[str]) -> list[Entry]:
        """Merge what others have written into the entries that were made from older versions."""
        entries = list(entries)
        fresh = self._load(sorted(run_ids))
        now = self._clock.now()
        for entry in entries:
            run_id = entry.run.id
            if run_id not in run_ids:
                continue
            theirs = fresh.get(run_id)
            if theirs is None:
                # Deleted since it was read: it starts over with what is known of it here.
                entry.n, entry.version, entry.seen = 0, 0, None
                continue
            entry.run = merge(theirs.run, entry.run)
            entry.n, entry.version, entry.seen = theirs.n, theirs.version, theirs.seen
            entry.next = look_at(entry.run, now, self._bounds)
        return entries

    def _write(self, changes: Changes, outcome: Outcome) -> None:
        """Write everything in one transaction.

        Raises:
            _Changed: Somebody else wrote some of the runs first; nothing is written. _NotTaken: The database refuses
            the values; nothing is written. SQLAlchemyError: The database is away or locked; nothing is written, or
            everything is and nobody said so, which
                the versions of the rows tell at the next try.
        """
        workers = self._registry.unsaved()
        minutes = by_minute(changes)
        names = chain((series for series, _ in minutes), (change.series for change in changes.failures))
        with _classified():
            ids = self._store.rollups.ids(set(names), self._clock.now())
            with self._store.engine.connect() as connection:
                if connection.dialect.name == "sqlite":
                    connection.exec_driver_sql("BEGIN IMMEDIATE")
                self._write_runs(connection, changes)
                add_counts(connection, changes.counts)
                if changes.failures:
                    add_failures(connection, changes.failures, ids)
                self._store.workers.save(workers, connection)
                self._store.queues.record(outcome.queues, connection)
                self._store.rollups.add(connection, minutes, ids)
                if changes.corrections or changes.found:
                    self._store.truth.record(connection, changes.corrections, changes.found, changes.settled)
                connection.commit()
        self._registry.saved(workers)
        outcome.workers = outcome.workers or bool(workers)

    def _write_runs(self, connection: Connection, changes: Changes) -> None:
        writer = RunWriter(connection)
        if changes.inserted:
            numbers = writer.numbers(len(changes.inserted), self._highest)
            for entry, n in zip(changes.inserted, numbers, strict=True):
                entry.n = n
            self._highest = numbers[-1]
        for entry in changes.entries:
            entry.version += 1
        changed = (
            writer.insert([_rows(entry) for entry in changes.inserted])
            | writer.update([_rows(entry) for entry in changes.moved], moving_only=True)
            | writer.update([_rows(entry) for entry in changes.rewritten], moving_only=False)
        )
        if changed:
            connection.rollback()
            for entry in changes.entries:
                entry.version -= 1
            raise _Changed(changed)
        writer.note_texts(entry.n for entry in changes.texts)

    def _log(self, message: str, *details: object) -> None:
        """Log a warning, but not one for each of a thousand."""
        if time.monotonic() - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = time.monotonic()
            _LOG.warning(message, *details)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for cycles while a batch is made into rows.

    A batch makes many objects and no cycles. Looking through them again and again, and through every run in hand, takes
    longer than all the rest.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _classified() -> Iterator[None]:
    """Tell a database that is away, which is tried again, from values that it will never take.

    Whatever else goes wrong (a table is gone, a statement is refused) is no fault of the events: they wait until it is
    put right.

    Raises:
        _NotTaken: The values are the reason.
    """
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise _NotTaken(" ".join(str(getattr(error, "orig", error)).split())) from error
    except (ValueError, OverflowError, TypeError) as error:
        raise _NotTaken(f"{type(error).__name__}: {error}") from error


def _missing(gap: EventGap) -> str:
    if not gap.events:
        return "what it said last was not kept: its file was full"
    return f"{gap.events} of its events were dropped"


def _rows(entry: Entry) -> RunRows:
    assert entry.next is not None
    return RunRows(entry.n, entry.version, entry.next.values, entry.next.state)
