"""A clock that stands still until a test moves it."""


class FakeClock:
    """Wall and monotonic time under a test's control; satisfies `huoyan.clock.Clock`.

    Args:
        now: Wall time to start at, seconds since 1970 UTC (default 2026-01-01T00:00:00Z).
        monotonic: Monotonic time to start at, seconds (default 1000).
    """

    def __init__(self, now: float = 1_767_225_600.0, monotonic: float = 1_000.0) -> None:
        self._now = now
        self._monotonic = monotonic

    def now(self) -> float:
        """Return the wall time in seconds since 1970 UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks.

        Raises:
            ValueError: Time would go backwards; wall time alone may, see `set_wall`.
        """
        if seconds < 0:
            raise ValueError(f"expected seconds that are not negative, got {seconds}")
        self._now += seconds
        self._monotonic += seconds

    def set_wall(self, now: float) -> None:
        """Set the wall time alone, as an administrator or NTP does; monotonic time stays."""
        self._now = now
