"""The texts of exceptions, which are made by code of the host that may be slow."""

import threading
import time
import weakref
from collections.abc import Callable

SLOW_S = 0.02
"""What is slower than this is remembered, in seconds."""
SHARE = 0.01
"""The share of time that the texts of one class may take once one of them was slow."""
UNSAID = "(its text takes too long to make)"


class Sayings:
    """Makes texts of exceptions. A call that runs cannot be broken off, so a class that was slow has to wait.

    After a text that took a second, the class is not asked for another one for 100 seconds: whatever its `__str__`
    does, it takes no more than one part in a hundred of the host's time.

    Args:
        monotonic: Where time comes from.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._until: weakref.WeakKeyDictionary[type, float] = weakref.WeakKeyDictionary()

    def waits(self, error: BaseException) -> bool:
        """Tell whether the class of an exception is not asked at present."""
        with self._lock:
            until = self._until.get(type(error))
        return until is not None and self._monotonic() < until

    def text(self, error: BaseException) -> str:
        """Return what an exception says."""
        if self.waits(error):
            return UNSAID
        began = self._monotonic()
        try:
            return str(error)
        except Exception:  # noqa: BLE001 - `__str__` of the host's own class
            return "(its text could not be made)"
        finally:
            ended = self._monotonic()
            if ended - began > SLOW_S:
                with self._lock:
                    self._until[type(error)] = ended + (ended - began) / SHARE
