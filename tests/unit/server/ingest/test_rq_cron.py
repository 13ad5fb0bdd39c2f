"""What RQ's cron schedulers keep in Redis is read as data, and what they enqueued is given to the right one."""

import json
from typing import Any

import pytest

from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.schedule import ScheduleKind
from huoyan.server.ingest.rq_cron_clocks import CronClocks
from huoyan.server.ingest.rq_cron_records import MAX_CRON_JOBS, CronRecord, scheduler_of
from huoyan.server.ingest.rq_cron_runs import PATIENCE, CronRuns, Enqueued, Keeper

NIGHTLY: dict[str, Any] = {"name": "nightly", "func_name": "shop.report", "queue_name": "mail", "cron": "0 3 * * *"}


def jobs_of(written: Any) -> tuple[CronRecord, ...]:
    raw = written if isinstance(written, bytes) else json.dumps(written).encode()
    record = scheduler_of("s", [b"host", b"12", b"2026-11-20T10:00:00.5Z", raw])
    assert record is not None
    return record.jobs


def test_a_scheduler_is_read_as_rq_writes_it() -> None:
    times = {"next_enqueue_time": "2026-11-21T03:00:00.000000Z", "latest_enqueue_time": "2026-11-20T03:00:00.25Z"}
    record = scheduler_of("s", [b"host", b"12", b"2026-11-20T10:00:00.5Z", json.dumps([NIGHTLY | times]).encode()])
    assert record is not None
    assert (record.host, record.pid, record.created_at) == ("host", 12, 1_795_168_800.5)
    assert record.jobs == (
        CronRecord(
            "nightly",
            "nightly",
            "shop.report",
            "mail",
            ScheduleKind.CRON,
            "0 3 * * *",
            1_795_230_000.0,
            1_795_143_600.25,
        ),
    )
    assert record.sleeps_s(1_795_229_990.0) == 10
    assert record.sleeps_s(1_795_000_000.0) == 60
    assert record.sleeps_s(1_795_230_001.0) == 0


def test_a_scheduler_that_expired_is_none() -> None:
    assert scheduler_of("s", [None, None, None, None]) is None


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ({"cron": "0 3 * * *"}, "0 3 * * *"),
        ({"cron": " 0 3 * * * 15 "}, "0 3 * * * 15 (seconds last)"),
        ({"cron": "@daily"}, "@daily"),
        ({"cron": None, "interval": 90}, "90"),
        ({"cron": "", "interval": 0.5}, "0.5"),
    ],
)
def test_when_it_is_due_is_said_in_the_words_of_the_model(said: dict[str, Any], expression: str) -> None:
    [job] = jobs_of([NIGHTLY | said])
    assert job.expression == expression
    assert job.kind is (ScheduleKind.INTERVAL if said.get("interval") else ScheduleKind.CRON)


@pytest.mark.parametrize(
    "written",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"name": "nightly"}',
        b"[1, null, [], {}]",
        # As RQ before 2.11 wrote it.
        [{key: value for key, value in NIGHTLY.items() if key != "name"}],
        [NIGHTLY | {"name": 5}],
        [NIGHTLY | {"cron": None}],
        [NIGHTLY | {"cron": None, "interval": True}],
        [NIGHTLY | {"cron": None, "interval": -1}],
        [NIGHTLY | {"cron": None, "interval": "60"}],
        b'[{"name": "nightly", "interval": NaN}]',
        b'[{"name": "nightly", "interval": 1e999}]',
    ],
)
def test_what_says_of_no_cron_job_when_it_is_due_is_none(written: Any) -> None:
    assert jobs_of(written) == ()


