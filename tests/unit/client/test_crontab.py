"""Crontabs are due when the frameworks that have them say so, minute by minute, also where the clock changes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pycron  # type: ignore[import-untyped]
import pytest
from arq.cron import cron, next_cron
from huey import crontab as huey_crontab
from hypothesis import example, given, settings
from hypothesis import strategies as st

from huoyan.client.crontab import Crontab, expression_field
from huoyan.client.frameworks.arq.schedules import expression
from huoyan.client.frameworks.taskiq.schedules import parsed
from huoyan.server.collect.slots import computed_slot
from huoyan.server.store import KnownSchedule

PLACES = ("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
CHANGES = (
    "2026-03-08T06:00",
    "2026-03-29T00:00",
    "2026-04-04T14:00",
    "2026-10-03T15:00",
    "2026-10-24T23:30",
    "2026-11-01T05:00",
)
"""Shortly before clocks change: New York, Berlin, Lord Howe (by half an hour) forth and back."""
_MINUTES = 6 * 60

minutes = st.sampled_from(["*", "0", "*/20", "15,45", "10-20/5", "30"])
hours = st.sampled_from(["*", "1", "2", "1-3", "*/2", "0,2"])
days = st.sampled_from(["*", "1", "8", "4-5", "29", "25"])
weekdays = st.sampled_from(["*", "0", "6", "0,6", "1-5"])
starts = st.sampled_from(CHANGES).map(lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _due(asks: object, start: float, zone: ZoneInfo) -> float | None:
    """Return the first minute after a time that a framework says yes to, None for none within six hours."""
    for n in range(1, _MINUTES):
        at = start // 60 * 60 + 60 * n
        if asks(datetime.fromtimestamp(at, zone)):  # type: ignore[operator]
            return at
    return None


@settings(max_examples=150, deadline=None)
@given(minutes, hours, days, weekdays, starts, st.sampled_from(PLACES), st.integers(0, 59))
def test_taskiq_is_due_when_pycron_says_so(
    minute: str, hour: str, day: str, weekday: str, start: float, place: str, second: int
) -> None:
    text = f"{minute} {hour} {day} * {weekday}"
    zone = ZoneInfo(place)
    expected = _due(lambda moment: pycron.is_now(text, moment), start + second, zone)
    crontab = parsed(text)
    assert crontab is not None
    found = crontab.next_after(start + second, zone)
    assert found == expected or (expected is None and (found is None or found > start + 60 * (_MINUTES - 1)))


@settings(max_examples=150, deadline=None)
@given(minutes, hours, days, weekdays, starts, st.sampled_from(PLACES))
def test_huey_is_due_when_its_crontab_says_so(
    minute: str, hour: str, day: str, weekday: str, start: float, place: str
) -> None:
    asks = huey_crontab(minute, hour, day, "*", weekday)
    cells = dict(zip(asks.__code__.co_freevars, asks.__closure__, strict=True))
    months, on, of_week, at, past = map(frozenset, cells["cron_settings"].cell_contents)
    crontab = Crontab(past, at, on, months, frozenset(one % 7 for one in of_week))
    zone = ZoneInfo(place)
    expected = _due(asks, start, zone)
    found = crontab.next_after(start, zone)
    assert found == expected or (expected is None and (found is None or found > start + 60 * (_MINUTES - 1)))


_options = {
    "minute": st.sampled_from([None, 0, {0, 20, 40}, 30]),
    "hour": st.sampled_from([None, 4, {12, 13}]),
    "day": st.sampled_from([None, 1, {4, 25}]),
}


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(_options),
    st.sampled_from([None, 0, 6, "sun", "mon", {5, 6}]),
    starts,
    st.sampled_from(PLACES),
)
# From the change in Berlin on, the next Sunday is that of Lord Howe's change by half an hour, two hours before.
@example(
    {"minute": None, "hour": 4, "day": None}, 6, datetime(2026, 3, 29, tzinfo=UTC).timestamp(), "Australia/Lord_Howe"
)
def test_the_expression_of_an_arq_job_is_due_when_arq_is(
    options: dict[str, int | set[int] | None], weekday: int | str | set[int] | None, start: float, place: str
) -> None:
    """Away from the hours that are left out or come twice, where arq's own word counts."""

    async def work(_: object) -> None: ...

    job = cron(work, weekday=weekday, **options)  # type: ignore[arg-type]
    schedule = KnownSchedule("x", expression=expression(job), timezone=place)
    # Begins a day after the change at noon of the place.
    begin = (datetime.fromtimestamp(start, ZoneInfo(place)) + timedelta(days=1)).replace(hour=12, minute=7, fold=0)
    computed = computed_slot(schedule, begin.timestamp())
    if options["day"] is not None and weekday is not None:
        assert computed is None
        return
    own = next_cron(begin, weekday=weekday, microsecond=0, **options)  # type: ignore[arg-type]
    assert computed == own.timestamp()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["*", "*/20"]), hours, starts, st.sampled_from(PLACES), st.integers(0, 59))
@example("*", "4", datetime(2026, 4, 4, 14, tzinfo=UTC).timestamp(), "Australia/Lord_Howe", 0)
@example("*/20", "2", datetime(2026, 10, 3, 15, tzinfo=UTC).timestamp(), "Australia/Lord_Howe", 0)
def test_an_expression_is_due_at_the_first_minute_it_names(
    minute: str, hour: str, start: float, place: str, second: int
) -> None:
    """Also on the day on which the clock changes, by an hour or by half of one."""
    text = f"{minute} {hour} * * *"
    zone = ZoneInfo(place)
    expected = _due(lambda moment: pycron.is_now(text, moment), start + second, zone)
    found = computed_slot(KnownSchedule("x", expression=text, timezone=place), start + second)
    assert found is not None
    assert found == expected or (expected is None and found > start + 60 * (_MINUTES - 1))


@pytest.mark.parametrize(
    ("either", "expected"),
    [(True, "0 0 13 * 5"), (False, None)],
)
def test_days_that_must_meet_both_have_no_expression(either: bool, expected: str | None) -> None:
    friday = Crontab(frozenset({0}), frozenset({0}), frozenset({13}), frozenset(range(1, 13)), frozenset({5}), either)
    assert friday.expression() == expected
    begin = datetime(2026, 11, 14, tzinfo=UTC).timestamp()
    due = datetime.fromtimestamp(friday.next_after(begin, UTC) or 0, UTC)
    assert (due.day == 13, due.weekday() == 4) == ((False, True) if either else (True, True))


def test_what_never_comes_is_never_due() -> None:
    never = Crontab(frozenset({0}), frozenset({0}), frozenset({30}), frozenset({2}), frozenset(range(7)))
    assert never.next_after(0.0, UTC) is None


def test_a_leap_day_is_found_years_away() -> None:
    leap = Crontab(frozenset({0}), frozenset({0}), frozenset({29}), frozenset({2}), frozenset(range(7)))
    due = leap.next_after(datetime(2096, 3, 1, tzinfo=UTC).timestamp(), UTC)
    assert due is not None
    assert datetime.fromtimestamp(due, UTC).year == 2104


def test_a_field_with_every_value_is_a_star() -> None:
    assert (expression_field(range(7), 0, 6), expression_field({3, 1}, 0, 6)) == ("*", "1,3")
