"""Reading Celery's events from Redis publish and subscribe.

Redis ends a subscriber whose unread output passes 32 MB (`client-output-buffer-limit pubsub`), and what it published
meanwhile is gone. So one thread does nothing but read the socket and put the raw bytes into a `Handover`; parsing them
is the work of whoever takes them out again.
After every read it has to get the interpreter lock back from threads that compute, which takes up to
`sys.getswitchinterval()`; so when much arrives it lets the kernel gather a megabyte for each read.
"""

import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Any, cast

import hiredis
import redis
from redis.sentinel import Sentinel

from huoyan.clock import Clock
from huoyan.errors import InvalidEvent, Unreachable
from huoyan.server.ingest.celery_address import BrokerAddress
from huoyan.server.ingest.handover import Handover

RECEIVE_BYTES = 256 * 1024
BUSY_BYTES = 64 * 1024
GATHER_BYTES = 1024 * 1024
GATHER_S = 0.01
PIECE_BYTES = 16 * 1024
RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
CONNECT_TIMEOUT_S = 5.0
POLL_S = 0.5
PING_AFTER_S = 10.0
SILENT_AFTER_S = 30.0
LONGEST_BACKOFF_S = 10.0

_MESSAGES = frozenset({b"pmessage", b"message"})


def redis_client(address: BrokerAddress, **options: Any) -> "redis.Redis":
    """Return a client of the Redis at `address`; it connects when it is first used."""
    common: dict[str, Any] = {
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": CONNECT_TIMEOUT_S,
        "socket_keepalive": True,
        "protocol": 2,
        **options,
    }
    if address.path:
        common.pop("socket_keepalive")
        common.pop("socket_connect_timeout")
        return redis.Redis(unix_socket_path=address.path, **common)
    if address.tls is not None:
        common["ssl"] = True
        common.update({name: _tls_value(name, value) for name, value in address.tls.items()})
    if address.sentinel:
        sentinel: Any = Sentinel
        return cast("redis.Redis", sentinel(list(address.hosts), **common).master_for(address.master_name))
    host, port = address.hosts[0]
    return redis.Redis(host=host, port=port, **common)


def _tls_value(name: str, value: str) -> Any:
    if name == "ssl_cert_reqs":
        return value.lower().removeprefix("cert_")
    if name == "ssl_check_hostname":
        return value.lower() not in {"false", "0", "no"}
    return value


