"""Watching RQ finds queues and workers wherever they are made, harms nothing, and can be undone."""

import contextvars
import functools
import sys
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis
import rq
from rq.cron import CronJob
from rq.job import Job

import huoyan
from huoyan.client.frameworks.rq import executing, integration
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.run import RunState
from tests.contract.adapters.contract import only, runs, states
from tests.contract.adapters.rq import RqAdapter, ThreadTimedWorker, path_of
from tests.servers import RedisServer


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
