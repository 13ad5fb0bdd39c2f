"""RQ's cron under watch with no change to its code: real schedulers, and keys that a test writes as they would."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from huoyan.model.event import ProcessReport
from huoyan.model.schedule import ScheduleReport, SlotVerdict
from huoyan.server.collect import Collector
from huoyan.server.collect.schedules import Schedules
from huoyan.server.ingest import rq_cron
from huoyan.server.ingest.rq_poll import RqPollIngest
from huoyan.server.store import RunFilters, Store
from tests.servers import RedisServer, migrated_sqlite, wait_until

WORK = """
def work():
    pass

class Reports:
    @staticmethod
    def send():
        pass
"""
PLAN = """
from rq import cron
import work

cron.register(work.work, "q", interval=1, name="twice")
"""
MORE = """
cron.register(work.Reports.send, "q", interval=1, name="often")
cron.register(work.work, "q", cron="30 2 * * 1-5", name="weekdays")
"""


class MovedClock:
    """The system's clock, moved ahead."""

    ahead_s = 0.0

    def now(self) -> float:
        """Return the wall time."""
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        """Return the monotonic time, which is not moved."""
        return time.monotonic()


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def collector(tmp_path: Path, clock: MovedClock) -> Iterator[Collector]:
    store = Store.open(migrated_sqlite(tmp_path / "cron.db"), clock)
    collector = Collector(store, clock)
    collector.start()
    yield collector
    collector.stop()
    store.close()


@pytest.fixture
def connection(redis_server: RedisServer) -> Iterator[Any]:
    connection: Any = redis.Redis(port=redis_server.port, db=7)
    connection.flushdb()
    yield connection
    connection.flushdb()


