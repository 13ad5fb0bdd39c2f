"""What is counted of runs: the facts of a view, and the rollups that facts add up to.

Whatever is counted is counted as a difference of facts: what a run's view says now less what it said before. The sum
over all events of a run is then what its last view says, in whatever order and however often they came, and a
correction (a lost run that succeeded after all) takes back exactly what was counted.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from huoyan.model.histogram import Histogram
from huoyan.model.run import FINAL_STATES, RunState, RunView


class Series(NamedTuple):
    """What is counted together."""

    service: str
    task: str
    queue: str


class FactKind(IntEnum):
    """What a fact counts."""

    ENQUEUED = 0
    """The run was asked for."""
    STARTED = 1
    """An attempt started."""
    WAIT = 2
    """The run waited `value` seconds for its first start."""
    DURATION = 3
    """An attempt that ended as `label` took `value` seconds."""
    RETRY = 4
    """An attempt ended with the decision to try again."""
    FINISHED = 5
    """The run entered the final state `label`."""
    EXCEPTION = 6
    """The run failed with an exception of type `label`."""
    DUPLICATE = 7
    """The run was executed again after it had succeeded."""


class Fact(NamedTuple):
    """One thing to count, at a time in seconds since 1970 UTC. `number` tells the attempts of a run apart."""

    kind: FactKind
    label: str
    at: float
    value: float
    number: int


_ENQUEUED = FactKind.ENQUEUED
_STARTED = FactKind.STARTED
_WAIT = FactKind.WAIT
_DURATION = FactKind.DURATION
_RETRY = FactKind.RETRY
_FINISHED = FactKind.FINISHED
_EXCEPTION = FactKind.EXCEPTION
_DUPLICATE = FactKind.DUPLICATE
_UNENDED = frozenset({"queued", "started", "lost"})

NO_EXCEPTION = "unknown"
"""Stands for the type of the exception where a run failed and nobody said with which."""


def slot_of(at: float, width_s: int) -> int:
    """Return the start of the slot that a time falls into: the slot from `start` is `(start, start + width_s]`.

    Windows exclude their begin and include their end, as in Prometheus; slots that do the same add up to windows
    exactly.
    """
    return (math.ceil(at / width_s) - 1) * width_s


def series_of(view: RunView) -> Series:
    """Return the series that a run counts in."""
    return Series(view.service, view.task, view.queue)


def facts_of(view: RunView) -> tuple[Fact, ...]:
    """Return everything that is counted of a run. Equal views give equal facts; no fact comes twice."""
    facts = []
    if view.enqueued_at is not None:
        facts.append(Fact(_ENQUEUED, "", view.enqueued_at, 0.0, 0))
    if view.wait_s is not None and view.started_at is not None:
        facts.append(Fact(_WAIT, "", view.started_at, view.wait_s, 0))
    for attempt in view.attempts:
        if attempt.started_at is not None:
            facts.append(Fact(_STARTED, "", attempt.started_at, 0.0, attempt.number))
        ended_at = attempt.finished_at
        if attempt.duplicate:
            begun_at = attempt.started_at if attempt.started_at is not None else ended_at
            if begun_at is not None:
                facts.append(Fact(_DUPLICATE, "", begun_at, 0.0, attempt.number))
        if ended_at is not None and attempt.state not in _UNENDED:
            if attempt.duration_s is not None:
                facts.append(Fact(_DURATION, attempt.state, ended_at, attempt.duration_s, attempt.number))
            if attempt.state == "retrying":
                facts.append(Fact(_RETRY, "", ended_at, 0.0, attempt.number))
    state = view.state
    if state in FINAL_STATES:
        at = view.finished_at if view.finished_at is not None else view.last_at
        facts.append(Fact(_FINISHED, state.value, at, 0.0, 0))
        if state is RunState.FAILED:
            exception = view.exception.type if view.exception is not None else ""
            facts.append(Fact(_EXCEPTION, exception or NO_EXCEPTION, at, 0.0, 0))
    return tuple(facts)


@dataclass(frozen=True, slots=True)
class Delta:
    """What changes in the counts when a run changes.

    Attributes:
        taken: Facts that no longer hold, counted in `before`.
        added: Facts that hold now and did not, counted in `after`.
        news: Those of `added` that do not merely put a fact right that was counted already, for counters that never
            fall: a run that moves to another queue, or whose duration another source measured better, is no news.
    """

    before: Series
    after: Series
    taken: tuple[Fact, ...]
    added: tuple[Fact, ...]
    news: tuple[Fact, ...]


def delta(before: RunView | None, after: RunView) -> Delta:
    """Return what changes in the counts when a run's view goes from `before` (None: it was not known) to `after`."""
    if before is None:
        return delta_of_facts(None, (), series_of(after), facts_of(after))
    return delta_of_facts(series_of(before), facts_of(before), series_of(after), facts_of(after))


