"""How many messages wait in the queues of a Celery broker, and for how long the oldest has.

A queue that cannot be read gives no reading: an unknown depth is never reported as 0. Messages that a worker has taken
and not yet acknowledged (running, prefetched, waiting for their ETA) do not wait in the queue any more and are not
counted.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
import redis

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.model.event import QueueReading
from huoyan.server.ingest.celery_address import BrokerAddress
from huoyan.server.ingest.celery_queue_keys import QueueKeys
from huoyan.server.ingest.celery_stream_redis import redis_client

MAX_PEEK_BYTES = 1024 * 1024
_PEEK_EVERY_S = 5.0


class Depths(Protocol):
    """Reads the queues of one broker."""

    def read(self, queues: Iterable[str]) -> list[QueueReading]:
        """Return a reading for each queue that can be read.

        Raises:
            Unreachable: The broker does not answer.
        """
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class _Headers(msgspec.Struct):
    id: str = ""
    retries: int | None = None
    eta: str | None = None


class _Message(msgspec.Struct):
    headers: _Headers


_message = msgspec.json.Decoder(_Message)


class RedisDepths:
    """Reads the lists that Kombu keeps in Redis.

    Args:
        address: The broker.
        clock: Wall time of the readings.
        enqueued_at: Returns when a run was enqueued (seconds since 1970 UTC), None when that is not known. The messages
            themselves do not tell.
        seconds: Reads a time as Celery writes it.
    """

    def __init__(
        self,
        address: BrokerAddress,
        clock: Clock,
        enqueued_at: Callable[[str], float | None],
        seconds: Callable[[str], float | None],
    ) -> None:
        self._address = address
        self._clock = clock
        self._enqueued_at = enqueued_at
        self._seconds = seconds
        self._client: redis.Redis | None = None
        self._keys = QueueKeys(address.global_keyprefix, clock)

    def read(self, queues: Iterable[str]) -> list[QueueReading]:
        """Return a reading for each queue; see `Depths`."""
        names = list(queues)
        if not names:
            return []
        try:
            return self._read(names)
        except (OSError, redis.RedisError) as error:
            self.close()
            raise Unreachable(f"expected {self._address.shown} to tell its queues: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            try:
                client.close()
            except (OSError, redis.RedisError):
                pass

    def _read(self, names: list[str]) -> list[QueueReading]:
        if self._client is None:
            self._client = redis_client(self._address)
        keys = [self._keys.of(self._client, name) for name in names]
        lengths = self._client.pipeline(transaction=False)
        for lists in keys:
            for key in lists:
                lengths.llen(key)
        answers: list[Any] = lengths.execute(raise_on_error=False)
        at = self._clock.now()
        readings = []
        told = iter(answers)
        for name, lists in zip(names, keys, strict=True):
            counts = [next(told) for _ in lists]
            if not all(isinstance(count, int) for count in counts):
                continue  # The name is taken by something that is no list.
            waiting = [key for key, count in zip(lists, counts, strict=True) if count]
            ages = [age for key in waiting if (age := self._age(key, at)) is not None]
            readings.append(QueueReading(name, sum(counts), at, oldest_age_s=max(ages, default=None)))
        return readings

    def _age(self, key: str, at: float) -> float | None:
        """Return how long the oldest message of a list has been waiting, None when nobody knows."""
        assert self._client is not None
        raw: Any = self._client.lindex(key, -1)
        if not isinstance(raw, bytes) or len(raw) > MAX_PEEK_BYTES:
            return None
        try:
            headers = _message.decode(raw).headers
        except msgspec.DecodeError:
            return None
        due = self._seconds(headers.eta) if headers.eta else None
        # What is known of a run is when it was enqueued first; its retries were enqueued later.
        enqueued_at = self._enqueued_at(headers.id) if headers.id and not headers.retries else None
        since = max((moment for moment in (due, enqueued_at) if moment is not None), default=None)
        return max(0.0, at - since) if since is not None else None


class AmqpDepths:
    """Reads the queues of a RabbitMQ.

    Args:
        address: The broker.
        clock: Wall time of the readings.
        connect: Opens a connection.
    """

    def __init__(self, address: BrokerAddress, clock: Clock, connect: Callable[[], Any]) -> None:
        self._address = address
        self._clock = clock
        self._connect = connect
        self._connection: Any = None

    def read(self, queues: Iterable[str]) -> list[QueueReading]:
        """Return a reading for each queue that exists; see `Depths`."""
        readings = []
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._connection.connect()
            channel = self._connection.channel()
            for name in queues:
                try:
                    declared = channel.queue_declare(queue=name, passive=True)
                except self._connection.channel_errors:
                    # No such queue (any more); RabbitMQ closed the channel over it.
                    channel = self._connection.channel()
                    continue
                readings.append(QueueReading(name, declared.message_count, self._clock.now()))
            channel.close()
        except Exception as error:
            self.close()
            raise Unreachable(f"expected {self._address.shown} to tell its queues: {error}") from error
        return readings

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.collect(socket_timeout=1.0)
            except Exception:  # noqa: BLE001, S110 - it is broken already
                pass
