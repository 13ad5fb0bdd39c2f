"""When the event loop was held by one piece of work, so that everything else on it stood still."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple, Protocol

MOST_KEPT = 512


class Timed(Protocol):
    """A collector of the breakdown, as far as it is known here."""

    @property
    def started(self) -> float:
        """When it began, a reading of `perf_counter`."""
        ...


Identity = tuple[int, float]
"""A collector: its identity, which may come back, and when it began."""


class Hold(NamedTuple):
    """A time in which an event loop did nothing else.

    Args:
        thread: Of the event loop.
        since: From when on it surely was, a reading of `perf_counter`.
        until: Up to when it surely was.
        holder: Whose code ran: an endpoint, a task, a coroutine; empty when it has no name.
        awake: Who did not wait for the loop then: the holder, all that it is a part of, and what ran in a thread.
    """

    thread: int
    since: float
    until: float
    holder: str
    awake: frozenset[Identity]


class Holds:
    """The last ones. One thread writes; reading takes no lock, because readers are on the event loop.

    Attributes:
        until: Up to when any loop was held; who began later has nothing to look for.
    """

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget all, as in a new child process."""
        self.until = 0.0
        self._kept: deque[Hold] = deque(maxlen=MOST_KEPT)
        self._now: dict[int, Hold] = {}

    def goes_on(self, hold: Hold) -> None:
        """Tell of one that is not over, as far as it is known; the same one again replaces what was known of it."""
        before = self._now.get(hold.thread)
        if before is not None and before.since != hold.since:
            self._kept.append(before)
        self._now[hold.thread] = hold
        self.until = max(self.until, hold.until)

    def ended(self, hold: Hold) -> None:
        """Tell of one that is over."""
        self.goes_on(hold)
        # First the one, then the other: for a moment it is there twice, which `over` sees, and never not at all.
        self._kept.append(hold)
        del self._now[hold.thread]

    def over(self, waiter: Timed, since: float, until: float) -> Iterator[Hold]:
        """Yield those of the loop of this thread that somebody had to wait for.

        Args:
            waiter: Who waited, if it was not awake.
            since: Only what was later, a reading of `perf_counter`.
            until: Only what was earlier.
        """
        thread = threading.get_ident()
        me = identity(waiter)
        now = self._now.get(thread)
        seen = None
        for hold in (*([] if now is None else [now]), *reversed(tuple(self._kept))):
            if hold.until <= since:
                if hold.thread == thread:
                    break
                continue
            if hold.thread == thread and hold.since < until and hold.since != seen and me not in hold.awake:
                yield hold
            seen = hold.since


def identity(collector: Timed) -> Identity:
    """Return what a collector is known by after it is gone."""
    return id(collector), collector.started
