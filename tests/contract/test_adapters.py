"""What every adapter promises, asserted over all of them: truth about runs, and silence towards the host.

An adapter joins by a class that knows how to submit a call to its framework and how to let the framework work it off.
"""

import asyncio
import datetime
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import httpx
import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from fastapi import BackgroundTasks, FastAPI
from huey import MemoryHuey
from prometheus_client import CollectorRegistry

import huoyan
from huoyan.client import process
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunState, RunView, apply, view
from tests.servers.waiting import wait_until

K = EventKind
Function = Callable[..., Any]


class Adapter(Protocol):
    """A framework under watch."""

    framework: str
    can: frozenset[str]
    """Of: retry, revoke, delay."""

    def watch_again(self) -> None:
        """Watch what is watched already."""

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        """Ask for one call. Returns a handle for `revoke`."""

    def retrying(self, function: Function, retries: int) -> None:
        """Ask for a call that may be tried again."""

    def delayed(self, function: Function, delay_s: float) -> None:
        """Ask for a call in some time."""

    def revoke(self, handle: Any) -> None:
        """Cancel a call that was asked for and has not started."""

    def work(self) -> None:
        """Let the framework do what it was asked for."""

    def unwatch(self) -> None:
        """Stop watching."""

    def close(self) -> None:
        """End everything."""


class Base:
    can: frozenset[str] = frozenset()
    framework = ""

    def retrying(self, function: Function, retries: int) -> None:
        raise AssertionError("cannot retry")

    def delayed(self, function: Function, delay_s: float) -> None:
        raise AssertionError("cannot delay")

    def revoke(self, handle: Any) -> None:
        raise AssertionError("cannot revoke")

    def close(self) -> None:
        self.unwatch()

    def unwatch(self) -> None: ...


class BackgroundAdapter(Base):
    """FastAPI's BackgroundTasks, each in a request of its own."""

    framework = "fastapi"

    def __init__(self) -> None:
        self.app = FastAPI()
        self.waiting: list[tuple[Function, tuple[Any, ...], dict[str, Any]]] = []

        @self.app.post("/{number}")
        def run(number: int, background: BackgroundTasks) -> None:
            function, args, kwargs = self.waiting[number]
            background.add_task(function, *args, **kwargs)

        self.watch_again()

    def watch_again(self) -> None:
        huoyan.watch(self.app, registry=CollectorRegistry())

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        self.waiting.append((function, args, kwargs))

    def work(self) -> None:
        async def post() -> None:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
                for number in range(len(self.waiting)):
                    assert (await http.post(f"/{number}")).status_code == 200

        asyncio.run(post())
        self.waiting.clear()

    def unwatch(self) -> None:
        huoyan.unwatch(self.app)


class FunctionAdapter(Base):
    """Plain functions; exceptions are the caller's."""

    framework = "python"

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []
        self.watched = True

    def watch_again(self) -> None: ...

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        decorated = huoyan.task(function) if self.watched else function
        self.waiting.append(lambda: decorated(*args, **kwargs))

    def work(self) -> None:
        for call in self.waiting:
            try:
                call()
            except (ValueError, KeyError):
                pass
        self.waiting.clear()

    def unwatch(self) -> None:
        self.watched = False


class ApschedulerAdapter(Base):
    """APScheduler with threads."""

    framework = "apscheduler"
    can = frozenset({"delay"})

    def __init__(self) -> None:
        self.scheduler = BackgroundScheduler()
        self.watch_again()
        self.scheduler.start(paused=True)

    def watch_again(self) -> None:
        huoyan.watch(self.scheduler)

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self.scheduler.add_job(function, args=args, kwargs=kwargs, misfire_grace_time=None)

    def delayed(self, function: Function, delay_s: float) -> None:
        due = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=delay_s)
        self.scheduler.add_job(function, "date", run_date=due, misfire_grace_time=None)

    def work(self) -> None:
        self.scheduler.resume()
        wait_until(lambda: not self.scheduler.get_jobs(), message="every job to be submitted")
        executor = self.scheduler._executors["default"]
        # A job that ends while it is submitted leaves a zero behind.
        wait_until(lambda: not any(executor._instances.values()), message="every job to have ended")
        self.scheduler.pause()

    def unwatch(self) -> None:
        huoyan.unwatch(self.scheduler)

    def close(self) -> None:
        self.unwatch()
        self.scheduler.shutdown()