class RedisEventStream:
    """Subscribes to the event exchange and keeps reading, whatever happens.

    Args:
        address: Where the Redis is.
        handover: Takes the raw bytes.
        clock: Wall time for what is read, monotonic time for silence.
        on_connected: Called with the time when events come in (again).
        on_cut: Called with the time and the reason when they stop.
    """

    def __init__(
        self,
        address: BrokerAddress,
        handover: Handover,
        clock: Clock,
        *,
        on_connected: Callable[[float], None],
        on_cut: Callable[[float, str], None],
    ) -> None:
        self._address = address
        self._handover = handover
        self._clock = clock
        self._on_connected = on_connected
        self._on_cut = on_cut
        self._stopping = threading.Event()
        self._socket: socket.socket | None = None
        self.behind = False
        """Whether the kernel had more than fits one read last time: whoever computes should let the reader go on."""
        self._thread = threading.Thread(target=self._run, name="huoyan-celery-read", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop reading and close the connection."""
        self._stopping.set()
        reading = self._socket
        if reading is not None:
            try:
                reading.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            connected_at = self._clock.monotonic()
            try:
                self._read()
            except Exception as error:  # noqa: BLE001 - sockets and protocols break in any way; the thread must live on
                if self._stopping.is_set():
                    return
                if self._clock.monotonic() - connected_at > LONGEST_BACKOFF_S:
                    failures = 0
                failures += 1
                self._on_cut(self._clock.now(), str(error) or type(error).__name__)
            # Full jitter, so that all servers of a broker do not come back at the same moment.
            self._stopping.wait(min(LONGEST_BACKOFF_S, 0.1 * 2 ** min(failures, 10)) * random.uniform(0.5, 1.0))

    def _read(self) -> None:
        """Connect, subscribe, and read until something breaks.

        Raises:
            OSError: The connection broke.
            redis.RedisError: The Redis refused us.
            Unreachable: It fell silent, or nothing more could be taken.
        """
        client = redis_client(self._address)
        connection: Any = client.connection_pool.make_connection()
        try:
            connection.connect()
            connection.send_command("PSUBSCRIBE", f"{_literal(self._address.event_topic)}/*")
            # Workers whose transport has `fanout_patterns` switched off publish without a routing key.
            connection.send_command("SUBSCRIBE", self._address.event_topic)
            # Kombu takes the socket from the same place.
            reading: socket.socket | None = connection._sock
            self._socket = reading
            if reading is None:
                raise Unreachable(f"expected a connection to {self._address.shown}, it was closed at once")
            try:
                reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            except OSError:
                pass
            _set_receive_timeout(reading, POLL_S)
            self._pump(reading)
        finally:
            self._socket = None
            self.behind = False
            connection.disconnect()
            client.close()

    def _pump(self, reading: socket.socket) -> None:
        put, now, monotonic = self._handover.put, self._clock.now, self._clock.monotonic
        # TLS hands out one record at a time whatever is asked of it.
        can_gather = not isinstance(reading, ssl.SSLSocket)
        begins = True
        gathers = False
        heard_at = pinged_at = monotonic()
        while not self._stopping.is_set():
            try:
                data = reading.recv(GATHER_BYTES, socket.MSG_WAITALL) if gathers else reading.recv(RECEIVE_BYTES)
            except (TimeoutError, BlockingIOError):
                self.behind = False
                if gathers:
                    gathers = False
                    _set_receive_timeout(reading, POLL_S)
                    continue
                silent_s = monotonic() - heard_at
                if silent_s > SILENT_AFTER_S:
                    raise Unreachable(f"expected {self._address.shown} to answer, got silence") from None
                if silent_s > PING_AFTER_S and monotonic() - pinged_at > PING_AFTER_S:
                    pinged_at = monotonic()
                    reading.sendall(b"*1\r\n$4\r\nPING\r\n")
                continue
            if not data:
                raise Unreachable(f"expected {self._address.shown} to go on, it closed the connection")
            heard_at = monotonic()
            self.behind = len(data) == GATHER_BYTES
            if can_gather and gathers is not (len(data) >= BUSY_BYTES):
                gathers = not gathers
                _set_receive_timeout(reading, GATHER_S if gathers else POLL_S)
            if begins and data.startswith(b"-"):
                raise Unreachable(f"expected a subscription, got {data.splitlines()[0].decode(errors='replace')}")
            if not put(now(), data, begins):
                raise Unreachable("expected room for events in memory or on disk, there is none left")
            if begins:
                begins = False
                self._on_connected(now())


class RedisMessages:
    """Takes messages out of the raw bytes of a subscription, in the protocol of Redis (RESP 2)."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()

    def unpack(self, data: bytes, begins: bool) -> list[bytes]:
        """Return the messages that `data` completes.

        Args:
            data: What was read.
            begins: Whether a new connection begins with it, so that an unfinished message of the old one is dropped.

        Raises:
            InvalidEvent: These bytes are not what a Redis sends.
        """
        if begins:
            self._reader = hiredis.Reader()
        reader = self._reader
        messages: list[bytes] = []
        try:
            # In small pieces: after every kilobyte the parser moves all that it still holds to the front.
            for start in range(0, len(data), PIECE_BYTES):
                reader.feed(data, start, min(PIECE_BYTES, len(data) - start))
                while (reply := reader.gets()) is not False:
                    if type(reply) is list and reply and reply[0] in _MESSAGES:
                        messages.append(reply[-1])
        except hiredis.ProtocolError as error:
            self._reader = hiredis.Reader()
            raise InvalidEvent("stream", "the protocol of Redis", str(error)) from error
        return messages


def _set_receive_timeout(reading: socket.socket, timeout_s: float) -> None:
    """Let the kernel end a read that waits: Python's own time-out would keep it from gathering."""
    if isinstance(reading, ssl.SSLSocket):
        reading.settimeout(timeout_s)
        return
    reading.settimeout(None)
    whole_s = int(timeout_s)
    timeval = struct.pack("@ll", whole_s, int((timeout_s - whole_s) * 1_000_000))
    reading.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)


def _literal(topic: str) -> str:
    """Escape what a Redis pattern would take for a wildcard."""
    return "".join(f"\\{char}" if char in "*?[]\\^" else char for char in topic)
