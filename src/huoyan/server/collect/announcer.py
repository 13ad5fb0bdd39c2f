"""Telling pages what changed, no more often than anybody can look."""

import heapq
import time
from typing import Any

from huoyan.server.collect.live import Bus
from huoyan.server.collect.recorder import Outcome
from huoyan.server.store.writing import RowValues

RUNS_EVERY_S = 0.25
OTHERS_EVERY_S = 1.0
MOST_RUNS = 200
_MOST_KEPT = 20_000

_SUMMARY = (
    "id",
    "task",
    "service",
    "framework",
    "queue",
    "state",
    "evidence",
    "worker",
    "sort_at",
    "enqueued_at",
    "started_at",
    "finished_at",
    "wait_s",
    "duration_s",
    "attempt_count",
    "fingerprint",
    "parent_id",
)


class Announcer:
    """Gathers what changed and publishes the newest of it: runs four times a second, the rest once.

    Args:
        bus: Where to.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._runs: dict[str, RowValues] = {}
        self._skipped = False
        self._failures: set[str] = set()
        self._topics: set[str] = set()
        self._runs_at = 0.0
        self._others_at = 0.0

    def note(self, outcome: Outcome) -> None:
        """Take what a batch changed."""
        if outcome.queues:
            self._topics.add("queues")
        if outcome.workers:
            self._topics.add("workers")
        for changes in outcome.changes:
            if changes.counts:
                self._topics.add("counts")
            self._failures.update(change.fingerprint for change in changes.failures)
            if not self._bus.heard:
                continue
            for entry in changes.entries:
                if entry.seen is not None:
                    self._runs[entry.run.id] = entry.seen.values
        if len(self._runs) > _MOST_KEPT:
            self._runs = {values[0]: values for values in self._newest()}

    def due_in_s(self) -> float | None:
        """Return in how many seconds there is something to publish, None when there is nothing."""
        waits = []
        now = time.monotonic()
        if self._runs:
            waits.append(self._runs_at + RUNS_EVERY_S - now)
        if self._failures or self._topics:
            waits.append(self._others_at + OTHERS_EVERY_S - now)
        return max(0.0, min(waits)) if waits else None

    def tell(self) -> None:
        """Publish what is due."""
        now = time.monotonic()
        if self._runs and now - self._runs_at >= RUNS_EVERY_S:
            self._runs_at = now
            self._tell_runs()
        if now - self._others_at >= OTHERS_EVERY_S and (self._failures or self._topics):
            self._others_at = now
            self._tell_others()

    def flush(self) -> None:
        """Publish everything at once."""
        if self._runs:
            self._tell_runs()
        if self._failures or self._topics:
            self._tell_others()

    def _tell_runs(self) -> None:
        items: list[dict[str, Any]] = [dict(zip(_SUMMARY, values, strict=False)) for values in self._newest()]
        self._runs = {}
        self._bus.publish("runs", {"items": items})

    def _tell_others(self) -> None:
        if self._failures:
            self._bus.publish("failures", {"fingerprints": sorted(self._failures)[:MOST_RUNS]})
            self._failures = set()
        for topic in sorted(self._topics):
            self._bus.publish(topic, {})
        self._topics = set()

    def _newest(self) -> list[RowValues]:
        return heapq.nlargest(MOST_RUNS, self._runs.values(), key=lambda values: (values[8], values[0]))