def delta_of_facts(
    before: Series | None, facts_before: tuple[Fact, ...], after: Series, facts_after: tuple[Fact, ...]
) -> Delta:
    """Do as `delta` with what the views say already worked out."""
    if before is None or not facts_before:
        return Delta(after, after, (), facts_after, facts_after)
    if before == after:
        taken = tuple(fact for fact in facts_before if fact not in facts_after)
        added = tuple(fact for fact in facts_after if fact not in facts_before)
    else:
        taken, added = facts_before, facts_after
    if not taken:
        return Delta(before, after, taken, added, added)
    known = [(fact.kind, fact.label) for fact in taken]
    news = []
    for fact in added:
        try:
            known.remove((fact.kind, fact.label))
        except ValueError:
            news.append(fact)
    return Delta(before, after, taken, added, tuple(news))


@dataclass(slots=True)
class Rollup:
    """Counts and distributions of one series over some time.

    Attributes:
        enqueued: Runs asked for.
        started: Attempts started.
        retries: Attempts that ended with the decision to try again.
        finished: Final state → runs that entered it.
        exceptions: Type of the exception → runs that failed with it.
        durations: Outcome of the attempt → durations in seconds.
        waits: Seconds from enqueued (or due) to the first start; None without any.
        duplicates: Attempts that began after their run had succeeded.
    """

    enqueued: int = 0
    started: int = 0
    retries: int = 0
    finished: dict[str, int] = field(default_factory=dict)
    exceptions: dict[str, int] = field(default_factory=dict)
    durations: dict[str, Histogram] = field(default_factory=dict)
    waits: Histogram | None = None
    duplicates: int = 0

    def count(self, fact: Fact) -> None:
        """Count one fact."""
        kind, label, _, value, _ = fact
        if kind is _DURATION:
            histogram = self.durations.get(label)
            if histogram is None:
                histogram = self.durations[label] = Histogram()
            histogram.observe(value)
        elif kind is _WAIT:
            if self.waits is None:
                self.waits = Histogram()
            self.waits.observe(value)
        elif kind is _STARTED:
            self.started += 1
        elif kind is _ENQUEUED:
            self.enqueued += 1
        elif kind is _FINISHED:
            self.finished[label] = self.finished.get(label, 0) + 1
        elif kind is _RETRY:
            self.retries += 1
        elif kind is _DUPLICATE:
            self.duplicates += 1
        else:
            self.exceptions[label] = self.exceptions.get(label, 0) + 1

    def merge(self, other: "Rollup") -> None:
        """Add what `other` counted."""
        self.enqueued += other.enqueued
        self.started += other.started
        self.retries += other.retries
        self.duplicates += other.duplicates
        for state, number in other.finished.items():
            self.finished[state] = self.finished.get(state, 0) + number
        for name, number in other.exceptions.items():
            self.exceptions[name] = self.exceptions.get(name, 0) + number
        for state, histogram in other.durations.items():
            mine = self.durations.get(state)
            if mine is None:
                self.durations[state] = histogram.copy()
            else:
                mine.merge(histogram)
        if other.waits is not None:
            if self.waits is None:
                self.waits = other.waits.copy()
            else:
                self.waits.merge(other.waits)

    def subtract(self, other: "Rollup") -> None:
        """Take back what `other` counted; nothing falls below zero."""
        self.enqueued = max(0, self.enqueued - other.enqueued)
        self.started = max(0, self.started - other.started)
        self.retries = max(0, self.retries - other.retries)
        self.duplicates = max(0, self.duplicates - other.duplicates)
        _take(self.finished, other.finished)
        _take(self.exceptions, other.exceptions)
        for state, histogram in other.durations.items():
            mine = self.durations.get(state)
            if mine is not None:
                mine.subtract(histogram)
                if not mine.count:
                    del self.durations[state]
        if other.waits is not None and self.waits is not None:
            self.waits.subtract(other.waits)
            if not self.waits.count:
                self.waits = None

    def copy(self) -> "Rollup":
        """Return an independent copy."""
        twin = Rollup()
        twin.merge(self)
        return twin

    @property
    def empty(self) -> bool:
        """Whether nothing is counted."""
        return not (
            self.enqueued
            or self.started
            or self.retries
            or self.duplicates
            or self.finished
            or self.exceptions
            or self.durations
            or self.waits is not None
        )

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> "Rollup":
        """Return the rollup of these facts."""
        rollup = cls()
        for fact in facts:
            rollup.count(fact)
        return rollup


def _take(counts: dict[str, int], taken: dict[str, int]) -> None:
    for name, number in taken.items():
        left = counts.get(name, 0) - number
        if left > 0:
            counts[name] = left
        else:
            counts.pop(name, None)
