"""How many messages wait, as a broker tells it."""

import threading
from typing import Any

from huoyan.client.frameworks.dramatiq.facts import queue
from huoyan.client.guard import guard
from huoyan.client.reporter import Reporter

_READING_INTERVAL_S = 2.0
_PATIENCE = 5
_STOP_TIMEOUT_S = 1.0


class Readings(threading.Thread):
    """Looks every few seconds how many messages wait, as long as a worker runs."""

    def __init__(self, broker: Any, worker: Any, reporter: Reporter) -> None:
        super().__init__(name="huoyan-dramatiq-readings", daemon=True)
        self._broker = broker
        self._worker = worker
        self._reporter = reporter
        self._stopped = threading.Event()

    def run(self) -> None:
        """Read until told to stop."""
        wait_s = 0.0
        while not self._stopped.wait(wait_s):
            wait_s = _READING_INTERVAL_S * _PATIENCE
            with guard("dramatiq.reading"):
                for name in sorted({queue(name) for name in self._worker.consumers}):
                    depth = _depth(self._broker, name)
                    if depth is not None:
                        self._reporter.queue_reading(name, depth)
                wait_s = _READING_INTERVAL_S
        with guard("dramatiq.reading"):
            _disconnect(self._broker)

    def stop(self) -> None:
        """End before the broker is closed under it."""
        self._stopped.set()
        if self.is_alive():
            self.join(_STOP_TIMEOUT_S)


def _depth(broker: Any, queue: str) -> int | None:
    """Return how many messages no worker has taken yet, None where a broker cannot tell."""
    kinds = {kind.__name__ for kind in type(broker).__mro__}
    if "RedisBroker" in kinds:
        return int(broker.client.llen(f"{broker.namespace}:{queue}"))
    if "RabbitmqBroker" in kinds:
        try:
            # The connection of this thread, which no other uses.
            return int(broker.channel.queue_declare(queue=queue, passive=True).method.message_count)
        except Exception:
            _disconnect(broker)
            raise
    if "StubBroker" in kinds:
        return int(broker.queues[queue].qsize())
    return None


def _disconnect(broker: Any) -> None:
    """Close what this thread opened; other brokers have connections for all threads."""
    if isinstance(getattr(type(broker), "connection", None), property):
        del broker.connection
