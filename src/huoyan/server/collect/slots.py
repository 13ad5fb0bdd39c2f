"""When a schedule is due: by its expression, and by what its scheduler says of the next time."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from huoyan.model.schedule import ScheduleKind
from huoyan.server.store import KnownSchedule

SAME_S = 0.05
"""Two due times closer than this are one, in seconds: a clock rounds."""
_SHORTEST_S = 0.2


def next_slot(schedule: KnownSchedule, after: float) -> float | None:
    """Return the first due time after a slot, seconds since 1970 UTC; None when there is none, or none is known.

    The scheduler knows best: what it said of its next time holds when it said so before the expression would have been
    due. What it says later does not undo a time that it has passed over, because it stood still or was not there.
    """
    computed = computed_slot(schedule, after)
    told = schedule.next_due_at
    if told is not None and told <= after + SAME_S:
        told = None
    if computed is None or told is None:
        slot = told if computed is None else computed
    elif told <= computed + SAME_S or schedule.reported_at < computed:
        slot = told
    else:
        slot = computed
    if slot is None or (schedule.ends_at is not None and slot > schedule.ends_at + SAME_S):
        return None
    # Nothing is due once it was taken out.
    return None if not schedule.enabled and slot > schedule.reported_at else slot


def computed_slot(schedule: KnownSchedule, after: float) -> float | None:
    """Return the first time after a slot that the expression names, None when it cannot be computed with."""
    if schedule.kind is ScheduleKind.INTERVAL:
        step_s = _seconds(schedule.expression)
        return None if step_s is None else after + step_s
    if schedule.kind is ScheduleKind.CRON:
        return _cron_slot(schedule.expression, schedule.timezone, after)
    return None


def _seconds(expression: str) -> float | None:
    try:
        step_s = float(expression)
    except ValueError:
        return None
    return step_s if _SHORTEST_S <= step_s < float("inf") else None


class _Cron(CronSim):
    """Finds the beginning of an hour also after the clock has changed by half an hour (Lord Howe Island)."""

    def advance_hour(self) -> bool:
        """Go on to the first wanted hour of this day, and return whether that was another one.

        Steps of a whole hour, which CronSim takes, would meet every later hour of that day at half past.
        """
        if self.dt.hour in self.hours:
            return False
        while self.dt.hour not in self.hours:
            self.tick(3600 - 60 * self.dt.minute - self.dt.second)
            if self.dt.hour == 0:
                break
        return True


@lru_cache(maxsize=10_000)
def _cron_slot(expression: str, timezone: str, after: float) -> float | None:
    try:
        zone = ZoneInfo(timezone) if timezone else UTC
        # cronsim works on whole seconds and answers what lies after them.
        return next(_Cron(expression, datetime.fromtimestamp(after, UTC).astimezone(zone))).timestamp()
    except (CronSimError, StopIteration, ValueError, OSError, OverflowError):
        # ZoneInfoNotFoundError is a KeyError; a name that is a folder raises OSError.
        return None
    except KeyError:
        return None