@pytest.mark.parametrize(
    "moment", [None, 5, "", "soon", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", []]
)
def test_times_that_cannot_be_are_unknown(moment: Any) -> None:
    [job] = jobs_of([NIGHTLY | {"next_enqueue_time": moment, "latest_enqueue_time": moment}])
    assert (job.next_due_at, job.last_run_at) == (None, None)


def test_odd_texts_can_be_stored_and_odd_processes_have_no_number() -> None:
    [job] = jobs_of(
        [NIGHTLY | {"name": "a\ud800\0" + "x" * 9000, "func_name": None, "queue_name": 7, "result_ttl": "0"}]
    )
    job.id.encode()
    assert "\0" not in job.id
    assert (len(job.id), job.task, job.queue, job.result_ttl_s) == (300, "", "", None)
    for pid in (b"", b"-1", b"\xd9\xa1", b"9" * 30, b"x"):
        record = scheduler_of("s", [b"\xff", pid, None, b"[]"])
        assert record is not None
        assert (record.host, record.pid, record.created_at) == ("\ufffd", 0, None)


def test_cron_jobs_of_one_name_are_told_apart_by_their_order() -> None:
    assert [job.id for job in jobs_of([NIGHTLY, NIGHTLY | {"name": "b"}, NIGHTLY])] == ["nightly", "b", "nightly #2"]
    assert len(jobs_of([NIGHTLY] * (MAX_CRON_JOBS + 1))) == MAX_CRON_JOBS


def record(at: float | None, schedule: str = "nightly") -> CronRecord:
    return CronRecord(schedule, "nightly", "shop.report", "mail", ScheduleKind.INTERVAL, "60", last_run_at=at)


def settled(runs: CronRuns, *keepers: Keeper) -> dict[str, tuple[str, str] | None]:
    found = runs.settle({"nightly": list(keepers)})
    return {one.job_id: (keeper.scheduler, keeper.job.id) if keeper else None for one, keeper in found}


def test_the_only_keeper_has_asked_for_everything() -> None:
    runs = CronRuns()
    runs.enqueued([Enqueued("nightly", "a", 100.0), Enqueued("nightly", "b", 160.0)])
    assert settled(runs, Keeper("s", record(160.0))) == {"a": ("s", "nightly"), "b": ("s", "nightly")}
    assert settled(runs, Keeper("s", record(160.0))) == {}


def test_of_several_schedulers_each_has_what_came_just_after_its_time() -> None:
    runs = CronRuns()
    one, other = record(100.0), record(100.02)
    keepers = Keeper("one", one), Keeper("other", other)
    runs.enqueued([Enqueued("nightly", "second", 100.03), Enqueued("nightly", "first", 100.01)])
    runs.written("other", [other])
    assert settled(runs, *keepers) == {"second": ("other", "nightly")}
    # The other one wrote its time down only now.
    runs.written("one", [one])
    assert settled(runs, *keepers) == {"first": ("one", "nightly")}


def test_of_several_cron_jobs_of_one_name_each_has_its_own() -> None:
    runs = CronRuns()
    first, second = record(100.0, "nightly"), record(100.0, "nightly #2")
    runs.written("s", [first, second])
    runs.enqueued([Enqueued("nightly", "b", 100.02), Enqueued("nightly", "a", 100.01)])
    keepers = Keeper("s", first), Keeper("s", second)
    assert settled(runs, *keepers) == {"a": ("s", "nightly"), "b": ("s", "nightly #2")}


def test_what_nobody_claims_is_given_up_after_some_looks() -> None:
    runs = CronRuns()
    keepers = Keeper("one", record(None)), Keeper("other", record(None))
    runs.enqueued([Enqueued("nightly", "a", 100.0)])
    for _ in range(PATIENCE - 1):
        assert settled(runs, *keepers) == {}
    assert settled(runs, *keepers) == {"a": None}
    # And so is a claim, which would take what comes much later.
    runs.written("one", [record(200.0)])
    for _ in range(PATIENCE):
        assert settled(runs, *keepers) == {}
    runs.enqueued([Enqueued("nightly", "b", 900.0)])
    assert settled(runs, *keepers) == {}


def test_a_time_is_claimed_once() -> None:
    runs = CronRuns()
    one = record(100.0)
    runs.written("one", [one])
    runs.written("one", [one])
    runs.enqueued([Enqueued("nightly", "a", 100.01), Enqueued("nightly", "b", 100.02)])
    assert settled(runs, Keeper("one", one), Keeper("other", record(None))) == {"a": ("one", "nightly")}


@pytest.mark.parametrize(
    ("heartbeat", "ahead_s"),
    [
        # It was written between 100 and 101 by our clock.
        (100.5, 0.0),
        (99.9, 0.0),
        (101.2, 0.0),
        (105.9, 0.0),
        (106.2, 5.0),
        (401.4, 300.0),
        (-200.3, -300.0),
        (-204.0, -300.0),
    ],
)
def test_a_clock_is_off_by_no_less_than_its_heartbeat_shows(heartbeat: float, ahead_s: float) -> None:
    assert CronClocks().heard("s", heartbeat, 100.0, 101.0) == ahead_s


def test_what_cron_enqueued_is_put_right_and_nothing_else() -> None:
    clocks = CronClocks()
    clocks.heard("behind", 699.0, 1_000.0, 1_001.0)
    for job_id, asked_by in (("behind", "behind"), ("soon", ""), ("future", "")):
        clocks.asked_for(job_id, asked_by)
    at = {"behind": 700.0, "soon": 1_001.5, "future": 1_100.0, "other": 1_001.5}
    events = [TaskEvent(EventKind.QUEUED, run_id, when) for run_id, when in at.items()]
    events += [TaskEvent(EventKind.STARTED, "behind", 700.0), TaskEvent(EventKind.QUEUED, "behind", 700.0, attempt=2)]
    clocks.put_right(events, 1_001.0)
    assert [(event.at, event.received_at) for event in events] == [
        (1_000.0, 1_001.0),
        (1_001.5, 1_001.5),
        (1_100.0, 1_007.0),
        (1_001.5, None),
        (700.0, None),
        (700.0, None),
    ]
