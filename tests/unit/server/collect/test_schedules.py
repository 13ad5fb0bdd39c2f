"""Each due time of a schedule gets one verdict, the right one, at the right time."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from huoyan.model.schedule import ScheduleKind, Sighting, SlotVerdict
from huoyan.server.collect.schedules import is_dead, kept_by_nobody
from huoyan.server.collect.slots import next_slot
from huoyan.server.collect.verdicts import SETTLE_S, is_too_fast, judge
from huoyan.server.store import Gap, KnownSchedule, Worker

T = 1_763_673_300.0
BERLIN = ZoneInfo("Europe/Berlin")


def every(step_s: float = 60.0, **fields: Any) -> KnownSchedule:
    given = {"slot_at": T, "next_due_at": T, "reported_at": T - 30, "heard_at": T - 30, "grace_s": 20.0, **fields}
    return KnownSchedule(id="s", kind=ScheduleKind.INTERVAL, expression=repr(step_s), **given)


def cron(expression: str, timezone: str = "Europe/Berlin", **fields: Any) -> KnownSchedule:
    return KnownSchedule(id="s", expression=expression, timezone=timezone, **fields)


def ran(at: float, late_s: float = 0.1, worker: str = "w-1", state: str = "succeeded", reason: str = "") -> Sighting:
    return Sighting(at, at + late_s, f"run-{at}-{worker}", worker, state, reason)


def verdicts(now: float, schedule: KnownSchedule, *seen: Sighting, gaps: list[Gap] | None = None) -> list[str]:
    return [slot.verdict.value for slot in judge(now, schedule, seen, gaps or [])[0]]


class TestSlots:
    """When a schedule is due next."""

    @pytest.mark.parametrize(
        ("expression", "begin", "expected"),
        [
            # The clock goes from 2 to 3: what is due at 2:30 is due when that hour has been left out.
            ("30 2 * * *", "2026-03-28T02:30", ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]),
            # The clock goes back from 3 to 2: 2:30 comes twice, and counts once.
            ("30 2 * * *", "2026-10-24T02:30", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]),
            # What is due every half hour goes on every half hour, through both.
            ("*/30 * * * *", "2026-03-29T01:30", ["2026-03-29T01:00Z", "2026-03-29T01:30Z"]),
            ("*/30 * * * *", "2026-10-25T01:30", ["2026-10-25T00:00Z", "2026-10-25T00:30Z", "2026-10-25T01:00Z"]),
            ("0 9 * * 1-5", "2026-03-27T09:00", ["2026-03-30T07:00Z"]),
            ("*/20 * * * * *", "2026-06-01T00:00", ["2026-05-31T22:00:20Z", "2026-05-31T22:00:40Z"]),
        ],
    )
    def test_cron_keeps_its_wall_clock_over_both_changes(
        self, expression: str, begin: str, expected: list[str]
    ) -> None:
        at = datetime.fromisoformat(begin).replace(tzinfo=BERLIN).timestamp()
        found = []
        for _ in expected:
            slot = next_slot(cron(expression), at)
            assert slot is not None
            found.append(slot)
            at = slot
        assert found == [datetime.fromisoformat(text).timestamp() for text in expected]

    def test_an_interval_counts_real_seconds_over_a_change(self) -> None:
        before = datetime(2026, 3, 29, 1, 30, tzinfo=BERLIN).timestamp()
        assert next_slot(every(3600, next_due_at=None), before) == before + 3600

    def test_what_the_scheduler_said_before_it_was_due_goes_before_the_expression(self) -> None:
        """A scheduler that runs 2:30 twice when the clock goes back is right about itself."""
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
        told = cron("30 2 * * *", next_due_at=first + 3600, reported_at=first + 0.1)
        assert next_slot(told, first) == first + 3600
        spring = datetime(2026, 3, 28, 1, 30, tzinfo=UTC).timestamp()
        told = cron("30 2 * * *", next_due_at=spring + 86_400, reported_at=spring + 1)
        assert next_slot(told, spring) == spring + 86_400

    def test_what_it_says_afterwards_does_not_undo_what_it_passed_over(self) -> None:
        told = every(60, next_due_at=T + 600, reported_at=T + 590)
        assert next_slot(told, T) == T + 60

    @pytest.mark.parametrize(
        "schedule",
        [
            cron("every full moon"),
            cron("0 0 30 2 *"),
            cron("* * * * *", timezone="Moon/Tycho"),
            cron("* * * * *", timezone="../etc"),
            cron("* * * * *", timezone="Europe"),
            cron("", kind=ScheduleKind.DATE),
            cron("nan", kind=ScheduleKind.INTERVAL),
            cron("0", kind=ScheduleKind.INTERVAL),
            cron("inf", kind=ScheduleKind.INTERVAL),
        ],
    )
    def test_what_cannot_be_computed_follows_what_is_told(self, schedule: KnownSchedule) -> None:
        assert next_slot(schedule, T) is None
        schedule.next_due_at = T + 7
        assert next_slot(schedule, T) == T + 7

    def test_nothing_is_due_after_its_end_or_once_it_was_taken_out(self) -> None:
        assert next_slot(every(60, ends_at=T + 59), T) is None
        assert next_slot(every(60, ends_at=T + 60), T) == T + 60
        assert next_slot(every(60, enabled=False, next_due_at=None, reported_at=T + 30), T) is None


class TestVerdicts:
    """What became of a slot."""

    def test_on_time_late_skipped_and_refused_by_the_scheduler(self) -> None:
        now = T + 240 + SETTLE_S
        seen = [
            ran(T),
            ran(T + 60, 12.0),
            ran(T + 120, state="rejected", reason="skipped: max_instances"),
            ran(T + 180, state="dead", reason="missed by 3 s"),
        ]
        found, awaited = judge(now, every(next_due_at=T + 240, reported_at=T + 181), seen, [])
        assert [(slot.at, slot.verdict) for slot in found] == [
            (T, SlotVerdict.OK),
            (T + 60, SlotVerdict.LATE),
            (T + 120, SlotVerdict.OVERLAPPING),
            (T + 180, SlotVerdict.MISSED),
        ]
        assert found[1].late_s == 12.0
        assert found[3].reason == "missed by 3 s"
        assert awaited == T + 240

    def test_a_miss_waits_for_the_grace_and_is_dated_to_its_slot(self) -> None:
        assert verdicts(T + 20 + SETTLE_S - 0.1, every()) == []
        found, awaited = judge(T + 20 + SETTLE_S, every(), [], [])
        assert [(slot.at, slot.verdict) for slot in found] == [(T, SlotVerdict.MISSED)]
        assert awaited == T + 60

    def test_every_slot_of_a_long_silence_is_missed_for_itself(self) -> None:
        found, _ = judge(T + 300, every(), [], [])
        assert [slot.at for slot in found] == [T, T + 60, T + 120, T + 180, T + 240]
        assert {slot.verdict for slot in found} == {SlotVerdict.MISSED}

    def test_the_one_run_after_a_freeze_stands_for_its_own_slot_alone(self) -> None:
        """APScheduler runs what it missed once, for the latest due time."""
        schedule = every(next_due_at=T + 240, reported_at=T + 185)
        assert verdicts(T + 200, schedule, ran(T + 180, 5.0)) == ["missed", "missed", "missed", "ok"]

    def test_a_run_that_seems_to_come_a_little_early_is_of_the_slot_that_has_no_other(self) -> None:
        """Beat's clock is half a second ahead, and the event stream says when the server heard of it."""
        early = [ran(T - 0.5), ran(T + 59.5), ran(T + 119.5)]
        assert verdicts(T + 131, every(), *early) == ["ok", "ok", "ok"]
        assert verdicts(T + 151, every(), *early[:2]) == ["ok", "ok", "missed"]
        # Two seconds at most, a tenth of the time between two slots at most, and no run stands in for one of its own.
        assert verdicts(T + 31, every(), ran(T - 2.5)) == ["missed"]
        assert verdicts(T + 31, every(5.0, ends_at=T + 5), ran(T - 0.7), ran(T + 5)) == ["missed", "ok"]
        assert verdicts(T + 71, every(), ran(T + 0.2), ran(T + 59), ran(T + 60)) == ["ok", "ok"]

    def test_several_processes_that_start_one_slot_double_it(self) -> None:
        assert verdicts(T + 11, every(), ran(T), ran(T, worker="w-2")) == ["doubled"]
        # Each process counts its interval from its own start.
        assert verdicts(T + 41, every(), ran(T), ran(T + 30, worker="w-2")) == ["doubled"]
        assert verdicts(T + 11, every(), ran(T), ran(T)) == ["ok"]

    def test_a_scheduler_that_starts_it_twice_before_the_next_time_is_found(self) -> None:
        again = replace(ran(T), run_id="again")
        (slot,), _ = judge(T + 11, every(), [ran(T), again], [])
        assert slot.verdict is SlotVerdict.REPEATED
        assert again.run_id in slot.reason
        # What comes just before the next time is that one's, early.
        early = replace(ran(T + 57), run_id="early")
        assert verdicts(T + 60, every(), ran(T), early) == ["ok"]
        # Too close to be told from a clock that drifts.
        assert verdicts(T + 11, every(5), ran(T), again)[0] == "ok"

    def test_a_run_that_begins_beside_an_earlier_one_is_overlapping(self) -> None:
        first = replace(ran(T), started_at=T + 0.2)
        for earlier, expected in [
            (replace(ran(T - 60), state="started", started_at=T - 59), "overlapping"),
            (replace(ran(T - 60), started_at=T - 59, finished_at=T + 1), "overlapping"),
            (replace(ran(T - 60), started_at=T - 59, finished_at=T), "ok"),
            (replace(ran(T - 60), state="queued"), "ok"),
        ]:
            (slot,), _ = judge(T + 11, every(), [first], [], [earlier])
            assert slot.verdict.value == expected
        (slot,), _ = judge(T + 11, every(), [first], [], [replace(ran(T - 60), state="started", started_at=T - 59)])
        assert slot.reason == f"{first.run_id} began while {ran(T - 60).run_id} still ran"

    @pytest.mark.parametrize(
        ("took_s", "usual_s", "expected"),
        [
            (0.05, [4.0] * 10, 4.0),
            (0.5, [4.0] * 10, None),
            (0.05, [4.0] * 9, None),
            (0.0001, [0.02] * 50, None),
            # One that was short before is not the rule, and a twentieth of them is.
            (0.05, [0.1, *[4.0] * 30], 4.0),
            (0.05, [*[0.1] * 3, *[4.0] * 17], None),
        ],
    )
    def test_fast_is_a_tenth_of_what_it_usually_takes_at_least(
        self, took_s: float, usual_s: list[float], expected: float | None
    ) -> None:
        assert is_too_fast(took_s, usual_s) == expected

    @pytest.mark.parametrize(("start", "end"), [(-10.0, 5.0), (5.0, 40.0), (25.0, 100.0), (-500.0, 500.0)])
    def test_nothing_is_missed_while_nothing_could_be_heard(self, start: float, end: float) -> None:
        still = Gap(1, "server", T + start, None, "it was not running")
        assert verdicts(T + 10_000, every(), gaps=[still])[:1] == []
        over = Gap(1, "server", T + start, T + end, "it was not running")
        assert verdicts(T + end + 60, every(), gaps=[over])[:1] == []
        found, _ = judge(T + max(end, 0) + 100, every(), [], [over])
        assert found[0].verdict is SlotVerdict.UNKNOWN
        assert "server" in found[0].reason

    def test_what_is_told_late_after_a_gap_counts(self) -> None:
        over = Gap(1, "server", T - 5, T + 200, "it was not running")
        assert verdicts(T + 210, every(), ran(T), gaps=[over])[0] == "ok"

    def test_a_gap_that_was_over_before_excuses_nothing(self) -> None:
        before = Gap(1, "server", T - 100, T - 1, "it was not running")
        assert verdicts(T + 31, every(), gaps=[before]) == ["missed"]

    @given(
        late=st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=12),
        looks=st.lists(st.floats(0, 1500), max_size=25),
        workers=st.lists(st.sampled_from(["w-1", "w-2"]), min_size=12, max_size=12),
        cut=st.none() | st.tuples(st.floats(0, 800), st.floats(0, 400)),
    )
    def test_no_slot_gets_two_verdicts_and_none_is_forgotten(
        self, late: list[float | None], looks: list[float], workers: list[str], cut: tuple[float, float] | None
    ) -> None:
        """However often it is looked at, and whatever has been heard until then."""
        schedule = every()
        runs = [ran(T + 60 * n, s, workers[n]) for n, s in enumerate(late) if s is not None]
        end = T + 60 * len(late)
        given = Counter[float]()
        for now in [*sorted(T + look for look in looks), T + 3000]:
            heard = [run for run in runs if run.fired_at <= now]
            gaps = []
            if cut is not None and T + cut[0] <= now:
                over = T + sum(cut)
                gaps = [Gap(1, "server", T + cut[0], over if over <= now else None, "cut")]
            found, slot_at = judge(now, schedule, heard, gaps)
            given.update(slot.at for slot in found)
            schedule.slot_at = slot_at
        expected = [T + 60 * n for n in range(len(late))]
        assert {at: number for at, number in given.items() if at < end} == dict.fromkeys(expected, 1)