class HueyAdapter(Base):
    """Huey; the consumer's loops are called by hand."""

    framework = "huey"
    can = frozenset({"retry", "revoke", "delay"})

    def __init__(self) -> None:
        self.huey = MemoryHuey("contract")
        self.tasks: dict[Any, Any] = {}
        self.watch_again()

    def watch_again(self) -> None:
        huoyan.watch(self.huey)

    def _task(self, function: Function, **options: Any) -> Any:
        if function not in self.tasks:
            self.tasks[function] = self.huey.task(name=f"task_{len(self.tasks)}", **options)(function)
        return self.tasks[function]

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        return self._task(function)(*args, **kwargs)

    def retrying(self, function: Function, retries: int) -> None:
        self._task(function, retries=retries)()

    def delayed(self, function: Function, delay_s: float) -> None:
        self._task(function).schedule(delay=delay_s)

    def revoke(self, handle: Any) -> None:
        handle.revoke()

    def work(self) -> None:
        while self.huey.pending_count() or self.huey.scheduled_count():
            for task in self.huey.read_schedule():
                self.huey.enqueue(task)
            task = self.huey.dequeue()
            if task is None:
                time.sleep(0.01)
            else:
                try:
                    self.huey.execute(task)
                except RuntimeError:
                    # Huey's own worker logs what it cannot handle and goes on.
                    pass

    def unwatch(self) -> None:
        huoyan.unwatch(self.huey)


ADAPTERS: dict[str, Callable[[], Adapter]] = {
    "background": BackgroundAdapter,
    "function": FunctionAdapter,
    "apscheduler": ApschedulerAdapter,
    "huey": HueyAdapter,
}


@pytest.fixture
def transport() -> MemoryTransport:
    """Keep what is sent."""
    return MemoryTransport()


@pytest.fixture
def client(transport: MemoryTransport) -> Iterator[Client]:
    """Install a client for the test."""
    new = Client(Settings(service="shop", flush_interval_s=0.01), transport=transport)
    before = process.install(new)
    yield new
    process.install(before)
    new.close()


@pytest.fixture(params=list(ADAPTERS))
def adapter(request: pytest.FixtureRequest, client: Client) -> Iterator[Adapter]:
    """Give each adapter in turn, watched."""
    started = ADAPTERS[request.param]()
    yield started
    started.close()


def runs(transport: MemoryTransport) -> list[tuple[RunView, Run]]:
    """Return what a server would show, in the order of first mention."""
    assert huoyan.flush(5)
    merged: dict[str, Run] = {}
    for event in transport.events:
        merged[event.run_id] = apply(merged.get(event.run_id), event)
    return [(view(run), run) for run in merged.values()]


def only(transport: MemoryTransport) -> tuple[RunView, Run]:
    """Return the one run there is."""
    found = runs(transport)
    assert len(found) == 1, [(shown.task, shown.state) for shown, _ in found]
    return found[0]


def executions(transport: MemoryTransport) -> list[TaskEvent]:
    return [event for event in transport.events if event.kind is K.STARTED]


def test_a_success_is_one_run_with_one_attempt(adapter: Adapter, client: Client, transport: MemoryTransport) -> None:
    def add(a: int, b: int = 0) -> dict[str, int]:
        time.sleep(0.01)
        return {"sum": a + b}

    before = client.clock.now()
    adapter.submit(add, 2, b=3)
    adapter.work()
    shown, run = only(transport)
    assert shown.state is RunState.SUCCEEDED
    assert (shown.service, shown.framework, shown.worker) == ("shop", adapter.framework, client.process.worker)
    assert shown.result == {"sum": 5}
    assert (run.args, run.kwargs) == ([2], {"b": 3})
    assert [attempt.state for attempt in shown.attempts] == ["succeeded"]
    assert shown.duration_s is not None
    assert 0.01 <= shown.duration_s < 5
    assert shown.started_at is not None
    assert shown.finished_at is not None
    assert before <= shown.started_at <= shown.finished_at <= client.clock.now()
    assert shown.exception is None
    assert client.active == 0


def test_a_failure_carries_its_exception(adapter: Adapter, client: Client, transport: MemoryTransport) -> None:
    def deep() -> None:
        raise ValueError("no stock left")

    def order() -> None:
        try:
            deep()
        except ValueError as error:
            raise KeyError("order-7") from error

    adapter.submit(order)
    adapter.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert (shown.exception.type, shown.exception.message) == ("KeyError", "'order-7'")
    assert "in deep" in shown.exception.traceback
    assert "no stock left" in shown.exception.traceback
    assert "huoyan/client" not in shown.exception.traceback
    assert len(shown.exception.fingerprint) == 16
    assert shown.duration_s is not None
    assert client.active == 0


