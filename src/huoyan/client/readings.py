"""What is told of queues and schedules: only the newest of each counts, so that nothing of it can pile up."""

from huoyan.client.delivery import Batch
from huoyan.client.guard import warn
from huoyan.model.event import QueueReading
from huoyan.model.schedule import ScheduleReport

_MAX_QUEUES = 1000
_MAX_SCHEDULES = 1000
_SCHEDULES_AGAIN_S = 60.0


class Readings:
    """The newest readings. The caller serialises the calls."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, str], QueueReading] = {}
        self._schedules: dict[tuple[str, str, str], ScheduleReport] = {}
        self._changed: set[tuple[str, str, str]] = set()
        self._schedules_at = 0.0

    def __bool__(self) -> bool:
        """Whether any of it waits to be told."""
        return bool(self._queues or self._changed)

    def put_queue(self, reading: QueueReading) -> None:
        """Take the reading of a queue."""
        key = (reading.service, reading.queue)
        if key in self._queues or len(self._queues) < _MAX_QUEUES:
            self._queues[key] = reading

    def put_schedule(self, report: ScheduleReport) -> bool:
        """Take what is new about a schedule; return False when there are too many."""
        key = (report.service, report.framework, report.id)
        if key not in self._schedules and len(self._schedules) >= _MAX_SCHEDULES:
            warn("schedules", "huoyan: more than %d schedules; the others are not reported", _MAX_SCHEDULES)
            return False
        self._schedules[key] = report
        self._changed.add(key)
        return True

    def take_queues(self) -> list[QueueReading]:
        """Take out what was read of queues."""
        readings, self._queues = list(self._queues.values()), {}
        return readings

    def take_schedules(self, now: float, *, again: bool) -> list[ScheduleReport]:
        """Take out what is new about schedules.

        Args:
            now: Monotonic time, in seconds.
            again: Whether those that are kept may be told again, as they are every minute, for a server that was
                started meanwhile or forgot them.
        """
        if again and now - self._schedules_at >= _SCHEDULES_AGAIN_S:
            self._changed.update(self._schedules)
        if len(self._changed) == len(self._schedules):
            self._schedules_at = now
        reports = [self._schedules[key] for key in self._changed]
        self._changed = set()
        for report in reports:
            if not report.enabled:
                self._schedules.pop((report.service, report.framework, report.id), None)
        return reports

    def put_back(self, batch: Batch) -> None:
        """Put back what a batch could not tell, where nothing newer came."""
        for reading in batch.queues:
            self._queues.setdefault((reading.service, reading.queue), reading)
        batch.queues = []
        for report in batch.schedules:
            key = (report.service, report.framework, report.id)
            self._schedules.setdefault(key, report)
            self._changed.add(key)
        batch.schedules = []
