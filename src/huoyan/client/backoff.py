"""How long nothing is sent after the server did not take something."""

import random

FIRST_S = 0.5
LONGEST_S = 30.0


class Backoff:
    """The wait between tries, twice as long each time."""

    def __init__(self) -> None:
        self._failures = 0
        self.until = 0.0
        """When to try again, in seconds of the monotonic clock."""

    def __bool__(self) -> bool:
        return self._failures > 0

    def fail(self, now: float, at_least_s: float = 0.0) -> None:
        """Book a failure.

        Args:
            now: Monotonic time, in seconds.
            at_least_s: What the server asked for, in seconds (default 0).
        """
        self._failures += 1
        wait_s = min(LONGEST_S, FIRST_S * 2 ** min(self._failures - 1, 10))
        # Jitter, so that a hundred processes do not come back at the same moment.
        self.until = now + max(wait_s * (0.5 + random.random() / 2), at_least_s)

    def end(self) -> None:
        """Book that the server answers."""
        self._failures = 0