def test_the_same_failure_is_one_group_and_another_is_another(adapter: Adapter, transport: MemoryTransport) -> None:
    def fails(number: int) -> None:
        if number % 2:
            raise ValueError(f"order {number} not found")
        raise KeyError(number)

    for number in range(4):
        adapter.submit(fails, number)
    adapter.work()
    fingerprints = {shown.exception.fingerprint for shown, _ in runs(transport) if shown.exception is not None}
    assert len(fingerprints) == 2


def test_the_same_failure_is_one_group_over_all_adapters(client: Client, transport: MemoryTransport) -> None:
    def fails() -> None:
        raise ValueError("no stock")

    for make in ADAPTERS.values():
        adapter = make()
        adapter.submit(fails)
        adapter.work()
        adapter.close()
    found = [shown.exception for shown, _ in runs(transport)]
    assert len(found) == len(ADAPTERS)
    assert len({each.fingerprint for each in found if each is not None}) == 1


def test_retries_are_attempts_of_one_run(adapter: Adapter, transport: MemoryTransport) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError(f"try {len(tries)}")
        return "at last"

    if "retry" not in adapter.can:
        # The framework tries once; the failure is final.
        adapter.submit(flaky)
        adapter.work()
        assert only(transport)[0].state is RunState.FAILED
        return
    adapter.retrying(flaky, 3)
    adapter.work()
    shown, _ = only(transport)
    assert (shown.state, shown.result) == (RunState.SUCCEEDED, "at last")
    assert [attempt.state for attempt in shown.attempts] == ["retrying", "retrying", "succeeded"]
    assert [attempt.exception.message for attempt in shown.attempts if attempt.exception is not None] == [
        "try 1",
        "try 2",
    ]


def test_when_the_retries_are_used_up_the_run_has_failed_once(adapter: Adapter, transport: MemoryTransport) -> None:
    def fails() -> None:
        raise ValueError("always")

    if "retry" in adapter.can:
        adapter.retrying(fails, 2)
    else:
        adapter.submit(fails)
    adapter.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    expected = ["retrying", "retrying", "failed"] if "retry" in adapter.can else ["failed"]
    assert [attempt.state for attempt in shown.attempts] == expected


def test_a_revoked_run_never_starts(adapter: Adapter, transport: MemoryTransport) -> None:
    executed: list[int] = []

    def work() -> None:
        executed.append(1)

    handle = adapter.submit(work)
    if "revoke" not in adapter.can:
        adapter.work()
        assert executed == [1]
        return
    adapter.revoke(handle)
    adapter.work()
    shown, _ = only(transport)
    assert executed == []
    assert (shown.state, shown.started_at) == (RunState.REVOKED, None)
    assert shown.reason


