"""Forgetting what is over for long: incidents and examples; runs and rollups are forgotten by the collector."""

from huoyan.clock import Clock
from huoyan.server.store.examples import ExampleStore
from huoyan.server.store.incidents import IncidentStore


class IncidentRetention:
    """Deletes resolved incidents with all that belongs to them.

    Args:
        incidents: Where they are kept.
        clock: The time.
        retention_s: How long they are kept after their end, in seconds.
    """

    name = "incident-retention"
    interval_s = 3600.0

    def __init__(self, incidents: IncidentStore, clock: Clock, retention_s: float) -> None:
        self._incidents = incidents
        self._clock = clock
        self._retention_s = retention_s

    def run_once(self) -> int:
        """Delete what is due, in small transactions, and return how many incidents that were."""
        deleted = 0
        while count := self._incidents.delete_before(self._clock.now() - self._retention_s):
            deleted += count
        return deleted


class ExampleRetention:
    """Deletes examples of requests when they are old.

    Args:
        examples: Where they are kept.
        clock: The time.
        retention_s: How long they are kept, in seconds.
    """

    name = "example-retention"
    interval_s = 3600.0

    def __init__(self, examples: ExampleStore, clock: Clock, retention_s: float) -> None:
        self._examples = examples
        self._clock = clock
        self._retention_s = retention_s

    def run_once(self) -> int:
        """Delete what is due and return how many examples that were."""
        return self._examples.delete_before(self._clock.now() - self._retention_s)
