"""Silent workers whose connection RabbitMQ still has: they are cut off or stand still, as far as anybody can tell.

The kernel of a machine closes the connections of a process that dies, and RabbitMQ then deletes the mailbox of a worker
(`NAME.celery.pidbox`, kombu's `pidbox.Mailbox.get_queue`: deleted with its last consumer). A broken network and a
machine without power close nothing. Redis knows its subscribers by no name, so nothing of the kind can be asked there.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from huoyan.server.collect.pipeline import Collector
from huoyan.server.ingest.celery_address import BrokerAddress
from huoyan.server.ingest.celery_connection import kombu_connection

_LOG = logging.getLogger(__name__)

INTERVAL_S = 1.0
MOST_WORKERS = 200
"""So many are asked about at once; the silence of more is judged as if nobody knew anything of them."""
_NOT_FOUND = 404
_LOCKED = 405
"""The mailbox is exclusive to a connection that is there (`control_queue_exclusive`)."""


class CeleryPresence:
    """The service that asks RabbitMQ about workers that are silent.

    Args:
        address: The broker.
        framework: Whose workers.
        collector: Says who is silent, and takes who is connected all the same.
    """

    name = "celery presence"
    interval_s = INTERVAL_S

    def __init__(self, address: BrokerAddress, framework: str, collector: Collector) -> None:
        self._address = address
        self._framework = framework
        self._collector = collector
        self._connection: Any = None

    def run_once(self) -> int:
        """Ask, and return how many of the silent ones are connected."""
        silent = self._collector.silent(self._framework)[:MOST_WORKERS]
        found = self.connected(silent) if silent else []
        self._collector.connected(found)
        return len(found)

    def connected(self, workers: Sequence[str]) -> list[str]:
        """Return those whose connection the broker has; none of them when it cannot be asked."""
        try:
            return list(self._with_mailbox(workers))
        except Exception as error:  # noqa: BLE001 - sockets and protocols break in any way
            _LOG.debug("%s could not be asked who is connected: %s", self._address.shown, error)
            self.close()
            return []

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.collect(socket_timeout=1.0)
            except Exception:  # noqa: BLE001, S110 - it is broken already
                pass

    def _with_mailbox(self, workers: Iterable[str]) -> Iterable[str]:
        if self._connection is None:
            self._connection = kombu_connection(self._address)
            self._connection.connect()
        channel = self._connection.channel()
        for worker in workers:
            try:
                name = f"{worker}.{self._address.control_exchange}.pidbox"
                there = channel.queue_declare(queue=name, passive=True).consumer_count > 0
            except self._connection.channel_errors as error:
                # RabbitMQ closed the channel over it.
                channel = self._connection.channel()
                there = getattr(error, "reply_code", _NOT_FOUND) == _LOCKED
            if there:
                yield worker
        channel.close()
