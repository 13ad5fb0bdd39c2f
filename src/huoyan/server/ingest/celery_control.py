"""Talking to Celery workers: please send events, and which queues do you work on?

A worker sends task events when it was started with `-E` or was asked to by the remote control command `enable_events`.
So it is asked, again and again, because workers come and go. A worker that has remote control switched off has to be
started with `-E`, and one that was started with neither `-E` nor heartbeats nor gossip sends nothing whatever it is
asked.
"""

import threading
from collections.abc import Callable
from typing import Any

from kombu.pidbox import Mailbox

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.model.event import QueueReading
from huoyan.server.ingest.celery_address import BrokerAddress
from huoyan.server.ingest.celery_connection import kombu_connection
from huoyan.server.ingest.celery_depths import Depths

ENABLE_EVERY_S = 15.0
ASK_QUEUES_EVERY_S = 60.0
ANSWER_WITHIN_S = 1.0
ENABLE_AFTER_HELLO_S = (0.0, 0.25, 1.0, 3.0)
"""When a worker says hello it may not listen yet, so it is asked more than once."""
ASK_QUEUES_AFTER_HELLO_S = (0.5, 3.0)
BACKOFF_S = 2.0
MAX_QUEUES = 1_000


class CeleryControl:
    """One thread that asks workers and reads queues, because both make it wait.

    Args:
        address: The broker.
        clock: Monotonic time for the intervals.
        depths: Reads the queues.
        depths_every_s: How often, in seconds (default 5).
        enable_events: Ask workers to send events (default True).
        on_queues: Called with worker → names of its queues, after the workers were asked.
        on_depths: Called with the readings.
        on_error: Called when the broker could not be talked to, with the reason.
    """

    def __init__(
        self,
        address: BrokerAddress,
        clock: Clock,
        depths: Depths,
        *,
        depths_every_s: float = 5.0,
        enable_events: bool = True,
        on_queues: Callable[[dict[str, list[str]]], None],
        on_depths: Callable[[list[QueueReading]], None],
        on_error: Callable[[str], None],
    ) -> None:
        self._address = address
        self._clock = clock
        self._depths = depths
        self._depths_every_s = depths_every_s
        self._enable_events = enable_events
        self._on_queues = on_queues
        self._on_depths = on_depths
        self._on_error = on_error
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopping = False
        self._queues: dict[str, None] = {}
        self._enable_at = [0.0]
        self._ask_at = [0.0]
        self._read_at = 0.0
        self._mailbox: Any = None
        self._connection: Any = None
        self._thread = threading.Thread(target=self._run, name="huoyan-celery-control", daemon=True)

    def start(self) -> None:
        """Start asking."""
        now = self._clock.monotonic()
        self._enable_at, self._ask_at, self._read_at = [now], [now + ANSWER_WITHIN_S], now
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop asking and close the connections."""
        with self._lock:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def worker_appeared(self) -> None:
        """Ask soon: a worker was heard for the first time. Never waits."""
        now = self._clock.monotonic()
        with self._lock:
            self._enable_at = _sooner(self._enable_at, now, ENABLE_AFTER_HELLO_S)
            self._ask_at = _sooner(self._ask_at, now, ASK_QUEUES_AFTER_HELLO_S)
            self._changed.notify_all()

    @property
    def queues(self) -> list[str]:
        """The queues that are read."""
        with self._lock:
            return list(self._queues)

    def add_queue(self, name: str) -> None:
        """Read this queue from now on."""
        with self._lock:
            if len(self._queues) < MAX_QUEUES:
                self._queues[name] = None

    def _run(self) -> None:
        while True:
            with self._lock:
                due_s = min(self._enable_at[0], self._ask_at[0], self._read_at) - self._clock.monotonic()
                if due_s > 0 and not self._stopping:
                    self._changed.wait(due_s)
                if self._stopping:
                    break
            try:
                self._do_what_is_due()
            except Exception as error:  # noqa: BLE001 - sockets and protocols break in any way; the thread must live on
                self._on_error(str(error) or type(error).__name__)
                self._disconnect()
                with self._lock:
                    if not self._stopping:
                        self._changed.wait(BACKOFF_S)
        self._disconnect()
        self._depths.close()

    def _do_what_is_due(self) -> None:
        now = self._clock.monotonic()
        with self._lock:
            enable = now >= self._enable_at[0]
            ask = now >= self._ask_at[0]
            read = now >= self._read_at
            if enable:
                self._enable_at = [at for at in self._enable_at if at > now] or [now + ENABLE_EVERY_S]
            if ask:
                self._ask_at = [at for at in self._ask_at if at > now] or [now + ASK_QUEUES_EVERY_S]
            if read:
                self._read_at = now + self._depths_every_s
            queues = list(self._queues)
        if enable and self._enable_events:
            self._workers().abcast("enable_events")
        if ask:
            self._ask_queues()
        if read and queues:
            try:
                self._on_depths(self._depths.read(queues))
            except Unreachable as error:
                self._on_error(error.message)

    def _ask_queues(self) -> None:
        answers = self._workers().multi_call("active_queues", timeout=ANSWER_WITHIN_S)
        found: dict[str, list[str]] = {}
        for answer in answers or []:
            for worker, queues in answer.items() if isinstance(answer, dict) else ():
                if isinstance(queues, list):
                    found[worker] = [
                        q["name"] for q in queues if isinstance(q, dict) and isinstance(q.get("name"), str)
                    ]
        for names in found.values():
            for name in names:
                self.add_queue(name)
        self._on_queues(found)

    def _workers(self) -> Any:
        if self._mailbox is None:
            self._connection = kombu_connection(self._address)
            self._connection.connect()
            mailbox = Mailbox(self._address.control_exchange, type="fanout", accept=["json"], serializer="json")
            self._mailbox = mailbox(self._connection)
        return self._mailbox

    def _disconnect(self) -> None:
        connection, self._connection, self._mailbox = self._connection, None, None
        if connection is not None:
            try:
                connection.collect(socket_timeout=1.0)
            except Exception:  # noqa: BLE001, S110 - it is broken already
                pass


def _sooner(planned: list[float], now: float, delays_s: tuple[float, ...]) -> list[float]:
    """Add times to a plan that a fleet of new workers must not make grow."""
    first, last = now + delays_s[0], now + delays_s[-1]
    kept = [at for at in planned if at < first or at > last]
    return sorted([*kept[:8], *(now + delay_s for delay_s in delays_s)])
