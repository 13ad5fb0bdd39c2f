"""What was lost on its way to the server, and what is told of it: a gap for each time of which events are missing."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from huoyan.client.buffer import Given
from huoyan.client.guard import warn
from huoyan.client.wire import happened_at
from huoyan.model.event import EventGap

_MOST_GAPS = 100
_ONE_GAP_S = 60.0


class Losses:
    """The losses of this process, and those of processes that are gone. The caller serialises the calls.

    Args:
        speaks: Returns the name that events carry in `worker`, and all runs that are executed, None when this process
            does not know all of them. None: no gaps are told.
    """

    def __init__(self, speaks: Callable[[], tuple[str, list[str] | None]] | None) -> None:
        self._speaks = speaks
        self._gaps: list[EventGap] = []
        self._gone: list[str] = []
        self.dropped = 0
        """Events lost for good."""

    def __bool__(self) -> bool:
        return bool(self._gaps)

    @property
    def gaps(self) -> list[EventGap]:
        """The gaps that are not told yet."""
        return self._gaps

    @property
    def gone(self) -> list[str]:
        """The processes that were killed, and have said all that they had to say once their events are sent."""
        return list(self._gone)

    def book(self, given: Given, why: str, detail: object) -> None:
        """Count what was given up, and warn of it."""
        self.dropped += given.lost
        warn(f"drop: {why}", "huoyan: events are dropped (%d so far): " + why, self.dropped, detail)
        if self._speaks is None or given.first_at > given.last_at:
            return
        worker = self._speaks()[0]
        last = self._gaps[-1] if self._gaps else None
        if last is not None and last.worker == worker and given.first_at - last.ended_at < _ONE_GAP_S:
            last.started_at = min(last.started_at, given.first_at)
            last.ended_at = max(last.ended_at, given.last_at)
            last.events += given.lost
        else:
            self._add(EventGap(worker, given.first_at, given.last_at, given.lost))

    def beginning_with(self, encoded: bytes) -> EventGap | None:
        """Return a gap that begins with an event, None when it is not known who speaks or when it was."""
        at = happened_at(encoded)
        return None if self._speaks is None or at is None else EventGap(self._speaks()[0], at, at)

    def inherit(self, gap: EventGap, now: float) -> None:
        """Take a gap over from a process that is gone."""
        if not gap.events:
            # From then on its file was full.
            gap.ended_at = max(gap.started_at, now)
        self._add(gap)

    def lament(self, names: Iterable[str]) -> None:
        """Take the names of processes that are gone."""
        # In a container the process before had the same number, and so the same name.
        own = self._speaks()[0] if self._speaks is not None else ""
        self._gone = [*self._gone, *(name for name in names if name != own)][-_MOST_GAPS:]

    def to_tell(self, *, last: bool) -> list[EventGap]:
        """Return the gaps to tell.

        Args:
            last: Whether no event waits behind them: then what is still executed goes along, for all else has ended.
        """
        if not self._gaps or self._speaks is None:
            return []
        worker, executing = self._speaks() if last else ("", None)
        return [replace(gap, executing=executing if gap.worker == worker else None) for gap in self._gaps]

    def told(self, gaps: int, gone: int) -> None:
        """Forget so many of the oldest: the server has them."""
        self._gaps = self._gaps[gaps:]
        self._gone = self._gone[gone:]

    def _add(self, gap: EventGap) -> None:
        if len(self._gaps) < _MOST_GAPS:
            self._gaps.append(gap)
