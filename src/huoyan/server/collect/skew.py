"""How far the clocks of workers are off, learned from when their messages arrive.

Nothing arrives before it was sent, and most arrive at once: the least delay seen lately is the difference of the clocks
and next to nothing else. Below two seconds it counts as none, because a network can be that slow.
"""

import math
from collections import OrderedDict, deque

NO_SKEW_S = 2.0
_SLOT_S = 10.0
_SLOTS = 30
_MOST_NAMES = 20_000
# What a broker holds back is no older than this (Celery lets events of monitors expire after 5 s); a difference above
# it, or into the future, is the clock's at once. Between, it has to last.
_MOST_DELAY_S = 10.0
_LASTING_SLOTS = 3


class _Delays:
    """The least delay of each 10 seconds of the last 5 minutes, and of all of them."""

    __slots__ = ("least_s", "skew_s", "slots", "streamed")

    def __init__(self) -> None:
        self.slots: deque[tuple[int, float]] = deque(maxlen=_SLOTS)
        self.least_s = math.inf
        self.skew_s = 0.0
        self.streamed = True

    def note(self, slot: int, delay_s: float) -> None:
        slots = self.slots
        if not slots or slot > slots[-1][0]:
            slots.append((slot, delay_s))
            while slots[0][0] <= slot - _SLOTS:
                slots.popleft()
            self.least_s = min(delay for _, delay in slots)
            self.judge()
        elif delay_s < slots[-1][1]:
            slots[-1] = (slots[-1][0], delay_s)
            if delay_s < self.least_s:
                self.least_s = delay_s
                self.judge()

    def judge(self) -> None:
        least_s = self.least_s
        if -NO_SKEW_S < least_s < NO_SKEW_S:
            self.skew_s = 0.0
        elif least_s < 0 or not self.streamed or least_s > _MOST_DELAY_S or len(self.slots) >= _LASTING_SLOTS:
            self.skew_s = -least_s


class SkewEstimator:
    """Tells by how many seconds the clock of a worker is ahead of ours; negative: behind."""

    def __init__(self) -> None:
        self._delays: OrderedDict[str, _Delays] = OrderedDict()

    def sent(self, name: str, sent_at: float, received_at: float) -> float:
        """Learn from a message that says when it was sent, and return the skew in seconds.

        Args:
            name: The worker or process.
            sent_at: By its clock, seconds since 1970 UTC.
            received_at: By ours.
        """
        return self._learn(name, received_at - sent_at, received_at, streamed=False)

    def streamed(self, name: str, at: float, received_at: float) -> float:
        """Learn from an event that is sent as it happens but may be held back on its way, and return the skew."""
        return self._learn(name, received_at - at, received_at, streamed=True)

    def of(self, name: str) -> float:
        """Return the skew of a worker as far as it is known, in seconds."""
        known = self._delays.get(name)
        return known.skew_s if known is not None else 0.0

    def _learn(self, name: str, delay_s: float, received_at: float, *, streamed: bool) -> float:
        known = self._delays.get(name)
        if known is None:
            known = self._delays[name] = _Delays()
            if len(self._delays) > _MOST_NAMES:
                self._delays.popitem(last=False)
        if not streamed and known.streamed:
            known.streamed = False
            known.slots.clear()
            known.least_s = math.inf
        elif streamed and not known.streamed:
            # What says when it was sent knows better.
            return known.skew_s
        known.note(int(received_at // _SLOT_S), delay_s)
        return known.skew_s
