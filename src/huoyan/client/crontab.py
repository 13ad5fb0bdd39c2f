"""Crontabs as sets of minutes, hours, days, months and weekdays, whatever a framework calls them and lets them mean.

Frameworks that look once a minute whether something is due never meet a wall time that the clock leaves out, and meet
one that comes twice two times. That is what is worked out here. What cron itself would do, `next_after` does not say.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import product
from zoneinfo import ZoneInfo

_SOON_MINUTES = 180
_MOST_DAYS = 8 * 366
"""The 29th of February may be eight years away."""


@dataclass(frozen=True, slots=True)
class Crontab:
    """When something is due.

    Args:
        minutes: 0 to 59.
        hours: 0 to 23.
        days: Days of the month, 1 to 31.
        months: 1 to 12.
        weekdays: 0 is Sunday, 6 Saturday.
        either: With both days and weekdays restricted: one of them is enough, as in cron; otherwise both must meet.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool = False

    def expression(self) -> str | None:
        """Return the cron expression of 5 fields that means the same, None when there is none."""
        if self._both and not self.either:
            return None
        fields = (
            expression_field(self.minutes, 0, 59),
            expression_field(self.hours, 0, 23),
            expression_field(self.days, 1, 31),
            expression_field(self.months, 1, 12),
            expression_field(self.weekdays, 0, 6),
        )
        return " ".join(fields)

    def next_after(self, at: float, zone: tzinfo | None) -> float | None:
        """Return the first minute after a time that meets it, None when there is none.

        Args:
            at: Seconds since 1970 UTC.
            zone: Whose wall clock counts; None: that of this machine.
        """
        minute = at // 60 * 60
        for n in range(1, _SOON_MINUTES + 1):
            if self._meets(datetime.fromtimestamp(minute + 60 * n, zone)):
                return minute + 60 * n
        day = datetime.fromtimestamp(at, zone).date()
        for n in range(_MOST_DAYS):
            found = self._first_of(day + timedelta(days=n), at, zone)
            if found is not None:
                return found
        return None

    @property
    def _both(self) -> bool:
        return len(self.days) < 31 and len(self.weekdays) < 7

    def _meets(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self._meets_day(wall)

    def _meets_day(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        meets = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return any(meets) if self._both and self.either else all(meets)

    def _first_of(self, day: date, at: float, zone: tzinfo | None) -> float | None:
        if not self._meets_day(day):
            return None
        times = []
        for hour, minute, fold in product(self.hours, self.minutes, (0, 1)):
            wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold)
            moment = wall.timestamp()
            there = datetime.fromtimestamp(moment, UTC).astimezone(zone)
            # A time that the clock leaves out comes back as another one.
            if moment > at and (there.hour, there.minute) == (hour, minute):
                times.append(moment)
        return min(times, default=None)


def expression_field(values: Iterable[int], low: int, high: int) -> str:
    """Return a field of a cron expression: `*` when every value is in it."""
    chosen = sorted(set(values))
    return "*" if chosen == list(range(low, high + 1)) else ",".join(map(str, chosen))


def local_zone() -> str:
    """Return the IANA name of this machine's time zone, empty when it cannot be told."""
    named = os.environ.get("TZ", "").lstrip(":") or os.path.realpath("/etc/localtime").rpartition("zoneinfo/")[2]
    try:
        return ZoneInfo(named).key
    except (KeyError, ValueError, OSError):
        return ""
