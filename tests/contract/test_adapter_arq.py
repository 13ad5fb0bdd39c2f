"""What only arq has, told of its real brokers; what every adapter promises is in `test_adapters`."""

import asyncio
import signal
import time
import uuid
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import arq
import pytest
from arq import Retry, cron
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker, func

import huoyan
from huoyan.client.frameworks.arq import integration
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.run import RunState
from tests.contract.adapters.arq import quiet
from tests.contract.adapters.contract import only, runs, states
from tests.servers import RedisServer


@pytest.fixture(autouse=True)
def quieted() -> Iterator[None]:
    """Keep the log of arq quiet."""
    with quiet():
        yield


Body = Callable[[ArqRedis, Worker], Coroutine[Any, Any, Any]]


class Deployment:
    """A pool and a worker with functions of its own, both watched, for one test."""

    def __init__(self, redis: RedisServer) -> None:
        # A connection that a busy machine does not make within the second of the default ends the worker.
        self.settings = RedisSettings(port=redis.port, conn_timeout=60)
        self.queue = f"q{uuid.uuid4().hex[:8]}"

    def run(self, body: Body, *functions: Any, watch: bool = True, **options: Any) -> Any:
        """Make pool and worker, run `body` with them, and close everything."""

        async def everything() -> Any:
            pool = await arq.create_pool(self.settings, default_queue_name=self.queue)
            chosen: dict[str, Any] = {
                "queue_name": self.queue,
                "redis_settings": self.settings,
                "handle_signals": False,
                "poll_delay": 0.02,
                "burst": True,
                **options,
            }
            worker = Worker(functions, **chosen)
            if watch:
                huoyan.watch(pool)
                huoyan.watch(worker)
            try:
                return await body(pool, worker)
            finally:
                try:
                    if worker._pool is not None:
                        await worker.close()
                finally:
                    # Also when arq could not close it: a thing that stays watched is of the next tests until it is
                    # collected, whenever that is.
                    huoyan.unwatch(worker)
                    huoyan.unwatch(pool)
                    if worker._pool is not None:
                        await worker._pool.aclose(close_connection_pool=True)
                    await pool.aclose()

        return asyncio.run(everything())


@pytest.fixture
def deployment(redis_server: RedisServer, client: Client) -> Deployment:
    """Give a deployment on the Redis of this session, in a queue of its own."""
    return Deployment(redis_server)


async def _once(pool: ArqRedis, worker: Worker) -> None:
    await pool.enqueue_job("work")
    await worker.async_run()


def test_a_time_limit_is_a_failure_that_shows_where_it_hung(deployment: Deployment, transport: MemoryTransport) -> None:
    async def hangs(ctx: Any) -> None:
        await asyncio.sleep(60)

    deployment.run(_once, func(hangs, name="work", timeout=0.1))
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert (shown.exception.type, shown.exception.message) == ("TimeoutError", "the job was not done after 0.1 s")
    assert "in hangs" in shown.exception.traceback
    assert "huoyan/client" not in shown.exception.traceback
    assert shown.duration_s == pytest.approx(0.1, abs=0.09)


def test_an_abort_while_it_runs_is_a_revocation(deployment: Deployment, transport: MemoryTransport) -> None:
    async def hangs(ctx: Any) -> None:
        await asyncio.sleep(60)

    async def body(pool: ArqRedis, worker: Worker) -> bool:
        job = await pool.enqueue_job("work")
        assert job is not None
        working = asyncio.create_task(worker.async_run())
        while job.job_id not in worker.job_tasks:
            await asyncio.sleep(0.01)
        aborted = await job.abort(timeout=5, poll_delay=0.02)
        await working
        return aborted

    assert deployment.run(body, func(hangs, name="work"), allow_abort_jobs=True)
    shown, _ = only(transport)
    assert (shown.state, shown.reason) == (RunState.REVOKED, "aborted while it ran")
    assert states(shown) == ["revoked"]