@pytest.fixture
def spoken_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave hooks no time to speak first."""
    monkeypatch.setattr(rq_cron, "SETTLE_S", 0.0)


def scheduler(folder: Path, name: str, plan: str, url: str) -> "subprocess.Popen[bytes]":
    (folder / f"{name}.py").write_text(plan)
    command = [str(Path(sys.executable).with_name("rq")), "cron", "--url", url, name]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(command, env=env, cwd=folder, stdout=log, stderr=log)


def slots(store: Store) -> dict[str, list[tuple[SlotVerdict, str]]]:
    return {
        known.id: [(slot.verdict, slot.run_id) for slot in store.schedules.slots(known)]
        for known in store.schedules.list()
    }


def labels(store: Store) -> list[dict[str, str]]:
    page = store.runs.page(RunFilters(framework=("rq",)), 200).items
    return [run.labels for run in page]


@pytest.mark.usefixtures("spoken_for_at_once")
def test_schedulers_are_found_their_runs_matched_and_their_end_seen(
    collector: Collector,
    clock: MovedClock,
    connection: Any,
    redis_server: RedisServer,
    tmp_path: Path,
) -> None:
    """Two schedulers keep one job; one ends in order, the other is killed."""
    store = collector.store
    ingest = RqPollIngest(redis_server.database_url(7), collector)
    schedules = Schedules(store, clock)
    liveness = next(service for service in collector.services() if service.name == "liveness")

    def look() -> dict[str, list[str]]:
        """Look once, and return who enqueued how often under each schedule."""
        ingest.run_once()
        collector.flush()
        found: dict[str, list[str]] = {}
        for each in labels(store):
            found.setdefault(each.get("schedule", ""), []).append(each.get("scheduler", ""))
        return found

    (tmp_path / "work.py").write_text(WORK)
    processes = [
        scheduler(tmp_path, "plan", PLAN + MORE, redis_server.database_url(7)),
        scheduler(tmp_path, "other", PLAN, redis_server.database_url(7)),
    ]
    try:

        def both() -> bool:
            asked = look().get("twice", [])
            return sum(asked.count(each) >= 3 for each in set(asked) - {""}) == 2

        wait_until(both, 60)
        killed, ended = processes
        names = {worker.pid: worker.worker for worker in store.workers.list()}
        assert {killed.pid, ended.pid} <= set(names)
        ended.terminate()
        ended.wait(60)
        look()
        killed.send_signal(signal.SIGKILL)
        killed.wait(60)
        asked = look()
    finally:
        for process in processes:
            process.kill()
            process.wait()

    kept = {one.id: one for one in store.schedules.list()}
    assert set(kept) == {"twice", "often", "weekdays"}
    assert (kept["weekdays"].expression, kept["weekdays"].timezone) == ("30 2 * * 1-5", "UTC")
    assert (kept["often"].expression, kept["often"].task) == ("1", "work.Reports.send")
    assert kept["often"].last_run_at == pytest.approx(time.time(), abs=60)
    assert kept["often"].next_due_at == pytest.approx(kept["often"].last_run_at or 0, abs=1.01)
    assert set(asked["often"]) == {names[killed.pid]}
    assert all(each["trigger"] == "cron" for each in labels(store))

    def later() -> dict[int, str]:
        """Let time pass, less at once than would count as standing still, and return the states of processes."""
        clock.ahead_s += 10
        liveness.run_once()
        schedules.run_once()
        return {worker.pid: worker.state for worker in store.workers.list()}

    wait_until(lambda: later()[killed.pid] == "down", 60)
    assert later()[ended.pid] == "closed"
    dead = {dict(labels)["schedule"]: value for labels, value in schedules.dead().items()}
    assert dead["rq/often"] == dead["rq/weekdays"] == 1.0
    wait_until(lambda: later() and slots(store)["often"][0][0] is SlotVerdict.MISSED, 60)
    found = slots(store)
    runs = {run.id for run in store.runs.page(RunFilters(framework=("rq",)), 200).items}
    kept_times = {run_id for verdict, run_id in found["often"] if verdict in (SlotVerdict.OK, SlotVerdict.LATE)}
    assert kept_times
    assert kept_times <= runs
    assert SlotVerdict.DOUBLED in {verdict for verdict, _ in found["twice"]}


def write(connection: Any, name: str, jobs: object, heartbeat: float, pid: int = 7) -> None:
    """Write a scheduler down as RQ does."""
    fields = {"hostname": "h", "pid": str(pid), "created_at": "2026-11-20T10:00:00Z", "cron_jobs": json.dumps(jobs)}
    connection.hset(f"rq:cron_scheduler:{name}", mapping=fields)
    connection.zadd("rq:cron_schedulers", {name: heartbeat})


def enqueue(connection: Any, name: str, at: float, **fields: str) -> str:
    """Enqueue a job as a cron job does."""
    job_id = str(uuid.uuid4())
    made = datetime.fromtimestamp(at, UTC).isoformat()
    values = {"status": "queued", "created_at": made, "enqueued_at": made, "origin": "q", "description": "a.b()"}
    connection.sadd("rq:queues", "rq:queue:q")
    connection.hset(f"rq:job:{job_id}", mapping=values | fields)
    connection.rpush("rq:queue:q", job_id)
    connection.zadd(f"rq:cron_job:{name}:jobs", {job_id: at})
    connection.zadd("rq:cron_jobs", {name: at})
    return job_id


@pytest.mark.usefixtures("spoken_for_at_once")
def test_a_scheduler_whose_process_has_hooks_speaks_for_itself(
    collector: Collector, clock: MovedClock, connection: Any, redis_server: RedisServer
) -> None:
    now = clock.now()
    store = collector.store
    hooks = ProcessReport("shop@h:7", service="shop", framework="rq", host="h", pid=7, interval_s=60)
    collector.submit([], process=hooks, source="http").result(30)
    next(service for service in collector.services() if service.name == "liveness").run_once()
    told = ScheduleReport("nightly", service="shop", framework="rq", source="shop@h:7", at=now)
    store.schedules.report([told], now)
    job = {"name": "nightly", "func_name": "a.b", "queue_name": "q", "cron": "0 3 * * *"}
    write(connection, "h:7:abc", [job], now)
    last = {"latest_enqueue_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 1))}
    write(connection, "h:8:def", [job | {"name": "hourly"} | last], now, pid=8)
    nightly, hourly = enqueue(connection, "nightly", now), enqueue(connection, "hourly", now)
    # RQ 2.11 does not list what was enqueued.
    connection.zrem("rq:cron_jobs", "hourly")
    ingest = RqPollIngest(redis_server.database_url(7), collector)
    ingest.run_once()
    collector.flush()
    assert {(one.service, one.id, one.source) for one in store.schedules.list()} == {
        ("shop", "nightly", "shop@h:7"),
        ("", "hourly", "h:8:def"),
    }
    found = {run.id: run.labels for run in store.runs.page(RunFilters(), 10).items}
    assert found == {nightly: {}, hourly: {"trigger": "cron", "schedule": "hourly", "scheduler": "h:8:def"}}


@pytest.mark.usefixtures("spoken_for_at_once")
def test_what_rq_takes_out_of_its_list_late_did_not_leave_by_itself(
    collector: Collector, connection: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what a job with `result_ttl=0` came to is inferred, although nobody saw it."""
    job = {"name": "nightly", "func_name": "a.b", "queue_name": "q", "interval": 60, "result_ttl": 0}
    write(connection, "pruned", [job | {"name": "weekly"}], time.time())
    write(connection, "left", [job], time.time())
    ingest = RqPollIngest(redis_server.database_url(7), collector)
    ingest.run_once()
    assert {one.id: one.enabled for one in collector.store.schedules.list()} == {"nightly": True, "weekly": True}
    job_id = enqueue(connection, "nightly", time.time())
    connection.delete(f"rq:job:{job_id}", "rq:queue:q")
    ingest.run_once()
    collector.flush()
    [run] = collector.store.runs.page(RunFilters(), 10).items
    assert (run.id, run.task, run.labels["schedule"]) == (job_id, "a.b", "nightly")
    assert collector.store.runs.counts(RunFilters(state=("succeeded",))).total == 1

    connection.zrem("rq:cron_schedulers", "left")
    ingest.run_once()
    monkeypatch.setattr(rq_cron, "PRUNED_S", 0.0)
    connection.zrem("rq:cron_schedulers", "pruned")
    ingest.run_once()
    collector.flush()
    assert {one.id: one.enabled for one in collector.store.schedules.list()} == {"nightly": False, "weekly": True}


