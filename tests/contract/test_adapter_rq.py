"""What only RQ has, told of its real brokers; what every adapter promises is in `test_adapters`."""

import contextvars
import functools
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis
import rq
from rq.command import send_stop_job_command
from rq.cron import CronJob, CronScheduler
from rq.group import Group
from rq.job import Job
from rq.serializers import JSONSerializer

import huoyan
from huoyan.client import relay
from huoyan.client.frameworks.rq import executing, integration
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.run import Run, RunState, RunView
from huoyan.model.schedule import ScheduleKind
from huoyan.server.collect.slots import computed_slot
from huoyan.server.store import KnownSchedule
from tests.contract.adapters.contract import only, runs, states
from tests.contract.adapters.rq import JOBS, Forking, RqAdapter, ThreadTimedWorker, path_of, tidy
from tests.servers import RedisServer, wait_until


@pytest.fixture(autouse=True)
def tidied() -> Iterator[None]:
    """Leave no trace of RQ."""
    with tidy():
        yield


@pytest.fixture
def adapter(redis_server: RedisServer, client: Client) -> Iterator[RqAdapter]:
    """Give RQ over a real Redis, watched."""
    started = RqAdapter(redis_server)
    yield started
    started.close()


@pytest.fixture
def forking(redis_server: RedisServer, client: Client) -> Iterator[Forking]:
    """Give RQ with work horses."""
    started = Forking(redis_server)
    yield started
    started.close()


def by_task(transport: MemoryTransport) -> dict[str, tuple[RunView, Run]]:
    """Return the runs by the name of their function, without its number."""
    return {shown.task.rpartition(".")[2].rpartition("_")[0]: (shown, run) for shown, run in runs(transport)}


def test_a_work_horse_reports_everything_before_it_ends(forking: Forking, transport: MemoryTransport) -> None:
    def login(user: str, password: str) -> dict[str, str]:
        if user == "bob":
            raise ValueError(f"wrong password={password}")
        return {"api_key": "k3y-0f-ann-12345", "user": user}

    forking.submit(login, "ann", "hunter2")
    forking.submit(login, "bob", "hunter2")
    forking.work()
    (first, run), (second, _) = runs(transport)
    assert (first.state, second.state) == (RunState.SUCCEEDED, RunState.FAILED)
    assert run.args == ["ann", "[scrubbed]"]
    assert first.result == {"api_key": "[scrubbed]", "user": "ann"}
    assert first.worker == second.worker
    assert first.wait_s is not None
    assert first.duration_s is not None
    assert second.exception is not None
    assert "in login" in second.exception.traceback
    for shown in (first, second):
        # The process was made for the job, so all it took is the job's.
        assert shown.attempts[0].cpu_s is not None
        assert (shown.attempts[0].peak_memory_bytes or 0) > 1 << 20
    assert b"hunter2" not in b"".join(encoded for batch in transport.batches for encoded in batch.events)


def test_a_hundred_jobs_in_work_horses_lose_no_word(
    forking: Forking, transport: MemoryTransport, client: Client
) -> None:
    def work(number: int) -> int:
        return number

    for number in range(100):
        forking.submit(work, number)
    forking.work()
    found = [shown for shown, _ in runs(transport)]
    assert [shown.result for shown in found] == list(range(100))
    assert {tuple(states(shown)) for shown in found} == {("succeeded",)}
    assert client.active == 0


def test_a_killed_work_horse_takes_its_run_alone_with_it(forking: Forking, transport: MemoryTransport) -> None:
    def killed() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def after() -> str:
        return "alive"

    forking.submit(killed)
    forking.submit(after)
    forking.work()
    found = by_task(transport)
    shown, _ = found["killed"]
    assert (shown.state, states(shown)) == (RunState.FAILED, ["failed"])
    assert shown.exception is not None
    assert (shown.exception.type, shown.exception.message) == (
        "WorkHorseTerminated",
        "Work-horse terminated unexpectedly; waitpid returned 9 (signal 9)",
    )
    assert "SIGKILL" in shown.reason
    assert "MiB" in shown.reason
    # The kernel said so to the worker.
    assert shown.attempts[0].cpu_s is not None
    assert (shown.attempts[0].peak_memory_bytes or 0) > 1 << 20
    assert shown.started_at is not None
    assert found["after"][0].result == "alive"


