"""Reading Celery's events from RabbitMQ.

A queue of our own is bound to the event exchange. It outlives a broken connection by a minute, so that a short cut
loses nothing, and has a bound, so that a server that hangs does not fill the broker. Nobody else consumes from it.
"""

import random
import threading
import uuid
from collections.abc import Callable
from typing import Any

from kombu import Exchange, Queue

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.server.ingest.celery_address import BrokerAddress
from huoyan.server.ingest.celery_connection import kombu_connection
from huoyan.server.ingest.celery_wire import JSON
from huoyan.server.ingest.handover import Handover

POLL_S = 0.5
HEARTBEAT_S = 20
QUEUE_EXPIRES_S = 60.0
QUEUE_MAX_MESSAGES = 2_000_000
LONGEST_BACKOFF_S = 10.0


class AmqpEventStream:
    """Consumes the event exchange and keeps reading, whatever happens. Parameters as of `RedisEventStream`.

    Args:
        on_refused: Called for each message whose content is not JSON, with its content type.
    """

    def __init__(
        self,
        address: BrokerAddress,
        handover: Handover,
        clock: Clock,
        *,
        on_connected: Callable[[float], None],
        on_cut: Callable[[float, str], None],
        on_refused: Callable[[str], None],
    ) -> None:
        self._address = address
        self._handover = handover
        self._clock = clock
        self._on_connected = on_connected
        self._on_cut = on_cut
        self._on_refused = on_refused
        self._full = False
        self.behind = False
        """Never: what is not read yet waits in the broker."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="huoyan-celery-read", daemon=True)
        self._queue = Queue(
            f"huoyan.{address.event_exchange}.{uuid.uuid4().hex}",
            # Declared as Celery declares it: an exchange that differs in one argument is an error.
            exchange=Exchange(address.event_exchange, type="topic"),
            routing_key="#",
            # Durable, because RabbitMQ does away with queues that are neither durable nor exclusive; it expires all the
            # same.
            durable=True,
            expires=QUEUE_EXPIRES_S,
            max_length=QUEUE_MAX_MESSAGES,
        )

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop reading, remove the queue and close the connection."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            connected_at = self._clock.monotonic()
            connection: Any = None
            try:
                connection = kombu_connection(self._address, heartbeat_s=HEARTBEAT_S)
                self._read(connection)
            except Exception as error:  # noqa: BLE001 - sockets and protocols break in any way; the thread must live on
                if self._stopping.is_set():
                    return
                if self._clock.monotonic() - connected_at > LONGEST_BACKOFF_S:
                    failures = 0
                failures += 1
                self._on_cut(self._clock.now(), str(error) or type(error).__name__)
            finally:
                if connection is not None:
                    _close(connection)
            self._stopping.wait(min(LONGEST_BACKOFF_S, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))

    def _read(self, connection: Any) -> None:
        """Connect, declare the queue, and consume until something breaks."""
        connection.connect()
        channel = connection.channel()
        queue = self._queue(channel)
        queue.declare()
        channel.basic_consume(queue.name, no_ack=True, callback=self._take)
        self._on_connected(self._clock.now())
        checked_at = self._clock.monotonic()
        while not self._stopping.is_set():
            try:
                connection.drain_events(timeout=POLL_S)
            except TimeoutError:
                pass
            if self._full:
                self._full = False
                raise Unreachable("expected room for events in memory or on disk, there is none left")
            if self._clock.monotonic() - checked_at > HEARTBEAT_S / 4:
                checked_at = self._clock.monotonic()
                connection.heartbeat_check(rate=2)
        queue.delete()

    def _take(self, message: Any) -> None:
        content_type = message.properties.get("content_type")
        if content_type != JSON:
            self._on_refused(str(content_type))
            return
        body = message.body
        data = body.encode() if isinstance(body, str) else bytes(body)
        if not self._handover.put(self._clock.now(), data):
            self._full = True


def _close(connection: Any) -> None:
    try:
        connection.collect(socket_timeout=1.0)
    except Exception:  # noqa: BLE001, S110 - it is broken already, in any way a socket or a protocol can be
        pass
