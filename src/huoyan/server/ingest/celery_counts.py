"""Whether everything that workers said was heard, by what they count themselves.

A heartbeat carries how many tasks the worker has begun (`processed`) and how many it executes (`active`;
celery/worker/heartbeat.py, celery/worker/state.py). A worker that loses its broker throws away the events of tasks that
it had gathered to send together (celery/events/dispatcher.py: `extend_buffer` takes over only what was published in
vain, and `flush` empties what it could not publish). Nobody hears of these again, but they are in its counts.

Events of tasks are gathered and heartbeats are not, so a heartbeat may be ahead of what was heard so far. By the next
one everything it counted was heard, or never will be.
"""

from dataclasses import dataclass

_MOST_PROCESSES = 20_000


@dataclass(slots=True)
class _Count:
    """Of one process: what was heard, what it counted in its last heartbeat, and how far both are apart for ever."""

    heard: int = 0
    counted: int | None = None
    counted_at: float = 0.0
    apart: int = 0


class Counts:
    """What worker processes say of their tasks against what was heard of it. Used by one thread."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def hear(self, process: str) -> None:
        """Count one thing that was heard of a process."""
        count = self._counts.get(process)
        if count is None:
            if len(self._counts) >= _MOST_PROCESSES:
                self._counts.clear()
            count = self._counts[process] = _Count()
        count.heard += 1

    def compare(self, process: str, counted: int, at: float) -> tuple[int, float] | None:
        """Take a heartbeat; return how many things were not heard and since when, None when all were.

        Args:
            process: Whose heartbeat it is.
            counted: How many it counts.
            at: When it was received, seconds since 1970 UTC.
        """
        count = self._counts.get(process)
        if count is None:
            # Nothing was ever heard of what it does: it may not have been asked to tell.
            return None
        before, before_at = count.counted, count.counted_at
        count.counted, count.counted_at = counted, at
        if before is None or counted < before:
            count.apart = counted - count.heard
            return None
        missing = before - count.apart - count.heard
        if missing > 0:
            count.apart += missing
        # It was ahead when both were first compared.
        count.apart = min(count.apart, counted - count.heard)
        return (missing, before_at) if missing > 0 else None
