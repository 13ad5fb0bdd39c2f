"""Looking at the Redis of an RQ deployment: what is strange harms nothing, what is quick or large is seen whole."""

import base64
import os
import pickle
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import redis

from huoyan.model.run import view
from huoyan.server.collect import Collector
from huoyan.server.ingest import rq_poll, rq_workers
from huoyan.server.ingest.rq_poll import MAX_JOBS, RqPollIngest
from huoyan.server.store import Store
from huoyan.server.store.runs import RunFilters
from tests.servers import RedisServer, migrated_sqlite, wait_until


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Give a collector on a store of its own."""
    store = Store.open(migrated_sqlite(tmp_path / "huoyan.db"))
    collector = Collector(store)
    collector.start()
    yield collector
    collector.stop()
    store.close()


def test_what_is_not_rqs_harms_nothing(collector: Collector, redis_server: RedisServer, tmp_path: Path) -> None:
    made = tmp_path / "made"

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(made),)

    connection: Any = redis.Redis(port=redis_server.port, db=5)
    connection.flushdb()
    connection.sadd(
        "rq:queues", "rq:queue:good", "rq:queue:wrong", b"rq:queue:\xff\xfe", "no prefix", "rq:queue:" + "x" * 5000
    )
    connection.set("rq:queue:wrong", "no list")
    connection.set("rq:finished:good", "no sorted set")
    connection.sadd("rq:workers", "rq:worker:gone", b"rq:worker:\xff", "rq:worker:text")
    connection.set("rq:worker:text", "no hash")
    connection.rpush("rq:queue:good", "text", "list", "empty", b"\xff\xfe", "odd", "bomb", "x" * 100_000)
    connection.set("rq:job:text", "no hash")
    connection.rpush("rq:job:list", "no hash")
    bomb = zlib.compress(pickle.dumps(("shop.send", None, (Bomb(),), {})))
    for name, fields in {
        "odd": {
            "status": "\ud800".encode("utf-8", "surrogatepass"),
            "created_at": "1e999",
            "dependency_ids": "[" * 50_000,
        },
        "bomb": {
            "status": "failed",
            "description": "sends",
            "data": bomb,
            "result": bomb,
            "meta": bomb,
            "exc_info": b"x",
        },
    }.items():
        connection.hset(f"rq:job:{name}", mapping=fields)
    connection.zadd("rq:failed:good", {"bomb": 1})
    connection.zadd("rq:wip:good", {"no colon": 1, "bomb:1:2:3": 2})
    connection.set("rq:results:odd", "no stream")
    connection.xadd("rq:results:bomb", {"type": "2", "return_value": base64.b64encode(bomb), "exc_string": "?!"})
    ingest = RqPollIngest(redis_server.database_url(5), collector)
    for _ in range(3):
        ingest.run_once()
    collector.flush()
    found = {run.task for run in collector.store.runs.page(RunFilters(), 100, None).items}
    assert "shop.send" in found
    assert not made.exists()
    connection.flushdb()


def test_a_burst_larger_than_one_look_is_seen_whole(collector: Collector, redis_server: RedisServer) -> None:
    connection: Any = redis.Redis(port=redis_server.port, db=6)
    connection.flushdb()
    ingest = RqPollIngest(redis_server.database_url(6), collector)
    ingest.run_once()
    connection.sadd("rq:queues", "rq:queue:q")
    count = 2 * MAX_JOBS + 1
    with connection.pipeline() as pipe:
        for number in range(count):
            fields = {"status": "queued", "created_at": "2026-11-20T10:00:00Z", "origin": "q", "description": "a.b()"}
            pipe.hset(f"rq:job:j{number}", mapping=fields)
            pipe.rpush("rq:queue:q", f"j{number}")
        pipe.execute()
    assert [ingest.run_once() for _ in range(4)] == [MAX_JOBS, MAX_JOBS, 1, 0]
    collector.flush(30)
    assert collector.store.runs.counts(RunFilters()).total == count
    connection.flushdb()


def test_what_happens_during_a_look_keeps_its_time(collector: Collector, redis_server: RedisServer) -> None:
    connection: Any = redis.Redis(port=redis_server.port, db=6)
    connection.flushdb()
    began = time.time() - 60
    times = iter([began])

    class SlowClock:
        """Ten seconds have passed when it is looked at again."""

        def now(self) -> float:
            return next(times, began + 10)

        def monotonic(self) -> float:
            return time.monotonic()

    def written(at: float) -> str:
        return datetime.fromtimestamp(at, UTC).isoformat()

    fields = {"status": "finished", "created_at": written(began - 5), "enqueued_at": written(began - 5)}
    fields |= {"started_at": written(began + 1), "ended_at": written(began + 3), "worker_name": "w", "origin": "q"}
    connection.sadd("rq:queues", "rq:queue:q")
    connection.hset("rq:job:j", mapping=fields | {"description": "a.b()"})
    connection.zadd("rq:finished:q", {"j": began + 500})
    RqPollIngest(redis_server.database_url(6), collector, clock=SlowClock()).run_once()
    collector.flush()
    [run] = collector.store.runs.page(RunFilters(), 10).items
    shown = view(run)
    assert (shown.started_at, shown.finished_at) == pytest.approx((began + 1, began + 3), abs=0.001)
    connection.flushdb()


def test_while_redis_cannot_be_asked_its_workers_are_not_judged(
    collector: Collector, fresh_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rq_workers, "INTERVAL_S", 0.5)
    monkeypatch.setattr(rq_poll, "INTERVAL_S", 0.5)
    connection: Any = redis.Redis(port=fresh_redis.port)
    connection.sadd("rq:workers", "rq:worker:w")
    connection.hset(
        "rq:worker:w", mapping={"birth": "2026-11-20T10:00:00Z", "pid": "7", "hostname": "h", "queues": "q"}
    )
    ingest = RqPollIngest(fresh_redis.url, collector, poll_s=0.1)
    ingest.start()
    wait_until(lambda: ingest.status().connected)
    liveness = collector.services()[0]

    def state() -> str:
        liveness.run_once()
        collector.flush()
        return "".join(worker.state for worker in collector.store.workers.list())

    wait_until(lambda: state() == "up")
    fresh_redis.kill()
    wait_until(lambda: any(gap.ended_at is None for gap in collector.store.gaps.list()), 20)
    # Nobody listens to its channel: it would be down after three reports that did not come.
    silent_until = time.monotonic() + 3 * rq_workers.INTERVAL_S + 1
    while time.monotonic() < silent_until:
        assert state() == "up"
        time.sleep(0.1)
    ingest.stop()
