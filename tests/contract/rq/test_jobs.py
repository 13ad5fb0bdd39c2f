"""Jobs of RQ, with what they wait for, repeat and leave behind, are runs."""

import os
import sys
import time
import uuid
from typing import Any

import pytest
import redis
import rq
from rq.cron import CronJob, CronScheduler
from rq.group import Group
from rq.serializers import JSONSerializer

import huoyan
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.run import RunState
from huoyan.model.schedule import ScheduleKind
from huoyan.server.collect.slots import computed_slot
from huoyan.server.store import KnownSchedule
from tests.contract.adapters.contract import by_task, only, runs, states
from tests.contract.adapters.rq import JOBS, RqAdapter, ThreadTimedWorker, path_of
from tests.servers import RedisServer, wait_until


def test_executions_carry_the_name_that_rq_has_for_them(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    job = adapter.submit(work)
    worker = adapter.worker()
    worker.work(burst=True, logging_level="CRITICAL")
    shown, _ = only(transport)
    result = job.latest_result()
    assert result is not None
    assert shown.attempts[0].key == f"{result.execution_id}@{worker.name}"
    assert shown.worker == worker.name
    # Left in the job for whoever reads Redis.
    assert adapter.connection.hget(job.key, "huoyan_execution") == shown.attempts[0].key.encode()


def test_a_job_waits_for_another_one_as_its_child(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def first() -> None: ...

    def second() -> None: ...

    def third() -> None: ...

    one = adapter.submit(first)
    two = adapter.queue.enqueue(path_of(second), depends_on=one)
    adapter.queue.enqueue(path_of(third), depends_on=[two, one])
    waiting = by_task(transport)
    assert (waiting["second"][0].state, waiting["second"][0].enqueued_at) == (RunState.QUEUED, None)
    adapter.work()
    found = by_task(transport)
    assert {shown.state for shown, _ in found.values()} == {RunState.SUCCEEDED}
    ids = {name: shown.id for name, (shown, _) in found.items()}
    parents = {name: run.parent_id for name, (_, run) in found.items()}
    assert parents == {"first": None, "second": ids["first"], "third": ids["second"]}
    assert {run.root_id for name, (_, run) in found.items() if name != "first"} == {ids["first"]}
    assert found["third"][1].depends_on == {two.id, one.id}
    # What a job waits for another one is no waiting in the queue.
    ended = found["first"][0].finished_at
    assert ended is not None
    assert (found["second"][0].enqueued_at or 0) >= ended - 0.01


def test_a_job_whose_dependency_failed_stays_where_it_is(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def fails() -> None:
        raise ValueError("no")

    def never() -> None: ...

    one = adapter.submit(fails)
    adapter.queue.enqueue(path_of(never), depends_on=one)
    adapter.work()
    found = by_task(transport)
    assert (found["fails"][0].state, found["never"][0].state) == (RunState.FAILED, RunState.QUEUED)
    assert found["never"][0].started_at is None


def test_what_a_job_enqueues_has_it_as_parent(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def child() -> None: ...

    def parent() -> None:
        adapter.submit(child)

    adapter.submit(parent)
    adapter.work()
    found = by_task(transport)
    assert found["child"][1].parent_id == found["parent"][0].id
    assert found["child"][1].root_id == found["parent"][0].id


def test_jobs_of_a_group_know_it(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    group = Group.create(connection=adapter.connection)
    group.enqueue_many(adapter.queue, [rq.Queue.prepare_data(path_of(work)) for _ in range(3)])
    adapter.work()
    found = runs(transport)
    assert [run.group_id for _, run in found] == [group.name] * 3
    assert {shown.state for shown, _ in found} == {RunState.SUCCEEDED}


def test_each_repetition_is_a_run(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    job = adapter.queue.enqueue(path_of(work), repeat=rq.Repeat(times=2))
    adapter.work()
    found = [shown for shown, _ in runs(transport)]
    assert [shown.id for shown in found] == [f"{job.id}.{left}" for left in (2, 1, 0)]
    assert {shown.state for shown in found} == {RunState.SUCCEEDED}
    assert not any(attempt.duplicate for shown in found for attempt in shown.attempts)
    assert all(shown.enqueued_at is not None for shown in found)


def test_the_same_job_id_again_is_another_run(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    for _ in range(2):
        adapter.queue.enqueue(path_of(work), job_id="nightly")
        adapter.work()
        time.sleep(0.002)
    found = [shown for shown, _ in runs(transport)]
    assert [shown.state for shown in found] == [RunState.SUCCEEDED] * 2
    assert all(shown.id.startswith("nightly@") for shown in found)


def test_a_job_may_return_a_retry(adapter: RqAdapter, transport: MemoryTransport) -> None:
    tries: list[int] = []

    def twice() -> Any:
        tries.append(1)
        return rq.Retry(max=3) if len(tries) < 3 else "done"

    def always() -> Any:
        return rq.Retry(max=2)

    adapter.submit(twice)
    adapter.submit(always)
    adapter.work()
    found = by_task(transport)
    assert (found["twice"][0].result, states(found["twice"][0])) == ("done", ["retrying", "retrying", "succeeded"])
    assert states(found["always"][0]) == ["retrying", "retrying", "failed"]
    assert "2 retries are used up" in found["always"][0].reason


def test_a_retry_with_an_interval_is_put_off_and_stays_the_same_run(
    adapter: RqAdapter, transport: MemoryTransport
) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("first")
        return "second"

    adapter.queue.enqueue(path_of(flaky), retry=rq.Retry(max=1, interval=1))
    adapter.work()
    shown, _ = only(transport)
    assert (shown.state, states(shown)) == (RunState.SUCCEEDED, ["retrying", "succeeded"])
    assert shown.eta is None
    assert shown.wait_s is not None
    assert shown.wait_s < 1


def test_a_failed_job_that_is_requeued_is_the_same_run(adapter: RqAdapter, transport: MemoryTransport) -> None:
    tries: list[int] = []

    def flaky() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("first")

    job = adapter.submit(flaky)
    adapter.work()
    adapter.queue.failed_job_registry.requeue(job.id)
    adapter.work()
    shown, _ = only(transport)
    assert (shown.state, states(shown)) == (RunState.SUCCEEDED, ["failed", "succeeded"])


def test_a_deleted_job_is_revoked_unless_it_was_done(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    waiting = adapter.submit(work)
    waiting.delete()
    shown, _ = only(transport)
    assert (shown.state, shown.reason) == (RunState.REVOKED, "deleted before it ran")
    done = adapter.submit(work)
    adapter.queue.enqueue(path_of(work), result_ttl=0)
    adapter.work()
    done.delete()
    assert [shown.state for shown, _ in runs(transport)][1:] == [RunState.SUCCEEDED] * 2


def test_a_queue_without_workers_is_executed_by_the_producer(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> str:
        return "done"

    def fails() -> None:
        raise ValueError("no")

    queue = rq.Queue(adapter.queue.name, connection=adapter.connection, is_async=False)
    queue.enqueue(path_of(work))
    queue.enqueue(path_of(fails))
    found = by_task(transport)
    assert (found["work"][0].state, found["work"][0].result) == (RunState.SUCCEEDED, "done")
    assert found["fails"][0].state is RunState.FAILED
    assert found["fails"][0].exception is not None
    assert found["work"][0].worker.endswith(f":{os.getpid()}")


def test_a_job_that_cannot_be_read_has_failed(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    job = adapter.submit(work)
    adapter.connection.hset(job.key, "data", b"\x80no pickle")
    adapter.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert "DeserializationError" in shown.exception.type


def test_a_function_that_cannot_be_imported_is_a_failure(adapter: RqAdapter, transport: MemoryTransport) -> None:
    adapter.queue.enqueue("huoyan_rq_jobs.nowhere", 1)
    adapter.work()
    shown, run = only(transport)
    assert (shown.task, shown.state, run.args) == ("huoyan_rq_jobs.nowhere", RunState.FAILED, [1])


class Machine:
    """Something with a method."""

    def start(self, password: str) -> str:
        return "started"

    def __call__(self) -> str:
        return "called"


def test_methods_and_callable_objects_have_the_name_of_their_class(
    adapter: RqAdapter, transport: MemoryTransport
) -> None:
    Machine.__module__ = __name__
    sys.modules.setdefault(__name__, sys.modules[type(adapter).__module__])
    adapter.queue.enqueue(Machine().start, "hunter2")
    adapter.queue.enqueue(Machine())
    adapter.work()
    found = {shown.task: (shown.result, run.args) for shown, run in runs(transport)}
    name = f"{Machine.__module__}.{Machine.__qualname__}"
    assert found == {f"{name}.start": ("started", ["[scrubbed]"]), name: ("called", [])}


def test_another_serializer_changes_nothing(
    redis_server: RedisServer, client: Client, transport: MemoryTransport
) -> None:
    def add(a: int, b: int) -> int:
        return a + b

    connection = redis.Redis(port=redis_server.port)
    queue = huoyan.watch(
        rq.Queue(f"q{uuid.uuid4().hex[:8]}", connection=connection, serializer=JSONSerializer), service="sums"
    )
    queue.enqueue(path_of(add), 2, b=3)
    worker = ThreadTimedWorker([queue], connection=connection, serializer=JSONSerializer)
    worker.work(burst=True, logging_level="CRITICAL")
    shown, run = only(transport)
    assert (shown.state, shown.result, run.args, run.kwargs) == (RunState.SUCCEEDED, 5, [2], {"b": 3})
    assert shown.service == "sums"
    huoyan.unwatch(queue)


def test_what_a_schedule_enqueues_says_so(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def nightly() -> None: ...

    JOBS.nightly = nightly  # type: ignore[attr-defined]
    nightly.__module__, nightly.__qualname__ = JOBS.__name__, "nightly"
    CronJob(adapter.queue.name, nightly, cron="0 3 * * *").enqueue(adapter.connection)
    adapter.work()
    shown, run = only(transport)
    assert shown.state is RunState.SUCCEEDED
    assert run.labels["schedule"] == "huoyan_rq_jobs.nightly"


def test_cron_jobs_are_schedules_until_their_scheduler_ends(adapter: RqAdapter, transport: MemoryTransport) -> None:
    """RQ works out cron in UTC, and enqueues what has an interval at once."""

    def nightly() -> str:
        return "done"

    nightly.__module__ = JOBS.__name__
    JOBS.nightly = nightly  # type: ignore[attr-defined]
    scheduler = CronScheduler(connection=adapter.connection, name=f"cron-{uuid.uuid4().hex[:8]}")
    scheduler.register(nightly, adapter.queue.name, cron="30 2 * * 1-5", name="weekdays")
    scheduler.register(nightly, adapter.queue.name, interval=600, name="often")
    scheduler.register(nightly, adapter.queue.name, interval=900, name="often")
    scheduler.register_birth()
    begun = time.time()
    assert len(scheduler.enqueue_jobs()) == 2
    scheduler.enqueue_jobs()
    wait_until(lambda: len(transport.schedules) == 3)
    kept = {one.id: one for one in transport.schedules}
    assert (kept["weekdays"].kind, kept["weekdays"].expression, kept["weekdays"].timezone) == (
        ScheduleKind.CRON,
        "30 2 * * 1-5",
        "UTC",
    )
    assert kept["weekdays"].next_due_at == computed_slot(KnownSchedule("x", expression="30 2 * * 1-5"), begun)
    assert (kept["often"].kind, kept["often"].expression) == (ScheduleKind.INTERVAL, "600")
    assert kept["often"].next_due_at == pytest.approx(begun + 600, abs=5)
    # Two of one name are told apart by their order.
    assert (kept["often #2"].name, kept["often #2"].expression) == ("often", "900")
    # A job knows its function by its whole name.
    assert kept["often"].task == f"{JOBS.__name__}.{nightly.__qualname__}"
    asked = [event.labels for event in transport.events if event.labels]
    assert asked == [
        {"trigger": "cron", "schedule": name, "scheduler": kept["often"].source} for name in ("often", "often #2")
    ]
    scheduler.register_death()
    wait_until(lambda: len(transport.schedules) == 6)
    assert {one.id for one in transport.schedules if not one.enabled} == {"weekdays", "often", "often #2"}
