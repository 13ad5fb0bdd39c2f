"""How many jobs wait in the queues of a worker, read beside its work: while it waits for a job or watches one, it does
nothing else."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter
from huoyan.client.thread import start as start_thread

_INTERVAL_S = 5.0


class Depths:
    """Reads the queues of one worker in a thread of its own, until stopped. The thread does not survive a fork."""

    def __init__(self, reporter: Reporter, connection: Any, queues: Sequence[tuple[str, str]]) -> None:
        """Begin.

        Args:
            reporter: Where readings are reported.
            connection: The worker's Redis, whose pool lends a connection.
            queues: Name and key of each queue.
        """
        self._reporter = reporter
        self._connection = connection
        self._queues = list(queues)
        self._stopping = threading.Event()
        start_thread(threading.Thread(target=self._run, name="huoyan-rq-depths", daemon=True))

    def stop(self) -> None:
        """End it, without waiting."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with guard("rq.depths"):
                self._read()
            self._stopping.wait(_INTERVAL_S)

    def _read(self) -> None:
        lengths = self._connection.pipeline(transaction=False)
        for _, key in self._queues:
            lengths.llen(key)
            lengths.lindex(key, 0)
        answers = lengths.execute()
        oldest = self._connection.pipeline(transaction=False)
        for job_id in answers[1::2]:
            oldest.hget(f"rq:job:{_text(job_id)}", "enqueued_at")
        since = oldest.execute()
        now = self._reporter.clock.now()
        for (name, _), depth, enqueued_at in zip(self._queues, answers[::2], since, strict=True):
            at = _seconds(_text(enqueued_at))
            self._reporter.queue_reading(name, depth, max(0.0, now - at) if depth and at is not None else None)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")


def _seconds(text: str) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