def test_a_delay_is_no_waiting(adapter: Adapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    if "delay" not in adapter.can:
        adapter.submit(work)
        adapter.work()
        shown, _ = only(transport)
        assert shown.eta is None
        return
    adapter.delayed(work, 0.3)
    adapter.work()
    shown, _ = only(transport)
    assert shown.state is RunState.SUCCEEDED
    assert shown.eta is not None
    assert shown.started_at is not None
    assert shown.started_at >= shown.eta
    assert shown.wait_s is not None
    assert shown.wait_s < 0.25
    assert shown.wait_s == pytest.approx(shown.started_at - shown.eta)


def test_what_a_run_starts_has_it_as_parent(adapter: Adapter, transport: MemoryTransport) -> None:
    @huoyan.task(name="leaf")
    def leaf() -> None: ...

    @huoyan.task(name="branch")
    def branch() -> None:
        leaf()

    def top() -> None:
        branch()

    adapter.submit(top)
    adapter.work()
    found = {run.task.rpartition(".")[2]: run for _, run in runs(transport)}
    outer = next(run for name, run in found.items() if name not in {"leaf", "branch"})
    assert found["branch"].parent_id == outer.id
    assert found["leaf"].parent_id == found["branch"].id
    assert found["leaf"].root_id == found["branch"].root_id == outer.id
    assert outer.parent_id is None


def test_runs_one_after_the_other_have_no_parent(adapter: Adapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    for _ in range(3):
        adapter.submit(work)
    adapter.work()
    found = runs(transport)
    assert len(found) == 3
    assert {run.parent_id for _, run in found} == {None}
    assert len({run.id for _, run in found}) == 3


class Hostile:
    """An argument that fails whatever is asked of it."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__

    def __len__(self) -> int:
        raise RuntimeError("no len")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError("no attributes")


def test_large_and_odd_arguments_are_bounded_and_harmless(adapter: Adapter, transport: MemoryTransport) -> None:
    received: list[Any] = []

    def work(*args: Any) -> Any:
        received.append(len(args))
        return args

    cyclic: list[Any] = []
    cyclic.append(cyclic)
    odd: list[Any] = [
        "x" * 5_000_000,
        list(range(100_000)),
        b"\x00\xff" * 1000,
        float("nan"),
        {1: {2: {3: {4: {5: {6: {7: {8: "deep"}}}}}}}},
        "\ud800 lone surrogate",
        2**5000,
    ]
    if adapter.framework != "huey":
        # Huey pickles what it is given, and these cannot be pickled or compared in the first place.
        odd += [Hostile(), cyclic, lambda: None, object()]
    adapter.submit(work, *odd)
    adapter.work()
    shown, run = only(transport)
    assert received == [len(odd)]
    assert shown.state is RunState.SUCCEEDED
    assert run.args
    assert max(len(encoded) for batch in transport.batches for encoded in batch.events) < 20_000


def test_an_exception_that_cannot_be_shown_is_reported_all_the_same(
    adapter: Adapter, transport: MemoryTransport
) -> None:
    class Mute(ValueError):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        __repr__ = __str__

    def fails() -> None:
        raise Mute

    adapter.submit(fails)
    adapter.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert "Mute" in shown.exception.type


def test_secrets_do_not_leave_the_process(adapter: Adapter, transport: MemoryTransport) -> None:
    def login(user: str, password: str, **more: str) -> dict[str, str]:
        if user == "bob":
            raise ValueError(f"cannot log in with password={password} and card 4111 1111 1111 1111")
        return {"api_key": "k3y-0f-ann-12345", "user": user}

    adapter.submit(login, "ann", "hunter2", token="t0k3n-of-ann-1234")
    adapter.submit(login, "bob", "hunter2")
    adapter.work()
    found = runs(transport)
    assert [shown.state for shown, _ in found] == [RunState.SUCCEEDED, RunState.FAILED]
    everything = b"".join(encoded for batch in transport.batches for encoded in batch.events).decode()
    for secret in ("hunter2", "t0k3n-of-ann-1234", "k3y-0f-ann-12345", "4111 1111 1111 1111"):
        assert secret not in everything
    assert "ann" in everything


def test_without_capture_neither_arguments_nor_results_leave(
    client: Client, transport: MemoryTransport, adapter: Adapter
) -> None:
    client.configure(Settings(service="shop", capture=False), transport)

    def work(plain: str) -> str:
        return plain

    adapter.submit(work, "visible-otherwise")
    adapter.work()
    shown, run = only(transport)
    assert shown.state is RunState.SUCCEEDED
    assert (run.args, run.kwargs, shown.result) == (None, None, None)


def test_watching_twice_reports_once(adapter: Adapter, transport: MemoryTransport) -> None:
    def work() -> None: ...

    adapter.watch_again()
    adapter.submit(work)
    adapter.watch_again()
    adapter.work()
    only(transport)
    assert len(executions(transport)) == 1


def test_after_unwatching_nothing_is_reported_and_everything_works(
    adapter: Adapter, transport: MemoryTransport
) -> None:
    executed: list[int] = []

    def work() -> None:
        executed.append(1)

    adapter.unwatch()
    adapter.submit(work)
    adapter.work()
    assert executed == [1]
    assert runs(transport) == []


@pytest.mark.parametrize("broken", ["record", "call", "value", "exception"])
def test_what_fails_in_the_client_never_reaches_the_host(
    adapter: Adapter, client: Client, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    executed: list[str] = []

    def succeeds(value: str) -> str:
        executed.append(value)
        return value

    def fails(value: str) -> None:
        executed.append(value)
        raise ValueError(value)

    def mistake(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake in the client")

    monkeypatch.setattr(client if broken == "record" else client.capture, broken, mistake)
    adapter.submit(succeeds, "one")
    adapter.submit(fails, "two")
    adapter.submit(succeeds, "three")
    adapter.work()
    assert sorted(executed) == ["one", "three", "two"]


def test_with_the_server_away_the_host_goes_on_and_losses_are_counted(client: Client, adapter: Adapter) -> None:
    client.configure(Settings(service="shop", url="http://127.0.0.1:9", buffer_events=10, exit_timeout_s=0.1))
    executed: list[int] = []

    def work(number: int) -> None:
        executed.append(number)

    for number in range(30):
        adapter.submit(work, number)
    adapter.work()
    assert sorted(executed) == list(range(30))
    assert client.emitter is not None
    assert client.emitter.dropped >= 60 - 10


def test_turned_off_nothing_is_reported(client: Client, transport: MemoryTransport, adapter: Adapter) -> None:
    client.configure(Settings(service="shop", enabled=False))
    executed: list[int] = []

    def work() -> None:
        executed.append(1)

    adapter.submit(work)
    adapter.work()
    assert executed == [1]
    assert transport.events == []