@pytest.mark.parametrize("retries", [True, False])
def test_a_shutdown_puts_jobs_back_unless_the_worker_does_not_retry(
    deployment: Deployment, transport: MemoryTransport, retries: bool
) -> None:
    executed: list[int] = []

    async def work(ctx: Any) -> str:
        executed.append(ctx["job_try"])
        if len(executed) == 1:
            await asyncio.sleep(60)
        return "done"

    async def body(pool: ArqRedis, worker: Worker) -> None:
        await pool.enqueue_job("work")
        working = asyncio.create_task(worker.async_run())
        while not executed:
            await asyncio.sleep(0.01)
        worker.handle_sig(signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            await working
        await worker.close()

    deployment.run(body, func(work, name="work"), retry_jobs=retries, burst=False)
    shown, _ = only(transport)
    if not retries:
        assert shown.state is RunState.REVOKED
        assert "shut down" in shown.reason
        return
    assert states(shown) == ["retrying"]

    async def again(pool: ArqRedis, worker: Worker) -> None:
        await worker.async_run()

    deployment.run(again, func(work, name="work"))
    shown, _ = only(transport)
    assert executed == [1, 2]
    assert (shown.state, shown.result) == (RunState.SUCCEEDED, "done")
    assert states(shown) == ["retrying", "succeeded"]


def test_tries_beyond_the_limit_are_refused_and_the_last_one_decides(
    deployment: Deployment, transport: MemoryTransport
) -> None:
    async def work(ctx: Any) -> None:
        raise Retry

    deployment.run(_once, func(work, name="work", max_tries=2))
    shown, _ = only(transport)
    assert (shown.state, states(shown)) == (RunState.FAILED, ["retrying", "failed"])
    assert shown.reason == "max 2 retries exceeded"
    assert shown.exception is not None


def test_an_unknown_function_is_a_rejection(deployment: Deployment, transport: MemoryTransport) -> None:
    async def other(ctx: Any) -> None: ...

    deployment.run(_once, func(other, name="other"))
    shown, _ = only(transport)
    assert (shown.state, shown.reason) == (RunState.REJECTED, "function 'work' not found")


def test_a_job_that_waited_too_long_is_dead(deployment: Deployment, transport: MemoryTransport) -> None:
    async def work(ctx: Any) -> None: ...

    async def body(pool: ArqRedis, worker: Worker) -> None:
        job = await pool.enqueue_job("work", _expires=0.05)
        assert job is not None
        while await pool.exists(f"arq:job:{job.job_id}"):
            await asyncio.sleep(0.01)
        await worker.async_run()

    deployment.run(body, func(work, name="work"))
    shown, run = only(transport)
    assert (shown.state, shown.started_at) == (RunState.DEAD, None)
    assert "expired" in shown.reason
    assert run.expires is not None


def test_a_job_that_cannot_be_read_has_failed_without_being_read_by_huoyan(
    deployment: Deployment, transport: MemoryTransport
) -> None:
    async def work(ctx: Any) -> None: ...

    async def body(pool: ArqRedis, worker: Worker) -> None:
        job = await pool.enqueue_job("work")
        assert job is not None
        await pool.set(f"arq:job:{job.job_id}", b"\x80no pickle")
        await worker.async_run()

    deployment.run(body, func(work, name="work"))
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert "DeserializationError" in shown.exception.type


def test_the_same_job_id_again_is_another_run(deployment: Deployment, transport: MemoryTransport) -> None:
    async def work(ctx: Any) -> None: ...

    async def body(pool: ArqRedis, worker: Worker) -> None:
        for _ in range(2):
            assert await pool.enqueue_job("work", _job_id="nightly") is not None
            # arq refuses a second one of that id, which is no run.
            assert await pool.enqueue_job("work", _job_id="nightly") is None
            await worker.async_run()
            await asyncio.sleep(0.002)

    deployment.run(body, func(work, name="work", keep_result=0))
    found = [shown for shown, _ in runs(transport)]
    assert [shown.state for shown in found] == [RunState.SUCCEEDED] * 2
    assert all(shown.id.startswith("nightly@") for shown in found)
    assert not any(attempt.duplicate for shown in found for attempt in shown.attempts)


def test_what_a_job_enqueues_has_it_as_parent(deployment: Deployment, transport: MemoryTransport) -> None:
    async def parent(ctx: Any) -> None:
        await ctx["redis"].enqueue_job("child")

    async def child(ctx: Any) -> None: ...

    async def body(pool: ArqRedis, worker: Worker) -> None:
        await pool.enqueue_job("parent")
        await worker.async_run()

    deployment.run(body, func(parent, name="parent"), func(child, name="child"))
    found = {shown.task: run for shown, run in runs(transport)}
    assert found["child"].parent_id == found["parent"].id
    assert found["child"].root_id == found["parent"].id
    assert found["parent"].parent_id is None


def test_a_deferred_job_is_scheduled_for_its_time(deployment: Deployment, transport: MemoryTransport) -> None:
    async def work(ctx: Any) -> None: ...

    due = datetime.now(UTC) + timedelta(hours=1)

    async def body(pool: ArqRedis, worker: Worker) -> None:
        await pool.enqueue_job("work", _defer_until=due)
        await pool.enqueue_job("work", _defer_by=timedelta(minutes=30))

    deployment.run(body, func(work, name="work"))
    found = [shown for shown, _ in runs(transport)]
    assert [shown.state for shown in found] == [RunState.SCHEDULED] * 2
    assert found[0].eta == pytest.approx(due.timestamp())
    assert found[1].eta == pytest.approx(time.time() + 1800, abs=10)


def test_cron_jobs_say_what_asked_for_them(deployment: Deployment, transport: MemoryTransport) -> None:
    ticked = asyncio.Event()

    async def tick(ctx: Any) -> None:
        ticked.set()

    async def body(pool: ArqRedis, worker: Worker) -> None:
        working = asyncio.create_task(worker.async_run())
        await asyncio.wait_for(ticked.wait(), 10)
        await asyncio.sleep(0.1)
        worker.handle_sig(signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            await working

    deployment.run(body, burst=False, cron_jobs=[cron(tick, name="tick", run_at_startup=True, hour=3)])
    shown, run = runs(transport)[0]
    assert (shown.task, shown.state, run.labels["trigger"]) == ("tick", RunState.SUCCEEDED, "cron")
    kept, gone = transport.schedules[0], transport.schedules[-1]
    assert (run.labels["schedule"], run.labels["scheduler"]) == (kept.id, kept.source)
    assert (kept.task, kept.expression, kept.timezone, kept.enabled) == ("tick", "* 3 * * *", "UTC", True)
    assert kept.next_due_at is not None
    assert datetime.fromtimestamp(kept.next_due_at, UTC).hour == 3
    assert (gone.id, gone.task, gone.enabled) == ("tick", "tick", False)


def test_settings_are_watched_for_every_worker_made_from_them(
    deployment: Deployment, transport: MemoryTransport
) -> None:
    async def work(ctx: Any, password: str) -> str:
        return "done"

    async def other(ctx: Any) -> None: ...

    class Settings:
        functions = [work]

    async def body(pool: ArqRedis, worker: Worker) -> None:
        stranger = Worker(
            [other], queue_name=f"{deployment.queue}-other", redis_settings=deployment.settings, burst=True
        )
        await pool.enqueue_job(work.__qualname__, "hunter2")
        await pool.enqueue_job(other.__qualname__, _queue_name=stranger.queue_name)
        await worker.async_run()
        await stranger.async_run()
        await stranger.close()

    huoyan.watch(Settings)
    deployment.run(body, work, watch=False)
    huoyan.unwatch(Settings)
    shown, run = only(transport)
    assert (shown.state, shown.result, run.args) == (RunState.SUCCEEDED, "done", ["[scrubbed]"])


def test_a_producer_that_knows_the_settings_scrubs_by_name(deployment: Deployment, transport: MemoryTransport) -> None:
    async def login(ctx: Any, user: str, password: str) -> None: ...

    class Settings:
        functions = [func(login, name="login")]

    async def body(pool: ArqRedis, worker: Worker) -> None:
        await pool.enqueue_job("login", "ann", "hunter2")

    huoyan.watch(Settings)
    deployment.run(body, func(login, name="login"))
    huoyan.unwatch(Settings)
    _, run = only(transport)
    assert run.args == ["ann", "[scrubbed]"]


def test_a_hook_of_the_host_that_fails_leaves_no_run_open(deployment: Deployment, transport: MemoryTransport) -> None:
    async def work(ctx: Any) -> None: ...

    async def broken(ctx: Any) -> None:
        raise RuntimeError("the host's own hook")

    with pytest.raises(RuntimeError, match="own hook"):
        deployment.run(_once, func(work, name="work"), on_job_end=broken)
    shown, _ = only(transport)
    assert states(shown) == ["retrying"]
    assert shown.reason == "the worker could not settle the job"


def test_a_job_that_was_done_is_not_open_because_arq_could_not_note_it(
    deployment: Deployment, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise ConnectionError("connection refused")

    async def work(ctx: Any) -> int:
        monkeypatch.setattr(ctx["redis"], "pipeline", gone)
        return 7

    with pytest.raises(ConnectionError):
        deployment.run(_once, func(work, name="work"))
    shown, _ = only(transport)
    assert (shown.state, shown.result) == (RunState.SUCCEEDED, 7)
    assert shown.reason == "it succeeded, and could not be noted: ConnectionError: connection refused"


def test_a_worker_says_which_queue_it_works_on(
    deployment: Deployment, transport: MemoryTransport, client: Client
) -> None:
    async def work(ctx: Any) -> None: ...

    deployment.run(_once, func(work, name="work"))
    assert deployment.queue in client.process.queues


def test_depth_counts_what_is_due_and_not_being_executed(
    deployment: Deployment, transport: MemoryTransport, client: Client
) -> None:
    started = asyncio.Event()

    async def work(ctx: Any) -> None:
        started.set()
        await asyncio.sleep(0.3)

    async def body(pool: ArqRedis, worker: Worker) -> None:
        for _ in range(3):
            await pool.enqueue_job("work")
        await pool.enqueue_job("work", _defer_by=3600)
        working = asyncio.create_task(worker.async_run())
        await started.wait()
        # The next look is due at once.
        for watch in integration._watches._watches.values():
            for known in watch.workers.values():
                known.read_at = 0.0
        await asyncio.sleep(0.1)
        worker.handle_sig(signal.SIGTERM)
        with pytest.raises(asyncio.CancelledError):
            await working

    deployment.run(body, func(work, name="work"), max_jobs=1, burst=False)
    runs(transport)
    readings = [r for batch in transport.batches for r in batch.queues if r.queue == deployment.queue]
    assert readings[-1].depth == 2
    assert readings[-1].oldest_age_s is not None


def test_a_class_that_lists_no_functions_is_refused(client: Client) -> None:
    class Nothing:
        queue = "x"

    with pytest.raises(ConfigurationError, match="Pass an instance"):
        huoyan.watch(Nothing)


def test_with_the_last_thing_every_wrapper_is_taken_out(deployment: Deployment, transport: MemoryTransport) -> None:
    async def work(ctx: Any) -> None: ...

    before = Worker.run_job, Worker.finish_job, ArqRedis.enqueue_job, vars(arq.connections)["serialize_job"]
    deployment.run(_once, func(work, name="work"))
    after = Worker.run_job, Worker.finish_job, ArqRedis.enqueue_job, vars(arq.connections)["serialize_job"]
    assert after == before
    assert only(transport)[0].state is RunState.SUCCEEDED
