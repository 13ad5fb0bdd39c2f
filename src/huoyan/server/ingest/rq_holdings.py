"""What RQ's Redis holds: jobs that wait, for their turn, for a time or for other jobs, and jobs in execution.

What vanished is found by the look at RQ's jobs itself, which knows each of them; here they are only counted.
"""

from collections.abc import Collection, Iterable

import redis

from huoyan.errors import Unreachable
from huoyan.model.event import TaskEvent
from huoyan.server.collect.holdings import Holding
from huoyan.server.ingest.celery_stream_redis import redis_client
from huoyan.server.ingest.rq_address import parse_rq_address
from huoyan.server.ingest.rq_reader import RqReader
from huoyan.server.ingest.rq_translate import FRAMEWORK

_WAITING = ("scheduled", "deferred")


class RqHoldings:
    """Asks one Redis. Used by one thread.

    Args:
        url: Its address.
        source: Names it.
        service: Of runs that name none.
    """

    framework = FRAMEWORK
    names_runs = False

    def __init__(self, url: str, source: str, service: str) -> None:
        self.source = source
        self.service = service
        self._client = redis_client(parse_rq_address(url))
        self._reader = RqReader(self._client)

    def holdings(self, queues: Iterable[str]) -> dict[str, Holding]:
        """Return what waits in each queue; jobs in execution are running by anybody's books, so nothing is held."""
        try:
            names, _ = self._reader.names()
            states = self._reader.states(sorted({*names, *queues} - {""}))
        except (OSError, redis.RedisError) as error:
            raise Unreachable(f"expected {self.source} to tell what it holds: {error}") from error
        return {
            queue: Holding(
                queue,
                state.depth + sum(state.registries[name][0] for name in _WAITING if name in state.registries),
                0,
            )
            for queue, state in states.items()
        }

    def working(self, run_ids: Collection[str]) -> dict[str, frozenset[str]]:  # noqa: ARG002
        """Return nothing: nobody asks."""
        return {}

    def outcomes(self, run_ids: Collection[str]) -> list[TaskEvent]:  # noqa: ARG002
        """Return nothing: outcomes are read with the jobs."""
        return []

    def close(self) -> None:
        """Close the connection."""
        try:
            self._client.close()
        except (OSError, redis.RedisError):
            return