def test_a_killed_work_horse_is_tried_again_when_a_retry_is_left(forking: Forking, transport: MemoryTransport) -> None:
    key = f"{forking.queue.name}-tries"

    def flaky() -> str:
        if forking.connection.incr(key) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return "at last"

    forking.retrying(flaky, 1)
    forking.work()
    shown, _ = only(transport)
    assert (shown.state, shown.result, states(shown)) == (RunState.SUCCEEDED, "at last", ["retrying", "succeeded"])


def test_a_job_that_ends_its_process_is_lost(forking: Forking, transport: MemoryTransport) -> None:
    def leaves() -> None:
        os._exit(0)

    def stays() -> None: ...

    forking.submit(leaves)
    forking.submit(stays)
    forking.work()
    found = by_task(transport)
    shown, _ = found["leaves"]
    assert (shown.state, shown.evidence) == (RunState.LOST, "inferred")
    assert "without saying" in shown.reason
    assert found["stays"][0].state is RunState.SUCCEEDED


def test_a_time_limit_is_a_failure(forking: Forking, transport: MemoryTransport) -> None:
    def slow() -> None:
        time.sleep(30)

    forking.queue.enqueue(path_of(slow), job_timeout=1)
    forking.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert shown.exception.type == "rq.timeouts.JobTimeoutException"
    assert "in slow" in shown.exception.traceback
    assert shown.duration_s == pytest.approx(1, abs=0.5)


