"""Requests kept as examples: the slowest of each endpoint, some at random, some that failed, each with its breakdown.

From them the server works out what the slow ones do differently. Nearly every request is none of these, and is told so
by two comparisons.
"""

import random
import threading
from collections.abc import Mapping
from typing import Any

from huoyan.model.example import FAILED_KEPT, SAMPLED_KEPT, SLOWEST_KEPT, Example
from huoyan.signals.exposition import Exemplar, Key

_MOST_ENDPOINTS = 500
_FIRST_STRIDE = 1
_LONGEST_STRIDE = 1 << 20


class Kept:
    """What is kept of one endpoint until the next sending.

    Attributes:
        floor_s: A request that took longer belongs to the slowest.
        seen: Requests so far.
        next_sample: Number of the request that is kept next, whatever it took.
    """

    __slots__ = ("endpoint", "failed", "floor_s", "method", "next_sample", "sampled", "seen", "slowest", "stride")

    def __init__(self, method: str, endpoint: str) -> None:
        self.method = method
        self.endpoint = endpoint
        self.stride = _FIRST_STRIDE
        self.renew()

    def renew(self) -> None:
        """Begin an interval, in which about as many requests are expected as in the last one."""
        self.seen = 0
        self.next_sample = random.randint(1, self.stride)
        self.floor_s = 0.0
        self.slowest: list[Example] = []
        self.sampled: list[Example] = []
        self.failed: list[Example] = []


def _traced(kept: Kept) -> list[Exemplar]:
    return [
        Exemplar(one.duration_s, one.trace_id, one.at + one.duration_s)
        for one in (*kept.sampled, *kept.slowest, *kept.failed)
        if one.trace_id
    ]


class Examples:
    """The examples of this process, until they are sent.

    Args:
        labels: Put onto each: host, version, process.
    """

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        self.labels = dict(labels or {})
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], Kept] = {}
        self._spare = Kept("", "other")
        self._sent: dict[tuple[str, str], list[Exemplar]] = {}

    def of(self, method: str, endpoint: str) -> Kept:
        """Return where requests of an endpoint are kept; callers hold on to it and compare for themselves."""
        found = self._kept.get((method, endpoint))
        if found is None:
            if len(self._kept) >= _MOST_ENDPOINTS:
                return self._spare
            found = self._kept.setdefault((method, endpoint), Kept(method, endpoint))
        return found

    def keep(
        self,
        kept: Kept,
        status: int,
        at: float,
        duration_s: float,
        breakdown: dict[str, Any] | None,
        labels: Mapping[str, str] | None = None,
        trace_id: str = "",
    ) -> None:
        """Keep a request that is slow, sampled or failed (a status of 500 or more).

        Args:
            kept: Where, from `of`.
            status: The HTTP status.
            at: When it began, seconds since 1970 UTC.
            duration_s: How long it took, in seconds.
            breakdown: Where its time went; None when it called no dependency.
            labels: More than host, version and process.
            trace_id: Of the trace it belongs to, empty when there is none.
        """
        with self._lock:
            kind = "slow"
            if status >= 500 and len(kept.failed) < FAILED_KEPT:
                kind, where = "failed", kept.failed
            elif kept.seen >= kept.next_sample:
                kind, where = "sampled", kept.sampled
                kept.next_sample = kept.seen + random.randint(1, 2 * kept.stride - 1)
                if len(where) >= 4 * SAMPLED_KEPT:
                    # Far more than were expected, or nobody takes them: look at ever fewer.
                    kept.stride = min(2 * kept.stride, _LONGEST_STRIDE)
                    kept.next_sample = kept.seen + random.randint(1, 2 * kept.stride - 1)
                    return
            elif duration_s > kept.floor_s:
                where = kept.slowest
            else:
                return
            where.append(
                Example(
                    endpoint=kept.endpoint,
                    method=kept.method,
                    status=status,
                    at=at,
                    duration_s=duration_s,
                    kind=kind,
                    breakdown=breakdown,
                    labels={**self.labels, **(labels or {})},
                    trace_id=trace_id,
                )
            )
            if kind == "slow" and len(where) > SLOWEST_KEPT:
                where.sort(key=lambda one: -one.duration_s)
                del where[SLOWEST_KEPT:]
                kept.floor_s = where[-1].duration_s

    def traced(self) -> dict[Key, list[Exemplar]]:
        """Return the examples that wait and belong to a trace, by method and endpoint, behind those sent last: a scrape
        comes less often than they are sent."""
        with self._lock:
            found: dict[Key, list[Exemplar]] = {
                key: [*self._sent.get(key, ()), *_traced(kept)] for key, kept in self._kept.items()
            }
        return {key: exemplars for key, exemplars in found.items() if exemplars}

    @property
    def waiting(self) -> bool:
        """Whether there were requests since the last time."""
        return any(kept.seen for kept in list(self._kept.values()))

    def take(self) -> list[Example]:
        """Return what was kept since the last time, each with the number of requests it stands among."""
        taken: list[Example] = []
        with self._lock:
            for kept in [*self._kept.values(), self._spare]:
                if not kept.seen:
                    continue
                for example in (*kept.slowest, *kept.sampled, *kept.failed):
                    example.seen = kept.seen
                    taken.append(example)
                exemplars = _traced(kept)
                if exemplars and kept is not self._spare:
                    self._sent[kept.method, kept.endpoint] = exemplars
                kept.stride = min(max(1, kept.seen // SAMPLED_KEPT), _LONGEST_STRIDE)
                kept.renew()
        return taken