@pytest.mark.parametrize("ahead_s", [-300.0, -0.4, 0.4, 300.0])
@pytest.mark.usefixtures("spoken_for_at_once")
def test_a_scheduler_is_judged_by_its_own_clock(
    collector: Collector, clock: MovedClock, connection: Any, redis_server: RedisServer, ahead_s: float
) -> None:
    """It does everything in time by a clock that is wrong; nothing is late or missed."""
    ingest = RqPollIngest(redis_server.database_url(7), collector)
    schedules = Schedules(collector.store, clock)
    liveness = next(service for service in collector.services() if service.name == "liveness")
    job: dict[str, Any] = {"name": "minutely", "func_name": "a.b", "queue_name": "q", "interval": 60}
    ingest.run_once()
    due = time.time() + ahead_s

    def beat(at: float, **times: float) -> None:
        written = {key: datetime.fromtimestamp(when, UTC).isoformat() for key, when in times.items()}
        write(connection, "h:7:abc", [job | written], at)
        ingest.run_once()
        liveness.run_once()
        collector.flush()

    beat(due - 0.2, next_enqueue_time=due)
    enqueue(connection, "minutely", due + 0.01)
    beat(due + 0.02, latest_enqueue_time=due + 0.01, next_enqueue_time=due + 60)
    ingest.run_once()
    collector.flush()
    clock.ahead_s += 15
    schedules.run_once()
    [slot] = collector.store.schedules.slots(collector.store.schedules.list()[0])
    assert slot.verdict is SlotVerdict.OK
    assert slot.late_s == pytest.approx(0.01, abs=0.1)
    assert schedules.dead() == {(("schedule", "rq/minutely"),): 0.0}


@pytest.mark.parametrize(
    "odd",
    [
        {"rq:cron_schedulers": "text", "rq:cron_jobs": "text"},
        {"rq:cron_scheduler:s": "text", "rq:cron_job:nightly:jobs": "text"},
    ],
)
def test_keys_that_are_not_rqs_harm_nothing(
    collector: Collector,
    connection: Any,
    redis_server: RedisServer,
    monkeypatch: pytest.MonkeyPatch,
    odd: dict[str, str],
) -> None:
    monkeypatch.setattr(rq_cron, "SETTLE_S", 0.0)
    connection.zadd("rq:cron_schedulers", {"s": time.time(), b"\xff\xfe": 1e300, "x" * 5000: 3})
    connection.zadd("rq:cron_jobs", {"nightly": time.time(), b"\xff": 5, "endless": "inf"})
    for key, value in odd.items():
        connection.set(key, value)
    ingest = RqPollIngest(redis_server.database_url(7), collector)
    for _ in range(4):
        ingest.run_once()
    collector.flush()
    assert ingest.status().lost == 0
    assert collector.store.schedules.list() == []