class TestKeepers:
    """Whether anybody keeps a schedule."""

    def test_a_scheduler_is_dead_when_its_process_is_down_or_lets_a_due_time_pass(self) -> None:
        up, down = Worker("w", state="up", last_seen_at=T), Worker("w", state="down", last_seen_at=T)
        assert not is_dead(every(), up, T + 29)
        assert is_dead(every(), down, T - 20)
        assert is_dead(every(), up, T + 31)
        assert not is_dead(every(enabled=False), down, T + 31)
        assert is_dead(every(next_due_at=T + 9999), None, T + 200)

    def test_one_that_ended_on_purpose_keeps_nothing_any_more(self) -> None:
        assert kept_by_nobody(every(), Worker("w", state="closed", last_seen_at=T), T)
        assert not kept_by_nobody(every(), Worker("w", state="down", last_seen_at=T), T)
        assert not kept_by_nobody(every(), None, T)
        assert kept_by_nobody(every(), None, T + timedelta(days=2).total_seconds())

    def test_one_that_was_killed_and_replaced_is_dead_unless_the_other_one_keeps_schedules_in_turn(self) -> None:
        replaced = Worker("w", state="closed", last_seen_at=T, replaced_by="v")
        silent_for_long = T + 200
        assert not kept_by_nobody(every(), replaced, silent_for_long, keepers={"w"})
        assert kept_by_nobody(every(), replaced, silent_for_long, keepers={"w", "v"})
        assert not kept_by_nobody(every(), replaced, T + 60, keepers={"w", "v"})
        assert is_dead(every(next_due_at=T + 9999), replaced, silent_for_long)
        assert not is_dead(every(next_due_at=T + 9999), replaced, T + 60)
