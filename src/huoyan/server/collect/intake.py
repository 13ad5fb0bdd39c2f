"""What sources have handed over and the collector has not stored: a queue with a bound, in the order of arrival."""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from huoyan.errors import Unreachable
from huoyan.server.collect.settings import CollectorSettings
from huoyan.server.collect.submission import Receipt, Submission


class Intake:
    """Filled by any thread, emptied by the collector's.

    Args:
        settings: `max_pending_events`, `max_batch_events`, `linger_s` and `submit_timeout_s`.
    """

    def __init__(self, settings: CollectorSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._moved = threading.Condition(self._lock)
        self._pending: deque[Submission] = deque()
        self._in_work: list[Submission] = []
        self._stopping = False
        self._stop_at = float("inf")
        self.events = 0
        """How many events wait."""

    def put(self, submission: Submission) -> None:
        """Put a submission in, and wait for room as long as there is none.

        Raises:
            Unreachable: Nothing moved for `submit_timeout_s`, or the collector is stopping.
        """
        deadline = time.monotonic() + self._settings.submit_timeout_s
        with self._lock:
            while not self._room(submission):
                left = deadline - time.monotonic()
                if self._stopping or left <= 0:
                    raise Unreachable(
                        f"collector: expected room for {len(submission.events)} events within "
                        f"{self._settings.submit_timeout_s:g} s, got none: {self.events} wait to be stored"
                    )
                self._moved.wait(left)
            self._enqueue(submission)

    def offer(self, submission: Submission) -> bool:
        """Put a submission in if there is room; return whether there was."""
        with self._lock:
            if not self._room(submission):
                return False
            self._enqueue(submission)
        return True

    def _room(self, submission: Submission) -> bool:
        # A submission larger than the bound must get through all the same, alone.
        return not self._stopping and (
            not self._pending or self.events + submission.weight <= self._settings.max_pending_events
        )

    def _enqueue(self, submission: Submission) -> None:
        self._pending.append(submission)
        self.events += submission.weight
        self._arrived.notify()

    def wait(self, due_in_s: Callable[[], float | None]) -> bool:
        """Wait until something has come or something else is due; return False when it is stopping and empty.

        Args:
            due_in_s: Returns in how many seconds something else is due, None when nothing is.
        """
        with self._lock:
            while not self._pending and not self._stopping:
                self._arrived.wait(due_in_s())
                if due_in_s() == 0.0:
                    break
            return bool(self._pending) or not self._stopping

    def linger(self, began: float) -> None:
        """Let company arrive while there is little to do: a transaction costs more than a few more rows in it.

        Args:
            began: When the last transaction did, monotonic.
        """
        until = began + self._settings.linger_s
        with self._lock:
            while self.events < self._settings.max_batch_events // 10 and not self._stopping:
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._arrived.wait(left)

    def take(self) -> list[Submission]:
        """Take out as much as makes a good batch; it counts as in work until `done`."""
        batch: list[Submission] = []
        weight = 0
        with self._lock:
            while self._pending:
                weight += self._pending[0].weight
                if batch and weight > self._settings.max_batch_events:
                    break
                submission = self._pending.popleft()
                self.events -= submission.weight
                batch.append(submission)
            self._in_work = batch
            self._moved.notify_all()
        return batch

    def done(self) -> None:
        """Note that what was taken out last is stored or given up."""
        self._in_work = []

    def waiting_since(self) -> float | None:
        """Return when the oldest of what is not stored yet was received."""
        with self._lock:
            first = next((s for s in (*self._in_work, *self._pending) if s.events), None)
        return None if first is None else first.received_at

    def last(self) -> Future[Receipt] | None:
        """Return the future of what came last and waits, None when nothing does."""
        with self._lock:
            return self._pending[-1].future if self._pending else None

    def open(self) -> None:
        """Take submissions (again)."""
        self._stopping = False

    def close(self, timeout_s: float) -> None:
        """Take no more; what waits may be stored for `timeout_s` seconds."""
        with self._lock:
            self._stopping = True
            self._stop_at = time.monotonic() + timeout_s
            self._arrived.notify_all()
            self._moved.notify_all()

    def clear(self) -> list[Submission]:
        """Take out everything."""
        with self._lock:
            left, self._pending = list(self._pending), deque()
            self.events = 0
        return left

    def may_try_again(self, waited_s: float) -> bool:
        """Return whether to go on trying to store, after waiting for the time that the back-off asks for."""
        until = time.monotonic() + waited_s
        with self._lock:
            while (left := min(until, self._stop_at) - time.monotonic()) > 0:
                self._arrived.wait(left)
                if self._stopping and time.monotonic() >= self._stop_at:
                    break
            return not (self._stopping and time.monotonic() >= self._stop_at)
