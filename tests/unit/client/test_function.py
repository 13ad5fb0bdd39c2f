"""`@huoyan.task`: each call is a run, and the function behaves as if it were not watched."""

import asyncio
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import huoyan
from huoyan.client import context, process
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.spool import Spool
from huoyan.client.transport.memory import MemoryTransport
from huoyan.client.wire import encode_event
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind, TaskEvent
from tests.servers.http import HttpSink
from tests.unit.client.conftest import installed

K = EventKind


def sent(transport: MemoryTransport, *kinds: EventKind) -> list[TaskEvent]:
    assert huoyan.flush(5)
    return [event for event in transport.events if not kinds or event.kind in kinds]


def kinds(transport: MemoryTransport) -> list[tuple[str, EventKind]]:
    return [(event.task.rpartition(".")[2], event.kind) for event in sent(transport)]


def test_a_call_is_a_run_with_arguments_and_result(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def add(a: int, b: int = 2) -> int:
        return a + b

    assert add(1, b=5) == 6
    started, succeeded = sent(transport)
    assert (started.kind, succeeded.kind) == (K.STARTED, K.SUCCEEDED)
    assert started.run_id == succeeded.run_id == started.root_id
    assert started.task == f"{__name__}.test_a_call_is_a_run_with_arguments_and_result.add"
    assert (started.args, started.kwargs, succeeded.result) == ([1], {"b": 5}, 6)
    assert (started.service, started.framework, started.attempt) == ("shop", "python", 1)
    assert started.worker == client.process.worker
    assert started.execution == succeeded.execution
    assert succeeded.duration_s is not None
    assert 0 <= succeeded.duration_s < 5
    assert started.parent_id is None


def test_an_exception_passes_unchanged_and_is_reported(client: Client, transport: MemoryTransport) -> None:
    error = ValueError("no stock")

    @huoyan.task
    def reserve() -> None:
        raise error

    with pytest.raises(ValueError) as caught:
        reserve()
    assert caught.value is error
    failed = sent(transport, K.FAILED)[0]
    assert failed.exception is not None
    assert (failed.exception.type, failed.exception.message) == ("ValueError", "no stock")
    assert "in reserve" in failed.exception.traceback
    assert "huoyan/client" not in failed.exception.traceback
    assert failed.exception.fingerprint


def test_the_decorator_takes_options(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task(name="orders.pay", queue="money", service="billing", labels={"team": "red"})
    def pay() -> None: ...

    pay()
    for event in sent(transport):
        assert (event.task, event.queue, event.service) == ("orders.pay", "money", "billing")
        assert event.labels == {"team": "red"}


def test_the_wrapper_looks_like_the_function(client: Client) -> None:
    def documented(a: int, *, b: str = "x") -> str:
        """Say what it does."""
        return b

    watched = huoyan.task(documented)
    assert (watched.__name__, watched.__doc__) == ("documented", "Say what it does.")
    assert inspect.signature(watched) == inspect.signature(documented)


def test_nested_calls_know_parent_and_root(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def leaf() -> None: ...

    @huoyan.task
    def middle() -> None:
        leaf()

    @huoyan.task
    def top() -> None:
        middle()
        leaf()

    top()
    started = sent(transport, K.STARTED)
    one, two, three, four = started
    assert [event.task.rpartition(".")[2] for event in started] == ["top", "middle", "leaf", "leaf"]
    assert (two.parent_id, three.parent_id, four.parent_id) == (one.run_id, two.run_id, one.run_id)
    assert {event.root_id for event in started} == {one.run_id}
    assert context.current() is None


async def test_coroutines_keep_their_own_parents_when_they_run_together(
    client: Client, transport: MemoryTransport
) -> None:
    @huoyan.task
    async def child(name: str) -> str:
        await asyncio.sleep(0)
        return name

    @huoyan.task
    async def parent(name: str) -> str:
        await asyncio.sleep(0)
        return await child(name)

    assert await asyncio.gather(*(parent(name) for name in "abc")) == ["a", "b", "c"]
    assert inspect.iscoroutinefunction(parent)
    started = {event.run_id: event for event in sent(transport, K.STARTED)}
    children = [event for event in started.values() if event.parent_id]
    assert len(children) == 3
    for event in children:
        assert event.parent_id is not None
        assert started[event.parent_id].args == event.args


async def test_a_cancelled_coroutine_is_revoked(client: Client, transport: MemoryTransport) -> None:
    begun = asyncio.Event()

    @huoyan.task
    async def waits() -> None:
        begun.set()
        await asyncio.sleep(60)

    running = asyncio.create_task(waits())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    revoked = sent(transport, K.REVOKED)[0]
    assert "cancelled while it ran" in revoked.reason


def test_ending_the_program_inside_a_task_is_a_failure_and_still_ends_it(
    client: Client, transport: MemoryTransport
) -> None:
    @huoyan.task
    def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        leave()
    assert sent(transport, K.FAILED)[0].exception.type == "SystemExit"  # type: ignore[union-attr]


def test_a_generator_is_one_run_from_first_item_to_last(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def numbers(count: int) -> Iterator[int]:
        for number in range(count):
            assert context.current() is not None
            yield number

    generator = numbers(3)
    assert inspect.isgeneratorfunction(numbers)
    assert sent(transport) == []
    assert next(generator) == 0
    assert context.current() is None
    assert list(generator) == [1, 2]
    assert [kind for _, kind in kinds(transport)] == [K.STARTED, K.SUCCEEDED]


def test_a_generator_passes_on_what_is_sent_thrown_and_returned(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def echo() -> Any:
        received: list[Any] = []
        while len(received) < 2:
            try:
                received.append((yield len(received)))
            except KeyError:
                received.append("caught")
        return received

    generator = echo()
    assert next(generator) == 0
    assert generator.send("hello") == 1
    with pytest.raises(StopIteration) as stopped:
        generator.throw(KeyError("x"))
    assert stopped.value.value == ["hello", "caught"]
    assert sent(transport, K.SUCCEEDED)[0].result == ["hello", "caught"]


def test_a_generator_left_early_is_revoked_and_cleaned_up(client: Client, transport: MemoryTransport) -> None:
    cleaned = []

    @huoyan.task
    def numbers() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleaned.append(True)

    for number in numbers():
        assert number == 1
        break
    assert cleaned == [True]
    assert "stopped before the end" in sent(transport, K.REVOKED)[0].reason


def test_a_generator_that_raises_fails(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def numbers() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    with pytest.raises(ValueError, match="two"):
        list(numbers())
    assert sent(transport, K.FAILED)[0].exception.message == "two"  # type: ignore[union-attr]


async def test_an_asynchronous_generator_is_one_run(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    async def numbers(count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    assert inspect.isasyncgenfunction(numbers)
    assert [number async for number in numbers(3)] == [0, 1, 2]
    early = numbers(3)
    assert await anext(early) == 0
    await early.aclose()
    assert [kind for _, kind in kinds(transport)] == [K.STARTED, K.SUCCEEDED, K.STARTED, K.REVOKED]


class Account:
    @huoyan.task
    def deposit(self, amount: int) -> int:
        return amount

    @huoyan.task
    @classmethod
    def open(cls, name: str) -> str:
        return f"{cls.__name__}:{name}"

    @staticmethod
    @huoyan.task
    def close(password: str) -> str:
        return "closed"

    @huoyan.task
    @staticmethod
    def freeze(reason: str) -> str:
        return reason


def test_methods_are_watched_without_their_object_among_the_arguments(
    client: Client, transport: MemoryTransport
) -> None:
    assert Account().deposit(5) == 5
    assert Account.open("a") == "Account:a"
    assert Account.close("hunter2") == "closed"
    assert Account().freeze("fraud") == "fraud"
    started = sent(transport, K.STARTED)
    assert [event.task.rpartition(".")[2] for event in started] == ["deposit", "open", "close", "freeze"]
    assert [event.args for event in started] == [[5], ["a"], ["[scrubbed]"], ["fraud"]]


def test_secrets_stay_in_the_process(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def login(user: str, password: str, token: str = "") -> dict[str, str]:
        raise ValueError(f"token={token}")

    with pytest.raises(ValueError):
        login("ann", "hunter2", token="abc123def456")
    assert sent(transport, K.STARTED)[0].args[0] == "ann"
    everything = b"".join(encoded for batch in transport.batches for encoded in batch.events)
    assert b"ValueError" in everything
    assert b"hunter2" not in everything
    assert b"abc123def456" not in everything


def test_callables_of_other_kinds_can_be_watched(client: Client, transport: MemoryTransport) -> None:
    class Add:
        def __call__(self, x: int) -> int:
            return x

    def add(a: int, b: int) -> int:
        return a + b

    assert huoyan.task(Add())(3) == 3
    assert huoyan.task(functools.partial(add, 1))(2) == 3
    names = [event.task for event in sent(transport, K.STARTED)]
    assert names[0].endswith("Add")
    assert names[1].endswith("add")


@pytest.mark.parametrize("thing", [5, "f", Account, None])
def test_what_is_no_function_is_refused(client: Client, thing: Any) -> None:
    with pytest.raises(ConfigurationError, match="a function"):
        huoyan.task()(thing)


@pytest.mark.parametrize("options", [{"name": 5}, {"queue": None, "labels": {"a": 1}}, {"labels": [1]}, {"service": 1}])
def test_wrong_options_are_refused_at_wiring(client: Client, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        huoyan.task(**options)


def test_when_disabled_the_function_itself_is_returned() -> None:
    def plain() -> None: ...

    with installed(Client(Settings(enabled=False))):
        assert huoyan.task(plain) is plain
        assert huoyan.task(name="x")(plain) is plain


def test_disabling_later_stops_reporting(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def plain() -> int:
        return 1

    with installed(Client(Settings(enabled=False))):
        assert plain() == 1
    assert sent(transport) == []


def test_what_fails_inside_the_client_never_reaches_the_caller(
    client: Client, transport: MemoryTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    @huoyan.task
    def add(a: int) -> int:
        return a + 1

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake in the client")

    for name in ("call", "value", "exception"):
        monkeypatch.setattr(client.capture, name, broken)
    assert add(1) == 2
    monkeypatch.setattr(client, "record", broken)
    assert add(1) == 2
    monkeypatch.setattr(process, "client", broken)
    assert add(1) == 2


def test_progress_is_reported_for_the_current_run(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def export() -> None:
        huoyan.progress(1, 4, "first quarter")
        for done in range(1000):
            huoyan.progress(done, 1001)
        huoyan.progress(4, 4)

    huoyan.progress(1, 2, "outside any run")
    export()
    progress = [event.progress for event in sent(transport, K.PROGRESS)]
    assert [(each.done, each.total, each.note) for each in progress if each is not None] == [
        (1.0, 4.0, "first quarter"),
        (4.0, 4.0, ""),
    ]


def test_a_run_that_fails_says_how_far_it_came(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def export() -> None:
        for done in range(8):
            huoyan.progress(done, 10, f"row {done}")
        raise ValueError("row 7")

    with pytest.raises(ValueError, match="row 7"):
        export()
    last = sent(transport, K.PROGRESS)[-1].progress
    assert last is not None
    assert (last.done, last.note) == (7.0, "row 7")


def test_progress_of_anything_odd_does_not_raise(client: Client) -> None:
    @huoyan.task
    def odd() -> None:
        huoyan.progress("many", object(), object())  # type: ignore[arg-type]

    odd()


def test_threads_do_not_share_a_current_run(client: Client, transport: MemoryTransport) -> None:
    barrier = threading.Barrier(4)

    @huoyan.task
    def inner() -> None: ...

    @huoyan.task
    def outer() -> None:
        barrier.wait(5)
        inner()

    threads = [threading.Thread(target=outer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = sent(transport, K.STARTED)
    parents = {event.parent_id for event in started if event.task.endswith("inner")}
    assert parents == {event.run_id for event in started if event.task.endswith("outer")}


def test_what_a_killed_process_left_is_sent_before_anything_runs_and_nothing_starts_without(tmp_path: Path) -> None:
    """A process with functions alone may run the first one in a day; the last words of the one before do not wait."""
    with HttpSink() as sink:
        settings = Settings(url=sink.url, service="shop", spool=str(tmp_path), flush_interval_s=0.01)
        with installed(Client(settings)) as client:
            assert client.emitter is not None
            huoyan.task(name="first")(lambda: None)
            assert client.emitter._thread is None, "an import starts no thread for nothing"
            destination = f"{settings.url} {settings.token}"
            predecessor = Spool(tmp_path, destination, 1 << 20)
            predecessor.keep(encode_event(TaskEvent(K.SUCCEEDED, "r1", 1.0)))
            huoyan.task(name="second")(lambda: None)
            assert client.emitter._thread is None, "its process lives"
            predecessor.forked()
            huoyan.task(name="third")(lambda: None)
            sink.wait_for(lambda request: [e["run_id"] for e in request.json()["events"]] == ["r1"], 30)
