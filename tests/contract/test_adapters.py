"""What every adapter promises, asserted over all of them: truth about runs, and silence towards the host.

An adapter joins by a driver in `tests/contract/adapters` that knows how to submit a call to its framework and how to
let the framework work it off. A case runs where the table of capabilities says that it is supported; where it says no,
the case proves that nothing is reported that was not there.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

import huoyan
from huoyan.client import breakdown
from huoyan.client.capabilities import WATCHINGS, Capability
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.run import RunState
from tests.contract.adapters import ADAPTERS, arq, rq
from tests.contract.adapters.contract import AdapterUnderTest, executions, only, runs


@pytest.fixture(autouse=True)
def tidied() -> Iterator[None]:
    """Leave no trace of the frameworks."""
    with rq.tidy(), arq.quiet():
        yield


@pytest.fixture(params=list(ADAPTERS))
def adapter(request: pytest.FixtureRequest, client: Client) -> Iterator[AdapterUnderTest]:
    """Give each adapter in turn, watched."""
    started = ADAPTERS[request.param](request)
    yield started
    started.close()


def test_a_success_is_one_run_with_one_attempt(
    adapter: AdapterUnderTest, client: Client, transport: MemoryTransport
) -> None:
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


def test_every_end_of_an_attempt_says_where_its_time_went(
    adapter: AdapterUnderTest, transport: MemoryTransport
) -> None:
    def charge(number: int) -> None:
        breakdown.finish(breakdown.begin(), "database", "SELECT", "orders", None)
        time.sleep(0.01)
        if number:
            raise ValueError("declined")

    adapter.submit(charge, 0)
    adapter.submit(charge, 1)
    adapter.work()
    attempts = [shown.attempts[-1] for shown, _ in runs(transport)]
    assert sorted(attempt.state for attempt in attempts) == ["failed", "succeeded"]
    for attempt in attempts:
        (part,) = attempt.breakdown["parts"]
        assert (part["component"], part["target"], part["calls"]) == ("database", "orders", 1)
        assert attempt.breakdown["own_s"] + part["covered_s"] == pytest.approx(attempt.breakdown["total_s"], abs=1e-6)
        assert attempt.duration_s is not None
        assert 0.01 <= attempt.breakdown["total_s"] < attempt.duration_s + 0.05
    assert breakdown.current() is None


def test_a_failure_carries_its_exception(adapter: AdapterUnderTest, client: Client, transport: MemoryTransport) -> None:
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


def test_the_same_failure_is_one_group_and_another_is_another(
    adapter: AdapterUnderTest, transport: MemoryTransport
) -> None:
    def fails(number: int) -> None:
        if number % 2:
            raise ValueError(f"order {number} not found")
        raise KeyError(number)

    for number in range(4):
        adapter.submit(fails, number)
    adapter.work()
    fingerprints = {shown.exception.fingerprint for shown, _ in runs(transport) if shown.exception is not None}
    assert len(fingerprints) == 2


def test_the_same_failure_is_one_group_over_all_adapters(
    client: Client, transport: MemoryTransport, request: pytest.FixtureRequest
) -> None:
    def fails() -> None:
        raise ValueError("no stock")

    # arq executes coroutines only: the driver's own stands between, and is part of where it failed.
    makers = [make for name, make in ADAPTERS.items() if name != "arq"]
    for make in makers:
        adapter = make(request)
        adapter.submit(fails)
        adapter.work()
        adapter.close()
    found = [shown.exception for shown, _ in runs(transport)]
    assert len(found) == len(makers)
    assert len({each.fingerprint for each in found if each is not None}) == 1


def test_retries_are_attempts_of_one_run(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError(f"try {len(tries)}")
        return "at last"

    if Capability.RETRY not in adapter.can:
        # The framework tries once; the failure is final.
        adapter.submit(flaky)
        adapter.work()
        assert only(transport)[0].state is RunState.FAILED
        return
    adapter.retrying(flaky, 3)
    adapter.work()
    shown, _ = only(transport)
    assert (shown.state, shown.result) == (RunState.SUCCEEDED, "at last")
    # What earlier attempts raised is theirs, and not how the run is now.
    assert shown.exception is None
    assert [attempt.state for attempt in shown.attempts] == ["retrying", "retrying", "succeeded"]
    assert [attempt.exception.message for attempt in shown.attempts if attempt.exception is not None] == [
        "try 1",
        "try 2",
    ]


def test_when_the_retries_are_used_up_the_run_has_failed_once(
    adapter: AdapterUnderTest, transport: MemoryTransport
) -> None:
    def fails() -> None:
        raise ValueError("always")

    if Capability.RETRY in adapter.can:
        adapter.retrying(fails, 2)
    else:
        adapter.submit(fails)
    adapter.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    expected = ["retrying", "retrying", "failed"] if Capability.RETRY in adapter.can else ["failed"]
    assert [attempt.state for attempt in shown.attempts] == expected


def test_a_revoked_run_never_starts(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
    executed: list[int] = []

    def work() -> None:
        executed.append(1)

    handle = adapter.submit(work)
    if Capability.REVOKE not in adapter.can:
        adapter.work()
        assert executed == [1]
        return
    adapter.revoke(handle)
    adapter.work()
    shown, _ = only(transport)
    assert executed == []
    assert (shown.state, shown.started_at) == (RunState.REVOKED, None)
    assert shown.reason


def test_over_its_time_limit_a_run_fails(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
    def step() -> None: ...

    if Capability.TIMEOUT not in adapter.can:
        # Nothing ends it; it takes as long as it takes.
        adapter.submit(lambda: time.sleep(0.05))
        adapter.work()
        assert only(transport)[0].state is RunState.SUCCEEDED
        return
    adapter.limited(step, 0.1)
    adapter.work()
    shown, _ = only(transport)
    assert (shown.state, [attempt.state for attempt in shown.attempts]) == (RunState.FAILED, ["failed"])
    assert shown.exception is not None
    assert shown.exception.type.rpartition(".")[2] in {
        *("TimeoutError", "TimeLimitExceeded", "TaskTimeout", "JobTimeoutException"),
    }
    if adapter.framework == "celery":
        # The child that executed it was killed, and took with it where it hung and for how long.
        return
    assert "in patient" in shown.exception.traceback
    assert shown.duration_s is not None
    # The limit of some begins before what is measured does.
    assert 0.05 <= shown.duration_s < 20


def test_a_delay_is_no_waiting(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
    def work() -> None: ...

    if Capability.DELAY not in adapter.can:
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
    assert shown.wait_s < 1.5
    assert shown.enqueued_at is not None
    # APScheduler hands a job over when it is due, not before.
    assert shown.wait_s == pytest.approx(shown.started_at - max(shown.eta, shown.enqueued_at))


def test_cpu_time_is_told_where_it_is_the_runs_own(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
    def compute() -> None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    adapter.submit(compute)
    adapter.work()
    (attempt,) = only(transport)[0].attempts
    if Capability.CPU in adapter.can:
        assert attempt.cpu_s is not None
        assert 0.02 <= attempt.cpu_s < 1.0
    else:
        assert attempt.cpu_s is None
    # All of these execute in this process, which they share.
    assert Capability.MEMORY not in adapter.can
    assert attempt.peak_memory_bytes is None


def test_every_framework_that_is_watched_from_inside_takes_part() -> None:
    names = {name.partition("-")[0] for name in ADAPTERS}
    declared = {each.framework for each in WATCHINGS}
    assert {{"background": "fastapi", "function": "python"}.get(name, name) for name in names} == declared


def test_what_a_run_starts_has_it_as_parent(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
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


def test_runs_one_after_the_other_have_no_parent(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
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


class Mute(ValueError):
    """An exception that does not say what it is; at the top of a module, where pickle finds it."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_large_and_odd_arguments_are_bounded_and_harmless(
    adapter: AdapterUnderTest, transport: MemoryTransport
) -> None:
    received: list[Any] = []

    def work(*args: Any) -> Any:
        received.append(len(args))
        return args

    cyclic: list[Any] = []
    cyclic.append(cyclic)
    odd: list[Any] = ["x" * 2_000_000, list(range(100_000)), float("nan"), 2**60]
    odd += [{"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": "deep"}}}}}}}}]
    odd += ["\ud800 lone surrogate", "<script>alert(1)</script>", {"actor_name": "odd", "args": 1, "kwargs": 2}]
    if adapter.carries != "json":
        odd += [b"\x00\xff" * 1000, {1: {2: 3}}, 2**5000]
    if adapter.carries == "anything":
        odd += [Hostile(), cyclic, lambda: None, object()]
    adapter.submit(work, *odd)
    adapter.work()
    shown, run = only(transport)
    assert received == [len(odd)]
    assert shown.state is RunState.SUCCEEDED
    assert run.args
    assert max(len(encoded) for batch in transport.batches for encoded in batch.events) < 20_000


