"""Folding: what a batch of events makes of the runs it speaks of, and what that changes in the counts. No input, no
output.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from huoyan.model.event import ExceptionInfo, TaskEvent
from huoyan.model.fingerprint import fingerprint, title
from huoyan.model.labels import Budget
from huoyan.model.rollup import Fact, FactKind, Rollup, Series, delta_of_facts, facts_of, series_of, slot_of
from huoyan.model.run import BAD_STATES, Run, RunState, RunView, apply, view
from huoyan.server.collect.recent import MINUTE_S, SLOT_S
from huoyan.server.store.codec import encode_run
from huoyan.server.store.counts import Cell
from huoyan.server.store.failures import FailureChange
from huoyan.server.store.rollups import RollupChange
from huoyan.server.store.truth import Correction, Discrepancy
from huoyan.server.store.writing import RowValues


class Bounds:
    """The budgets of what is counted apart: series, and types of exceptions. What is beyond them counts as `other`."""

    def __init__(self, series: int, exceptions: int = 1000) -> None:
        self._series = Budget("huoyan_task_*", ("service", "task", "queue"), limit=series, per_label=series)
        self._exceptions = Budget("huoyan_task_failures_total", ("exception",), limit=exceptions, per_label=exceptions)

    def series(self, asked: Series) -> Series:
        """Return the series to count in."""
        admitted = self._series.admit(asked)
        return asked if admitted is asked else Series(*admitted)

    def facts(self, facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
        """Return the facts to count."""
        last = facts[-1] if facts else None
        if last is None or last.kind is not FactKind.EXCEPTION:
            return facts
        (label,) = self._exceptions.admit((last.label,))
        return facts if label == last.label else (*facts[:-1], last._replace(label=label))


_FARTHEST_S = 1e12
"""No time or duration is beyond this; whatever says so is in milliseconds, or broken."""

_fingerprint = lru_cache(maxsize=4096)(fingerprint)
_title = lru_cache(maxsize=4096)(title)
_MAX_REASON_CHARS = 500
"""Of a reason in the title of a failure group; what is cut off cannot be said in another language."""


@dataclass(slots=True)
class Look:
    """A run as it is stored and counted, worked out once."""

    values: RowValues
    state: bytes
    series: Series
    facts: tuple[Fact, ...]
    cell: Cell
    failure: tuple[str, float] | None
    texts: tuple[bool, bool, str]
    started: bool
    final: bool
    doubled: bool = False


@dataclass(slots=True)
class Entry:
    """A run the collector has in hand: as it is stored (`seen`, None when it is new), and as it will be (`next`).

    `n` and `version` are those of the stored rows, 0 when there are none.
    """

    run: Run
    n: int = 0
    version: int = 0
    seen: Look | None = None
    next: Look | None = None


def add_fingerprint(event: TaskEvent) -> None:
    """Give the exception of an event its identity when the sender did not."""
    exception = event.exception
    if exception is not None and not exception.fingerprint:
        event.exception = ExceptionInfo(
            exception.type,
            exception.message,
            exception.traceback,
            _fingerprint(exception.type, exception.message, exception.traceback),
        )


def reason_to_reject(event: TaskEvent) -> str:
    """Return why an event cannot be merged, empty when it can."""
    if not event.run_id:
        return "run_id: expected a name, got nothing"
    at = event.at
    if -_FARTHEST_S < at < _FARTHEST_S and event.duration_s is None and event.eta is None and event.expires is None:
        return ""
    for name in ("at", "eta", "expires", "duration_s"):
        value = getattr(event, name)
        if value is not None and not (math.isfinite(value) and abs(value) < _FARTHEST_S):
            return f"{name}: expected a finite number of seconds, got {value!r}"
    return ""


def merge_events(run: Run | None, events: Iterable[TaskEvent]) -> Run:
    """Apply the events to a run, in place."""
    for event in events:
        run = apply(run, event)
    assert run is not None
    return run


def look_at(run: Run, now: float, bounds: Bounds) -> Look:
    """Work out how a run is stored and counted.

    Args:
        run: Its merge state.
        now: The time that the row says it was written at, seconds since 1970 UTC.
        bounds: The budgets of what is counted apart.
    """
    seen = view(run)
    failure = failure_of(seen)
    mark = failure[0] if failure is not None else ""
    sort_at = seen.enqueued_at
    if sort_at is None:
        sort_at = seen.started_at if seen.started_at is not None else seen.first_at
    state = seen.state.value
    cell = (seen.service, seen.framework, seen.task, seen.queue, seen.worker, state)
    root_id = run.root_id
    return Look(
        values=(
            seen.id,
            seen.task,
            seen.service,
            seen.framework,
            seen.queue,
            state,
            seen.evidence,
            seen.worker,
            sort_at,
            seen.enqueued_at,
            seen.started_at,
            seen.finished_at,
            seen.wait_s,
            seen.duration_s,
            len(seen.attempts),
            mark,
            run.parent_id,
            root_id,
            run.group_id,
            now,
        ),
        state=encode_run(run),
        series=bounds.series(series_of(seen)),
        facts=bounds.facts(facts_of(seen)),
        cell=cell,
        failure=failure,
        texts=(run.args is not None, run.kwargs is not None, _exception_mark(seen)),
        started=seen.state is RunState.STARTED,
        final=seen.final,
        doubled=len(seen.attempts) > 1 and any(attempt.duplicate for attempt in seen.attempts),
    )


def failure_of(seen: RunView) -> tuple[str, float] | None:
    """Return the fingerprint of the failure group that a run counts in and when it failed, None when it did not."""
    if seen.state not in BAD_STATES:
        return None
    exception = seen.exception
    if exception is not None:
        mark = exception.fingerprint or _fingerprint(exception.type, exception.message, exception.traceback)
    else:
        mark = _fingerprint(seen.state.value, seen.reason, "")
    return mark, seen.finished_at if seen.finished_at is not None else seen.last_at


def _exception_mark(seen: RunView) -> str:
    for attempt in reversed(seen.attempts):
        if attempt.exception is not None:
            return attempt.exception.fingerprint or attempt.exception.type
    return ""


def failure_name(run: Run) -> tuple[str, str]:
    """Return (type, title) of the failure group of a run that failed."""
    seen = view(run)
    if seen.exception is not None:
        return seen.exception.type, _title(seen.exception.type, seen.exception.message)
    return seen.state.value, _title(seen.state.value, seen.reason, _MAX_REASON_CHARS)


@dataclass(slots=True)
class Changes:
    """What a batch changes, ready to be written in one transaction.

    Attributes:
        inserted: Runs that are new.
        moved: Runs of which only columns differ that change on a run's way.
        rewritten: Runs of which other columns differ too.
        counted: `(series, start of the 5 second slot)` → what is counted there that was not counted before.
        corrected: The same for facts that were counted already and are put right, in part or whole.
        counts: Kind of run → how many more.
        failures: Runs in and out of failure groups.
        texts: Entries whose searchable text is new.
        news: What counters that never fall count besides everything in `counted`.
        active: Series → how many more are being executed.
        workers: Workers that started or ended something.
        corrections: States that were put right or worked out by us.
        found: Runs that keep an account from adding up.
        settled: Runs that turned out not to have vanished.
    """

    inserted: list[Entry] = field(default_factory=list)
    moved: list[Entry] = field(default_factory=list)
    rewritten: list[Entry] = field(default_factory=list)
    counted: dict[tuple[Series, int], Rollup] = field(default_factory=dict)
    corrected: dict[tuple[Series, int], RollupChange] = field(default_factory=dict)
    counts: dict[Cell, int] = field(default_factory=dict)
    failures: list[FailureChange] = field(default_factory=list)
    texts: list[Entry] = field(default_factory=list)
    news: list[tuple[Series, Fact]] = field(default_factory=list)
    active: dict[Series, int] = field(default_factory=dict)
    workers: set[str] = field(default_factory=set)
    corrections: list[Correction] = field(default_factory=list)
    found: list[Discrepancy] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)

    @property
    def entries(self) -> Iterable[Entry]:
        """Every run that is written."""
        yield from self.inserted
        yield from self.moved
        yield from self.rewritten


# Where the columns stand that rarely change: all but those that `RunWriter` takes for moving.
_STILL = slice(0, 5), slice(8, 10), slice(15, 19)


def changes_of(entries: Sequence[Entry]) -> Changes:
    """Return what changes when every entry goes from `seen` to `next`. Entries that stay what they are are left out."""
    changes = Changes()
    counts = changes.counts
    for entry in entries:
        seen, after = entry.seen, entry.next
        assert after is not None
        if after.started or after.final:
            changes.workers.add(after.cell[4])
        if after.doubled and (seen is None or not seen.doubled):
            changes.found.append(_discrepancy(after, "doubled", "it was executed again after it had succeeded"))
        if seen is None:
            changes.inserted.append(entry)
            counts[after.cell] = counts.get(after.cell, 0) + 1
            _count(changes, after.series, after.facts)
            if after.started:
                changes.active[after.series] = changes.active.get(after.series, 0) + 1
            if after.failure is not None:
                changes.failures.append(_failure_change(entry, after, 1))
            if any(after.texts):
                changes.texts.append(entry)
            continue
        if seen.state == after.state and seen.values[:-1] == after.values[:-1]:
            continue
        still = all(seen.values[part] == after.values[part] for part in _STILL)
        (changes.moved if still else changes.rewritten).append(entry)
        if seen.cell != after.cell:
            if (seen.final or after.values[_EVIDENCE] != "reported") and seen.cell[5] != after.cell[5]:
                _correct(changes, entry, seen, after)
            counts[seen.cell] = counts.get(seen.cell, 0) - 1
            counts[after.cell] = counts.get(after.cell, 0) + 1
        if seen.facts != after.facts or seen.series != after.series:
            _count_difference(changes, seen, after)
        if seen.started:
            changes.active[seen.series] = changes.active.get(seen.series, 0) - 1
        if after.started:
            changes.active[after.series] = changes.active.get(after.series, 0) + 1
        if seen.failure != after.failure or (after.failure is not None and seen.series != after.series):
            if seen.failure is not None:
                changes.failures.append(_failure_change(entry, seen, -1))
            if after.failure is not None:
                changes.failures.append(_failure_change(entry, after, 1))
        if seen.texts != after.texts:
            changes.texts.append(entry)
    return changes


_EVIDENCE = 6
"""Where it stands among the columns."""


def _correct(changes: Changes, entry: Entry, seen: Look, after: Look) -> None:
    """Note that a state that nothing leaves by itself was left, or that a state was worked out and not reported."""
    before, state, evidence = seen.cell[5], after.cell[5], str(after.values[_EVIDENCE])
    reason = view(entry.run).reason or "it was heard of again"
    changes.corrections.append(Correction(after.values[0], after.values[-1], before, state, evidence, reason))
    if state in _GONE and evidence != "reported" and not after.cell[4]:
        changes.found.append(_discrepancy(after, "vanished", reason))
    elif before in _GONE and state not in _GONE:
        changes.settled.add(after.values[0])


_GONE = frozenset({"lost", "dead"})


def _discrepancy(after: Look, kind: str, reason: str) -> Discrepancy:
    run_id, _, service, framework, queue = after.values[:5]
    return Discrepancy(run_id, kind, service, framework, queue, after.values[-1], reason)


def _count(changes: Changes, series: Series, facts: Iterable[Fact]) -> None:
    counted = changes.counted
    for fact in facts:
        key = (series, slot_of(fact.at, SLOT_S))
        rollup = counted.get(key)
        if rollup is None:
            rollup = counted[key] = Rollup()
        rollup.count(fact)


def _count_difference(changes: Changes, seen: Look, after: Look) -> None:
    change = delta_of_facts(seen.series, seen.facts, after.series, after.facts)
    if not change.taken:
        _count(changes, after.series, change.added)
        return
    for fact in change.taken:
        slot = _correction(changes, seen.series, fact)
        if slot.taken is None:
            slot.taken = Rollup()
        slot.taken.count(fact)
    for fact in change.added:
        _correction(changes, after.series, fact).added.count(fact)
    changes.news += [(after.series, fact) for fact in change.news]


def _correction(changes: Changes, series: Series, fact: Fact) -> RollupChange:
    key = (series, slot_of(fact.at, SLOT_S))
    change = changes.corrected.get(key)
    if change is None:
        change = changes.corrected[key] = RollupChange()
    return change


def _failure_change(entry: Entry, look: Look, more: int) -> FailureChange:
    assert look.failure is not None
    # What a group is called is written once, when the first run comes in.
    kind, name = failure_name(entry.run) if more > 0 else ("", "")
    mark, at = look.failure
    return FailureChange(mark, kind, name, look.series, at, entry.run.id, more)


def by_minute(changes: Changes) -> dict[tuple[Series, int], RollupChange]:
    """Return what changes in the rollups of minutes; the changes of slots are left as they are."""
    minutes: dict[tuple[Series, int], RollupChange] = {}
    for (series, slot), rollup in changes.counted.items():
        _minute(minutes, series, slot).added.merge(rollup)
    for (series, slot), change in changes.corrected.items():
        minute = _minute(minutes, series, slot)
        minute.added.merge(change.added)
        if change.taken is not None:
            if minute.taken is None:
                minute.taken = Rollup()
            minute.taken.merge(change.taken)
    return minutes


def _minute(minutes: dict[tuple[Series, int], RollupChange], series: Series, slot: int) -> RollupChange:
    key = (series, slot // MINUTE_S * MINUTE_S)
    minute = minutes.get(key)
    if minute is None:
        minute = minutes[key] = RollupChange()
    return minute
