"""What only Dramatiq has, told of its real brokers; what every adapter promises is in `test_adapters`."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import StubBackend as BarrierBackend
from dramatiq_abort import abort

import huoyan
from huoyan.client import guard
from huoyan.client.frameworks.dramatiq import readings
from huoyan.client.frameworks.dramatiq.messages import Messages
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind as K
from huoyan.model.run import RunState
from tests.contract.adapters.contract import by_task, only, runs, states
from tests.contract.adapters.dramatiq import BROKERS, DramatiqAdapter, Picky, make
from tests.servers import RedisServer, wait_until


@pytest.fixture(params=BROKERS)
def adapter(request: pytest.FixtureRequest, client: Client) -> Iterator[DramatiqAdapter]:
    """Give Dramatiq over each broker in turn, watched."""
    started = make(request.param, request)
    yield started
    started.close()


@pytest.fixture
def stub(client: Client) -> Iterator[DramatiqAdapter]:
    """Give Dramatiq over the broker in memory, for what does not depend on the broker."""
    started = DramatiqAdapter(StubBroker())
    yield started
    started.close()


def test_a_run_has_its_actor_its_queue_and_its_wait(adapter: DramatiqAdapter, transport: MemoryTransport) -> None:
    def work(number: int) -> None: ...

    message = adapter.submit(work, 7)
    adapter.work()
    shown, run = only(transport)
    assert (shown.id, shown.task, shown.queue) == (message.message_id, "work_0", adapter.queue)
    assert run.args == [7]
    assert shown.enqueued_at is not None
    assert shown.wait_s is not None
    assert 0 <= shown.wait_s < 10
    assert shown.attempts[0].key.startswith("1.")


def test_a_worker_reports_its_queue_and_how_many_messages_wait(
    adapter: DramatiqAdapter, transport: MemoryTransport
) -> None:
    go = threading.Event()

    def work() -> None:
        assert go.wait(10)

    # Two threads fetch four messages; the others wait in the broker.
    for _ in range(10):
        adapter.submit(work)
    worker = adapter.start()
    wait_until(lambda: worker.work_queue.unfinished_tasks >= 4, message="the worker to have fetched what it can")

    def depths() -> set[int]:
        assert huoyan.flush(5)
        return {reading.depth for reading in transport.queues if reading.queue == adapter.queue}

    wait_until(lambda: 6 in depths(), 10, lambda: f"a reading of six messages, not {depths()}")
    go.set()
    adapter.settle()
    adapter.stop()
    assert adapter.queue in transport.reports[-1].queues
    assert not [thread for thread in threading.enumerate() if thread.name == "huoyan-dramatiq-readings"]


def test_a_retry_is_due_later_and_the_run_keeps_its_first_wait(
    stub: DramatiqAdapter, transport: MemoryTransport
) -> None:
    tries: list[float] = []

    def flaky() -> None:
        tries.append(time.time())
        if len(tries) == 1:
            raise dramatiq.Retry("not yet", delay=300)

    stub.retrying(flaky, 3)
    stub.work()
    shown, _ = only(transport)
    assert states(shown) == ["retrying", "succeeded"]
    assert tries[1] - tries[0] >= 0.29
    assert shown.eta is None
    assert shown.wait_s is not None
    assert shown.wait_s < 0.25
    again = [event for event in transport.events if event.kind is K.SCHEDULED]
    assert [event.attempt for event in again] == [2]
    assert again[0].eta == pytest.approx(again[0].at + 0.3, abs=0.05)
    assert again[0].args is None


def test_an_exception_that_is_not_to_be_retried_is_final(stub: DramatiqAdapter, transport: MemoryTransport) -> None:
    def fails() -> None:
        raise ValueError("card declined")

    stub.actor(fails, max_retries=5, throws=(ValueError,)).send()
    stub.work()
    shown, _ = only(transport)
    assert (shown.state, states(shown)) == (RunState.FAILED, ["failed"])
    assert shown.reason == "its actor does not want this exception retried, the message is in the dead letter queue"


def test_a_run_without_retries_left_says_where_its_message_is(
    stub: DramatiqAdapter, transport: MemoryTransport
) -> None:
    def fails() -> None:
        raise ValueError("always")

    stub.retrying(fails, 1)
    stub.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.reason == "no retry is left, the message is in the dead letter queue"
    assert [message.message_id for message in stub.broker.dead_letters] == [shown.id]


@pytest.mark.parametrize(("retries", "state"), [(0, RunState.REVOKED), (1, RunState.RETRYING)])
def test_a_shutdown_interrupts_what_wants_to_know_of_it(
    stub: DramatiqAdapter, transport: MemoryTransport, retries: int, state: RunState
) -> None:
    started = threading.Event()

    def endless() -> None:
        started.set()
        while True:
            time.sleep(0.01)

    stub.actor(endless, max_retries=retries, notify_shutdown=True, min_backoff=60_000, max_backoff=60_000).send()
    stub.start()
    assert started.wait(10)
    stub.stop()
    shown, _ = only(transport)
    assert shown.state is state
    assert shown.attempts[0].reason == "interrupted, the worker was shut down"


def test_aborted_while_it_runs_a_run_is_revoked(stub: DramatiqAdapter, transport: MemoryTransport) -> None:
    started = threading.Event()

    def endless() -> None:
        started.set()
        while True:
            time.sleep(0.01)

    message = stub.submit(endless)
    stub.start()
    assert started.wait(10)
    abort(message.message_id, stub.abortable)
    stub.settle()
    stub.stop()
    shown, _ = only(transport)
    assert (shown.state, shown.reason) == (RunState.REVOKED, "aborted while it ran")


def test_a_message_over_its_age_is_dead_and_was_due_to_expire(
    adapter: DramatiqAdapter, transport: MemoryTransport
) -> None:
    def work() -> None: ...

    message = adapter.actor(work, max_age=1).send()
    wait_until(lambda: time.time() * 1000 > message.message_timestamp + 2)
    adapter.work()
    shown, run = only(transport)
    assert (shown.state, shown.started_at) == (RunState.DEAD, None)
    assert shown.reason == "older than its age limit, the message is in the dead letter queue"
    assert run.expires == (message.message_timestamp + 1) / 1000


@pytest.mark.parametrize(
    ("refuse", "state", "reason"),
    [
        ("skip", RunState.REVOKED, "skipped by Picky: not on Sundays"),
        (
            "fail and skip",
            RunState.REJECTED,
            "refused by Picky: not on Sundays, the message is in the dead letter queue",
        ),
        ("fail", RunState.REJECTED, "a middleware refused the message before it could start"),
    ],
)
def test_what_a_middleware_refuses_never_started_and_says_who_refused_it(
    stub: DramatiqAdapter, transport: MemoryTransport, refuse: str, state: RunState, reason: str
) -> None:
    def work() -> None: ...

    stub.picky.refuse = refuse
    stub.submit(work)
    stub.work()
    shown, _ = only(transport)
    assert (shown.state, shown.started_at, shown.reason) == (state, None, reason)


def test_a_middleware_added_later_refuses_alike(stub: DramatiqAdapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    class Later(Picky):
        refuse = "skip"

    stub.submit(work)
    stub.broker.add_middleware(Later())
    stub.work()
    shown, _ = only(transport)
    assert (shown.state, shown.attempts, shown.reason) == (RunState.REVOKED, [], "skipped by Picky: not on Sundays")


def test_a_message_for_an_unknown_actor_is_rejected(adapter: DramatiqAdapter, transport: MemoryTransport) -> None:
    adapter.broker.declare_queue(adapter.queue)
    adapter.broker.enqueue(
        dramatiq.Message(queue_name=adapter.queue, actor_name="gone", args=(1,), kwargs={}, options={})
    )
    adapter.work()
    shown, _ = only(transport)
    assert (shown.task, shown.state) == ("gone", RunState.REJECTED)
    assert shown.reason == "the worker does not know this actor, the message is in the dead letter queue"


def test_the_members_of_a_pipeline_are_children_in_a_row(adapter: DramatiqAdapter, transport: MemoryTransport) -> None:
    def first(number: int) -> int:
        return number + 1

    def second(number: int) -> int:
        return number * 10

    def third(number: int) -> int:
        return number - 1

    messages = [adapter.actor(first).message(1), adapter.actor(second).message(), adapter.actor(third).message()]
    dramatiq.pipeline(messages, broker=adapter.broker).run()
    adapter.work()
    found = by_task(transport)
    assert {shown.state for shown, _ in found.values()} == {RunState.SUCCEEDED}
    assert [found[name][0].result for name in ("first", "second", "third")] == [2, 20, 19]
    ids = {name: shown.id for name, (shown, _) in found.items()}
    assert [found[name][1].parent_id for name in ("first", "second", "third")] == [None, ids["first"], ids["second"]]
    assert [found[name][1].root_id or found[name][1].id for name in found] == [ids["first"]] * 3
    after = {name: list(found[name][1].dependents) for name in found}
    assert after == {"first": [ids["second"]], "second": [ids["third"]], "third": []}


def test_the_members_of_a_group_with_a_callback_share_a_group(client: Client, transport: MemoryTransport) -> None:
    broker = StubBroker()
    broker.add_middleware(GroupCallbacks(BarrierBackend()))
    stub = DramatiqAdapter(broker)

    def member(number: int) -> None: ...

    def done() -> None: ...

    group = dramatiq.group([stub.actor(member).message(number) for number in range(3)], broker=broker)
    group.add_completion_callback(stub.actor(done).message())
    group.run()
    stub.work()
    stub.close()
    members = [run for shown, run in runs(transport) if shown.task.startswith("member")]
    assert len(members) == 3
    assert len({run.group_id for run in members}) == 1
    assert members[0].group_id
    last = by_task(transport)["done"][1]
    assert last.parent_id in {run.id for run in members}
    assert {tuple(run.dependents) for run in members} == {(last.id,)}


def test_what_an_actor_or_a_coroutine_sends_has_it_as_parent(client: Client, transport: MemoryTransport) -> None:
    broker = StubBroker()
    broker.add_middleware(dramatiq.middleware.AsyncIO())
    stub = DramatiqAdapter(broker)

    def leaf() -> None: ...

    async def branch() -> None:
        huoyan.progress(1, 2, "half")
        stub.submit(leaf)

    def top() -> None:
        stub.submit(branch)
        stub.delayed(leaf, 0.05)

    stub.submit(top)
    stub.work()
    stub.close()
    found = runs(transport)
    ids = {shown.task.rpartition("_")[0]: shown.id for shown, _ in found}
    parents = sorted((shown.task.rpartition("_")[0], run.parent_id or "") for shown, run in found)
    assert parents == sorted([("top", ""), ("branch", ids["top"]), ("leaf", ids["branch"]), ("leaf", ids["top"])])
    assert {run.root_id for _, run in found if run.parent_id} == {ids["top"]}
    assert by_task(transport)["branch"][1].progress is not None


def test_callbacks_are_children_and_the_message_they_get_keeps_its_secrets(
    stub: DramatiqAdapter, transport: MemoryTransport
) -> None:
    def login(user: str, password: str) -> None:
        raise ValueError("refused")

    received: list[Any] = []

    def report(message: dict[str, Any], error: dict[str, Any]) -> None:
        received.append(message["args"])

    stub.actor(report)
    stub.actor(login, on_failure=stub.actors[report].actor_name).send("ann", "hunter2")
    stub.work()
    found = by_task(transport)
    assert received == [["ann", "hunter2"]]
    assert found["report"][1].parent_id == found["login"][0].id
    assert found["report"][1].args[0]["args"] == ["ann", "[scrubbed]"]
    assert b"hunter2" not in b"".join(encoded for batch in transport.batches for encoded in batch.events)


def test_what_the_broker_refuses_was_never_enqueued(stub: DramatiqAdapter, transport: MemoryTransport) -> None:
    message: Any = dramatiq.Message(queue_name="nowhere", actor_name="work", args=(), kwargs={}, options={})
    with pytest.raises(dramatiq.QueueNotFound):
        stub.broker.enqueue(message)
    assert runs(transport) == []


def test_a_second_delivery_is_an_attempt_of_its_own(stub: DramatiqAdapter, transport: MemoryTransport) -> None:
    def work() -> str:
        return "done"

    message = stub.submit(work)
    stub.broker.enqueue(message)
    stub.work()
    shown, _ = only(transport)
    assert states(shown) == ["succeeded", "succeeded"]
    assert [attempt.duplicate for attempt in shown.attempts] == [False, True]


def test_a_broker_without_middlewares_is_watched_too(client: Client, transport: MemoryTransport) -> None:
    broker = StubBroker(middleware=[])
    huoyan.watch(broker)
    assert len(broker.middleware) == 2
    worker = dramatiq.Worker(broker, worker_timeout=20, worker_threads=1)

    @dramatiq.actor(broker=broker)
    def fails() -> None:
        raise ValueError("nobody retries")

    fails.send()
    worker.start()
    broker.join("default", fail_fast=False)
    worker.stop()
    huoyan.unwatch(broker)
    shown, _ = only(transport)
    assert (shown.state, shown.reason) == (RunState.FAILED, "")


def test_unwatching_leaves_the_middlewares_of_the_broker_as_they_were(client: Client) -> None:
    broker = StubBroker()
    before = list(broker.middleware)
    huoyan.watch(broker)
    huoyan.watch(broker)
    assert len(broker.middleware) == len(before) + 2
    huoyan.unwatch(broker)
    assert broker.middleware == before


def test_what_is_no_broker_is_refused_at_wiring(client: Client) -> None:
    class Hollow(StubBroker):
        emit_after: Any = None

    with pytest.raises(ConfigurationError, match="without emit_after"):
        huoyan.watch(Hollow(middleware=[]))


@pytest.mark.parametrize("hook", ["enqueuing", "enqueued", "delivered", "settle", "processed", "delayed"])
def test_a_mistake_in_a_hook_stays_in_the_hook(
    stub: DramatiqAdapter, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    executed: list[int] = []

    def work() -> None:
        executed.append(1)

    def mistake(*_: object) -> None:
        raise RuntimeError("a mistake in the adapter")

    monkeypatch.setattr(Messages, hook, mistake)
    stub.submit(work)
    stub.delayed(work, 0.01)
    stub.work()
    assert executed == [1, 1]


def test_with_a_broker_that_is_away_a_reading_is_missing_and_never_zero(
    fresh_redis: RedisServer,
    client: Client,
    transport: MemoryTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readings, "_READING_INTERVAL_S", 0.02)
    monkeypatch.setattr(guard, "_last_told_at", {})
    told: list[str] = []
    # Not through the log: frameworks that configure logging for themselves may have silenced it for this process.
    monkeypatch.setattr(guard.logger, "warning", lambda message, *args, **_: told.append(message % args))
    for name in ("CONSUMER_RESTART_DELAY_SECS", "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS"):
        monkeypatch.setattr(f"dramatiq.worker.{name}", 0.05)
    adapter = DramatiqAdapter(RedisBroker(url=fresh_redis.url))
    go = threading.Event()

    def work() -> None:
        assert go.wait(20)

    for _ in range(10):
        adapter.submit(work)
    worker = adapter.start()
    wait_until(lambda: worker.work_queue.unfinished_tasks >= 4, message="the worker to have fetched what it can")
    wait_until(lambda: huoyan.flush(5) and 6 in {reading.depth for reading in transport.queues}, message="a reading")
    fresh_redis.kill()
    wait_until(lambda: any("dramatiq.reading failed" in each for each in told), 40, message="a reading to fail")
    assert huoyan.flush(5)
    assert all(reading.depth > 0 for reading in transport.queues)
    fresh_redis.start()
    go.set()
    adapter.settle()
    adapter.close()
    found = runs(transport)
    assert len(found) == 10
    assert {shown.state for shown, _ in found} == {RunState.SUCCEEDED}
