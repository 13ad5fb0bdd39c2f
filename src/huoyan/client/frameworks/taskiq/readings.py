"""How many messages wait, as a broker tells it."""

import asyncio
from typing import Any

from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter

_READING_INTERVAL_S = 2.0
_PATIENCE = 5


class Readings:
    """Looks every few seconds how many messages wait, beside the tasks of a worker."""

    def __init__(self, broker: Any, reporter: Reporter) -> None:
        self._broker = broker
        self._reporter = reporter
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, where the broker can tell."""
        kinds = {kind.__name__ for kind in type(self._broker).__mro__}
        if hasattr(self._broker, "connection_pool") and kinds & {"ListQueueBroker", "RedisStreamBroker"}:
            self._loop = asyncio.get_running_loop()
            self._task = self._loop.create_task(self._read(streams="RedisStreamBroker" in kinds))

    def stop(self) -> None:
        """Ask it to end, from any thread."""
        if self._loop is not None and self._task is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    async def wait(self) -> None:
        """Wait for its end."""
        if self._task is not None:
            await asyncio.wait([self._task], timeout=1.0)

    async def _read(self, *, streams: bool) -> None:
        # The worker itself brought redis-py, and its pool may have no connection to spare.
        from redis.asyncio import ConnectionPool, Redis

        pool = self._broker.connection_pool
        kind, options = pool.connection_class, pool.connection_kwargs
        client: Any = Redis(connection_pool=ConnectionPool(connection_class=kind, max_connections=1, **options))
        queue = self._broker.queue_name
        try:
            while True:
                wait_s = _READING_INTERVAL_S * _PATIENCE
                with guard("taskiq.reading"):
                    depth = await (self._lag(client, queue) if streams else client.llen(queue))
                    if depth is not None:
                        self._reporter.queue_reading(queue, int(depth))
                    wait_s = _READING_INTERVAL_S
                await asyncio.sleep(wait_s)
        finally:
            with guard("taskiq.reading"):
                await client.connection_pool.disconnect()

    async def _lag(self, client: Any, stream: str) -> int | None:
        """Return how many entries no consumer has been given yet; Redis itself does not always know."""
        for group in await client.xinfo_groups(stream):
            if _text(group["name"]) == self._broker.consumer_group_name:
                lag: int | None = group.get("lag")
                return lag
        return None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
