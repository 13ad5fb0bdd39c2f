"""Warnings that cannot flood the log: of each kind one a minute."""

import logging
import threading

from huoyan.clock import Clock

EVERY_S = 60.0


class Complaints:
    """Logs what goes wrong with one source. Safe to use from any thread.

    Args:
        logger: Where to.
        about: Named at the beginning of each line.
        clock: Monotonic time.
    """

    def __init__(self, logger: logging.Logger, about: str, clock: Clock) -> None:
        self._logger = logger
        self._about = about
        self._clock = clock
        self._lock = threading.Lock()
        self._told_at: dict[str, float] = {}

    def tell(self, kind: str, message: str) -> None:
        """Log a warning, unless one of its kind was logged less than a minute ago."""
        now = self._clock.monotonic()
        with self._lock:
            told_at = self._told_at.get(kind)
            if told_at is not None and now - told_at < EVERY_S:
                return
            self._told_at[kind] = now
        self._logger.warning("%s: %s", self._about, message)