def test_an_exception_that_cannot_be_shown_is_reported_all_the_same(
    adapter: AdapterUnderTest, transport: MemoryTransport
) -> None:
    def fails() -> None:
        raise Mute

    adapter.submit(fails)
    adapter.work()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert "Mute" in shown.exception.type


def test_secrets_do_not_leave_the_process(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
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
    client: Client, transport: MemoryTransport, adapter: AdapterUnderTest
) -> None:
    client.configure(Settings(service="shop", capture=False), transport)

    def work(plain: str) -> str:
        return plain

    adapter.submit(work, "visible-otherwise")
    adapter.work()
    shown, run = only(transport)
    assert shown.state is RunState.SUCCEEDED
    assert (run.args, run.kwargs, shown.result) == (None, None, None)


def test_watching_twice_reports_once(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
    def work() -> None: ...

    adapter.watch_again()
    adapter.submit(work)
    adapter.watch_again()
    adapter.work()
    only(transport)
    assert len(executions(transport)) == 1


def test_after_unwatching_nothing_is_reported_and_everything_works(
    adapter: AdapterUnderTest, transport: MemoryTransport
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
    adapter: AdapterUnderTest, client: Client, monkeypatch: pytest.MonkeyPatch, broken: str
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


def test_with_the_server_away_the_host_goes_on_and_losses_are_counted(
    client: Client, adapter: AdapterUnderTest
) -> None:
    client.configure(Settings(service="shop", url="http://127.0.0.1:9", buffer_events=10, exit_timeout_s=0.1))
    executed: list[int] = []

    def work(number: int) -> None:
        executed.append(number)

    for number in range(30):
        adapter.submit(work, number)
    adapter.work()
    assert sorted(executed) == list(range(30))
    assert client.emitter is not None
    # What an end says of its run makes the events before it dispensable.
    assert client.emitter.dropped >= 30 - 10


def test_turned_off_nothing_is_reported(client: Client, transport: MemoryTransport, adapter: AdapterUnderTest) -> None:
    client.configure(Settings(service="shop", enabled=False))
    executed: list[int] = []

    def work() -> None:
        executed.append(1)

    adapter.submit(work)
    adapter.work()
    assert executed == [1]
    assert transport.events == []
