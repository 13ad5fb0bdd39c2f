"""Celery's schedules as ours: expressions that mean the same, also where the clock changes."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from celery import Celery
from celery.schedules import BaseSchedule, crontab, schedule
from hypothesis import given, settings
from hypothesis import strategies as st

from huoyan.client.frameworks.celery.beat import meant
from huoyan.model.schedule import ScheduleKind
from huoyan.server.collect.slots import computed_slot
from huoyan.server.store import KnownSchedule


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (crontab(), "* * * * *"),
        (crontab(minute="*/15", hour=4), "*/15 4 * * *"),
        (crontab(minute=0, hour="22-2", day_of_week="mon-fri"), "0 0,1,2,22,23 * * 1,2,3,4,5"),
        (crontab(minute=30, hour=1, day_of_month="1,15"), "30 1 1,15 * *"),
        (crontab(minute=[10, 50], month_of_year="*/3"), "10,50 * * */3 *"),
    ],
)
def test_a_crontab_is_a_cron_expression(given_: crontab, expected: str) -> None:
    assert meant(given_) == (ScheduleKind.CRON, expected)


def test_a_crontab_whose_days_must_meet_both_is_not_computed_with() -> None:
    """Friday the 13th: cron would run on every Friday and every 13th."""
    kind, expression = meant(crontab(minute=0, hour=0, day_of_month=13, day_of_week="fri"))
    assert kind is ScheduleKind.CRON
    assert computed_slot(KnownSchedule("x", kind=kind, expression=expression), 1_800_000_000.0) is None


def test_intervals_are_seconds_unless_they_are_rounded() -> None:
    assert meant(schedule(timedelta(minutes=2))) == (ScheduleKind.INTERVAL, "120.0")
    _, rounded = meant(schedule(timedelta(minutes=2), relative=True))
    assert computed_slot(KnownSchedule("x", kind=ScheduleKind.INTERVAL, expression=rounded), 0.0) is None


class AtSunset(BaseSchedule):
    """A kind of schedule that only its application knows."""

    def __repr__(self) -> str:
        return "<at sunset>"


def test_other_kinds_are_shown_and_not_computed_with() -> None:
    kind, expression = meant(AtSunset())
    assert expression == "<at sunset>"
    assert computed_slot(KnownSchedule("x", kind=kind, expression=expression), 0.0) is None


_YEAR = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
_PLACES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")


def _fields(low: int, high: int) -> st.SearchStrategy[str]:
    value = st.integers(low, high)
    lists = st.lists(value, min_size=1, max_size=3, unique=True).map(lambda some: ",".join(map(str, some)))
    return st.just("*") | value.map(str) | st.integers(2, 20).map(lambda n: f"*/{n}") | lists


def _celery_next(entry: crontab, after: datetime) -> datetime:
    begin, step, _ = entry.remaining_delta(after)
    return begin + step


@settings(max_examples=150, deadline=None)
@given(
    place=st.sampled_from(_PLACES),
    minute=_fields(0, 59),
    hour=_fields(0, 23),
    day=_fields(1, 28),
    weekday=_fields(0, 6),
    by_weekday=st.booleans(),
    start=st.integers(
        int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()), int(datetime(2026, 12, 31, tzinfo=UTC).timestamp())
    ),
)
def test_days_without_a_change_of_the_clock_have_the_same_times_as_in_celery(
    place: str, minute: str, hour: str, day: str, weekday: str, by_weekday: bool, start: int
) -> None:
    app = Celery(set_as_current=False, timezone=place)
    zone = ZoneInfo(place)
    days = {"day_of_week": weekday} if by_weekday else {"day_of_month": day}
    after = datetime.fromtimestamp(start, UTC).astimezone(zone)
    entry = crontab(minute=minute, hour=hour, app=app, nowfun=lambda: after, **days)
    kind, expression = meant(entry)
    known = KnownSchedule("x", kind=kind, expression=expression, timezone=place)
    for _ in range(3):
        theirs = _celery_next(entry, after)
        ours = computed_slot(known, after.timestamp())
        offsets = {(after + timedelta(hours=6 * n)).utcoffset() for n in range(int((theirs - after).days) * 4 + 9)}
        if len(offsets) > 1:
            return  # Here beat's own word counts, see the test of real beat; Celery itself moves in local time.
        assert ours == theirs.timestamp()
        after = theirs


def test_the_clock_changes_neither_lose_nor_repeat_a_daily_time() -> None:
    """At 02:30 in Berlin, which does not exist on 29 March 2026 and comes twice on 25 October."""
    known = KnownSchedule("x", kind=ScheduleKind.CRON, expression="30 2 * * *", timezone="Europe/Berlin")
    for month, first in ((3, 26), (10, 22)):
        at: float | None = datetime(2026, month, first, 12, tzinfo=UTC).timestamp()
        slots = []
        for _ in range(6):
            assert at is not None
            at = computed_slot(known, at)
            assert at is not None
            slots.append(datetime.fromtimestamp(at, ZoneInfo("Europe/Berlin")))
        days = [slot.date() for slot in slots]
        assert all(later - earlier == timedelta(days=1) for earlier, later in pairwise(days))