def test_a_time_limit_is_not_swallowed_while_huoyan_is_at_work(
    forking: Forking, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = executing.Attempt.begin

    def dawdling(self: Any, job: Any) -> None:
        begin(self, job)
        until = time.monotonic() + 1.3
        while time.monotonic() < until:
            pass

    def slow() -> None:
        time.sleep(30)

    monkeypatch.setattr(executing.Attempt, "begin", dawdling)
    forking.queue.enqueue(path_of(slow), job_timeout=1)
    began = time.monotonic()
    forking.work()
    assert time.monotonic() - began < 25
    shown, _ = only(transport)
    assert shown.exception is not None
    assert shown.exception.type == "rq.timeouts.JobTimeoutException"


def test_a_stopped_job_is_revoked(forking: Forking, transport: MemoryTransport) -> None:
    def slow() -> None:
        forking.connection.set(f"{forking.queue.name}-running", 1)
        time.sleep(30)

    job = forking.submit(slow)
    other = redis.Redis(port=forking.connection.connection_pool.connection_kwargs["port"])

    def stop() -> None:
        wait_until(lambda: other.exists(f"{forking.queue.name}-running"))
        send_stop_job_command(other, job.id)

    stopping = threading.Thread(target=stop)
    stopping.start()
    forking.work()
    stopping.join()
    shown, _ = only(transport)
    assert (shown.state, states(shown)) == (RunState.REVOKED, ["revoked"])
    assert "stopped" in shown.reason


def test_without_room_in_the_channel_a_work_horse_sends_itself(
    forking: Forking, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = f"{forking.queue.name}-sent"

    def work() -> None: ...

    monkeypatch.setattr(relay.Relay, "send", lambda self, event: False)

    def send(self: MemoryTransport, batch: Any, timeout_s: float) -> Any:
        forking.connection.incr(sent, len(batch.events))
        return original(self, batch, timeout_s)

    original = MemoryTransport.send
    monkeypatch.setattr(MemoryTransport, "send", send)
    forking.submit(work)
    forking.work()
    runs(transport)
    # Enqueued by this process; started and succeeded by the work horse, which is gone.
    assert int(forking.connection.get(sent) or 0) == 3


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


def test_a_queue_is_watched_wherever_rq_makes_an_object_for_it(
    redis_server: RedisServer, client: Client, transport: MemoryTransport
) -> None:
    def work() -> None: ...

    connection = redis.Redis(port=redis_server.port)
    name = f"q{uuid.uuid4().hex[:8]}"
    watched, other = rq.Queue(name, connection=connection), rq.Queue(f"{name}-other", connection=connection)
    elsewhere: Any = rq.Queue(name, connection=redis.Redis(port=redis_server.port, db=1))
    huoyan.watch(watched)
    rq.Queue(name, connection=redis.Redis(port=redis_server.port)).enqueue(path_of(work))
    other.enqueue(path_of(work))
    elsewhere.enqueue(path_of(work))
    ThreadTimedWorker([watched, other], connection=connection).work(burst=True, logging_level="CRITICAL")
    elsewhere.empty()
    shown, _ = only(transport)
    assert (shown.queue, shown.state) == (name, RunState.SUCCEEDED)
    huoyan.unwatch(watched)


def test_a_worker_is_watched_with_all_that_it_executes(
    redis_server: RedisServer, client: Client, transport: MemoryTransport
) -> None:
    def work() -> None: ...

    connection = redis.Redis(port=redis_server.port)
    queue = rq.Queue(f"q{uuid.uuid4().hex[:8]}", connection=connection)
    queue.enqueue(path_of(work))
    worker = huoyan.watch(ThreadTimedWorker([queue], connection=connection, name=f"named-{queue.name}"))
    worker.work(burst=True, logging_level="CRITICAL")
    queue.enqueue(path_of(work))
    ThreadTimedWorker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
    shown, _ = only(transport)
    assert (shown.state, shown.worker, shown.enqueued_at) == (RunState.SUCCEEDED, f"named-{queue.name}", None)
    assert client.process.worker == f"named-{queue.name}"
    assert client.process.queues == [queue.name]
    huoyan.unwatch(worker)


def test_a_producer_imports_nothing_for_the_names_of_parameters(adapter: RqAdapter, transport: MemoryTransport) -> None:
    adapter.queue.enqueue("wave.open", "/nowhere")
    assert "wave" not in sys.modules
    _, run = only(transport)
    assert run.args == ["/nowhere"]
    adapter.queue.empty()


def test_a_wrapper_that_fails_is_not_noticed_by_rq(
    adapter: RqAdapter, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistake(*_: object, **__: object) -> Any:
        raise RuntimeError("a mistake in the adapter")

    executed: list[int] = []

    def work(number: int) -> None:
        executed.append(number)
        if number == 2:
            raise ValueError("no")

    def run_twice() -> None:
        for number in (1, 2):
            adapter.submit(work, number)
        adapter.work()

    for place, name in (
        (integration._watches, "queue"),
        (integration._watches, "execution"),
        (integration._watches, "worker"),
        (executing.Attempt, "begin"),
        (executing.Attempt, "leave"),
        (executing.Attempt, "end"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, mistake)
            # What is entered and not left ends with this context.
            contextvars.copy_context().run(run_twice)
    assert executed == [1, 2] * 6


def test_only_classes_of_rq_are_watched_as_classes(client: Client) -> None:
    with pytest.raises(ConfigurationError, match="Pass an instance"):
        huoyan.watch(Job)


def test_with_the_last_thing_every_wrapper_is_taken_out(adapter: RqAdapter) -> None:
    def wrappers() -> list[Callable[..., Any]]:
        return [rq.Queue._enqueue_job, rq.Queue.schedule_job, Job.perform, rq.Worker.perform_job, CronJob.enqueue]

    put = wrappers()
    adapter.unwatch()
    assert all(hasattr(each, "__wrapped__") for each in put)
    assert wrappers() == [each.__wrapped__ for each in put]  # type: ignore[attr-defined]


def test_a_wrapper_of_somebody_else_is_left_in_place(
    adapter: RqAdapter, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    ours = rq.Queue._enqueue_job

    @functools.wraps(ours)
    def theirs(self: Any, job: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(job.id)
        return ours(self, job, *args, **kwargs)

    def work() -> None: ...

    monkeypatch.setattr(rq.Queue, "_enqueue_job", theirs)
    adapter.unwatch()
    assert rq.Queue._enqueue_job is theirs
    adapter.submit(work)
    assert len(calls) == 1
    assert runs(transport) == []
    adapter.watch_again()
    adapter.submit(work)
    adapter.work()
    found = [shown for shown, _ in runs(transport)]
    assert {tuple(states(shown)) for shown in found} == {("succeeded",)}
    assert len(calls) == 2


def test_a_scheduled_job_is_shown_with_its_time(adapter: RqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    adapter.queue.enqueue_in(timedelta(hours=1), path_of(work))
    shown, _ = only(transport)
    assert shown.state is RunState.SCHEDULED
    assert shown.eta == pytest.approx(time.time() + 3600, abs=5)
