"""Forgetting what is over for long: incidents and examples; runs and rollups are forgotten by the collector."""

from huoyan.clock import Clock
from huoyan.server.store.examples import KEPT_PER_SLOT, ExampleStore
from huoyan.server.store.incidents import IncidentStore

_HOUR_S = 3600.0
_SLOT_S = 600.0


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
    """Deletes examples of requests when they are old, and thins out those of hours, and of ten minutes, that are over.

    Args:
        examples: Where they are kept.
        clock: The time.
        retention_s: How long they are kept, in seconds.
    """

    name = "example-retention"
    interval_s = _SLOT_S

    def __init__(self, examples: ExampleStore, clock: Clock, retention_s: float) -> None:
        self._examples = examples
        self._clock = clock
        self._retention_s = retention_s
        self._thinned_until: float | None = None

    def run_once(self) -> int:
        """Delete what is due and return how many examples that were."""
        now = self._clock.now()
        done = self._examples.delete_before(now - self._retention_s)
        # Of the last whole hour far more is left: what is slow now is looked into with it.
        until = (now // _HOUR_S - 1) * _HOUR_S
        since = until - self._retention_s if self._thinned_until is None else self._thinned_until
        hour = since // _HOUR_S * _HOUR_S
        while hour < until:
            done += self._examples.thin(hour, hour + _HOUR_S)
            hour += _HOUR_S
        self._thinned_until = max(until, hour)
        slot = until
        while slot + _SLOT_S <= now:
            done += self._examples.thin(slot, slot + _SLOT_S, KEPT_PER_SLOT)
            slot += _SLOT_S
        return done
