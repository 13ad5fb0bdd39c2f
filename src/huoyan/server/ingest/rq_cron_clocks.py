"""How far the clocks of cron schedulers are off, and the times of what they enqueued put right by that.

A heartbeat that the last look did not see was written between that look and this one. So the clock that it was written
by is off by as much at least as it lies outside that time; what lies inside shows nothing.
"""

from collections import OrderedDict
from collections.abc import Iterable

from huoyan.model.event import EventKind, TaskEvent
from huoyan.server.collect.skew import SkewEstimator

STEP_S = 5.0
"""Differences are told in steps of this, in seconds: they have to stay the same from look to look."""
AHEAD_S = STEP_S + 1.0
"""So much may lie in the future without being cut off, in seconds: below a step nothing is put right."""
MOST_JOBS = 20_000


class CronClocks:
    """The clocks of the cron schedulers of one Redis. Used by one thread."""

    def __init__(self) -> None:
        self._skew = SkewEstimator()
        self._schedulers: OrderedDict[str, str] = OrderedDict()

    def heard(self, scheduler: str, heartbeat: float, earliest: float, latest: float) -> float:
        """Learn from a heartbeat, and return by how many seconds its clock is ahead of ours, negative: behind.

        Args:
            scheduler: Whose.
            heartbeat: By its clock, seconds since 1970 UTC.
            earliest: By ours: not before this.
            latest: Not after this, which is now.
        """
        ahead, behind = heartbeat - latest, heartbeat - earliest
        off_s = ahead if ahead > 0 else min(behind, 0.0)
        off_s = int(off_s / STEP_S) * STEP_S
        self._skew.sent(scheduler, latest + off_s, latest)
        return off_s

    def asked_for(self, job_id: str, scheduler: str) -> None:
        """Note that a scheduler enqueued a job; an empty name stands for one that is not known."""
        self._schedulers[job_id] = scheduler
        while len(self._schedulers) > MOST_JOBS:
            self._schedulers.popitem(last=False)

    def put_right(self, events: Iterable[TaskEvent], now: float) -> None:
        """Put right when jobs of cron were enqueued.

        A clock that is a little ahead must not be cut off at ours: what a scheduler enqueues in time would seem to come
        before its time.
        """
        for event in events:
            scheduler = self._schedulers.get(event.run_id)
            if scheduler is not None and event.kind is EventKind.QUEUED and event.attempt is None:
                event.at -= self._skew.of(scheduler)
                event.received_at = max(now, min(event.at, now + AHEAD_S))
