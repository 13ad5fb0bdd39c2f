"""Wall and monotonic time, passed in wherever time matters.

Wall time (`now`, seconds since 1970 UTC) is stored and shown; monotonic time (`monotonic`) is subtracted. Nothing else
in Huoyan calls `time.time()` for a decision, so that tests move time themselves.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of time."""

    def now(self) -> float:
        """Return the wall time in seconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Return monotonic seconds from an arbitrary origin."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


SYSTEM_CLOCK: Clock = SystemClock()
