"""What every way of watching promises, asserted over all of them: truth about runs.

An adapter joins by a driver in `tests/contract/adapters` that knows how to submit a call to its framework and how to
let the framework work it off. Celery and RQ take part twice: with hooks, and watched from their broker alone.

A case that is marked with a capability does the same with every driver, looks whether it was told, and holds the flag
of the table of capabilities to that, whatever the flag says. Where the table says no and something was told, or the
other way round, it fails; `test_capabilities.py` has that tried. What only processes show is in `test_killed.py`.
"""

import ast
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import huoyan
from huoyan.client import breakdown
from huoyan.client.capabilities import OTHER_SIDES, WATCHINGS, Capability, Level
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.run import RunState
from tests.contract.adapters import ADAPTERS, HOOKED
from tests.contract.adapters.contract import AdapterUnderTest, states
from tests.contract.adapters.outside import PollingAdapter


@pytest.fixture
def make(client: Client, transport: MemoryTransport, request: pytest.FixtureRequest) -> Callable[..., AdapterUnderTest]:
    """Give a function that starts an adapter."""

    def start(name: str) -> AdapterUnderTest:
        started = ADAPTERS[name](request)
        started.transport = transport
        return started

    return start


@pytest.fixture(params=list(ADAPTERS))
def adapter(request: pytest.FixtureRequest, make: Callable[..., AdapterUnderTest]) -> Iterator[AdapterUnderTest]:
    """Give each adapter in turn, watched."""
    started = make(request.param)
    yield started
    started.close()


def plain(payload: Any) -> Any:
    """Return arguments or a result, which Celery's events carry as text."""
    value = ast.literal_eval(payload) if isinstance(payload, str) else payload
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.proves(Capability.ARGUMENTS)
def test_a_success_is_one_run_with_one_attempt(adapter: AdapterUnderTest) -> None:
    def add(a: int, b: int = 0) -> dict[str, int]:
        time.sleep(0.01)
        return {"sum": a + b}

    before = time.time()
    adapter.submit(add, 2, b=3)
    adapter.work()
    shown, run = adapter.only()
    assert shown.state is RunState.SUCCEEDED
    assert (shown.service, shown.framework, shown.worker) == ("shop", adapter.framework, adapter.worker_name)
    adapter.proves(Capability.ARGUMENTS, run.args is not None)
    if run.args is None:
        assert (run.kwargs, shown.result) == (None, None)
    else:
        assert (plain(run.args), plain(run.kwargs), plain(shown.result)) == ([2], {"b": 3}, {"sum": 5})
    assert states(shown) == ["succeeded"]
    assert shown.duration_s is not None
    assert 0.01 <= shown.duration_s < 5
    assert shown.started_at is not None
    assert shown.finished_at is not None
    assert before <= shown.started_at <= shown.finished_at <= time.time()
    assert shown.exception is None


@pytest.mark.proves(Capability.BREAKDOWN)
def test_every_end_of_an_attempt_says_where_its_time_went(adapter: AdapterUnderTest) -> None:
    def charge(number: int) -> None:
        breakdown.finish(breakdown.begin(), "database", "SELECT", "orders", None)
        time.sleep(0.01)
        if number:
            raise ValueError("declined")

    adapter.submit(charge, 0)
    adapter.submit(charge, 1)
    adapter.work()
    attempts = [shown.attempts[-1] for shown, _ in adapter.runs()]
    assert sorted(attempt.state for attempt in attempts) == ["failed", "succeeded"]
    for attempt in attempts:
        adapter.proves(Capability.BREAKDOWN, bool(attempt.breakdown))
        if not attempt.breakdown:
            continue
        parts = {part["component"]: part for part in attempt.breakdown["parts"]}
        # On a busy machine something else may have held the event loop of the worker.
        assert parts.keys() - {"event_loop"} == {"database"}
        assert (parts["database"]["target"], parts["database"]["calls"]) == ("orders", 1)
        covered_s = attempt.breakdown["own_s"] + sum(part["covered_s"] for part in parts.values())
        assert covered_s == pytest.approx(attempt.breakdown["total_s"], abs=1e-6)
        assert attempt.duration_s is not None
        assert 0.01 <= attempt.breakdown["total_s"] < attempt.duration_s + 0.05
    assert breakdown.current() is None


@pytest.mark.proves(Capability.OUTCOME)
def test_a_failure_carries_its_exception(adapter: AdapterUnderTest) -> None:
    def deep() -> None:
        raise ValueError("no stock left")

    def order() -> None:
        try:
            deep()
        except ValueError as error:
            raise KeyError("order-7") from error

    adapter.submit(order)
    adapter.work()
    shown, _ = adapter.only()
    adapter.proves(Capability.OUTCOME, shown.state is RunState.FAILED)
    assert shown.exception is not None
    assert (shown.exception.type, shown.exception.message) == ("KeyError", "'order-7'")
    assert "in deep" in shown.exception.traceback
    assert "no stock left" in shown.exception.traceback
    assert "huoyan/client" not in shown.exception.traceback
    assert len(shown.exception.fingerprint) == 16
    assert shown.duration_s is not None


def test_the_same_failure_is_one_group_and_another_is_another(adapter: AdapterUnderTest) -> None:
    def fails(number: int) -> None:
        if number % 2:
            raise ValueError(f"order {number} not found")
        raise KeyError(number)

    for number in range(4):
        adapter.submit(fails, number)
    adapter.work()
    fingerprints = {shown.exception.fingerprint for shown, _ in adapter.runs() if shown.exception is not None}
    assert len(fingerprints) == 2


def test_the_same_failure_is_one_group_over_all_adapters(make: Callable[..., AdapterUnderTest]) -> None:
    def fails() -> None:
        raise ValueError("no stock")

    found: dict[str, str] = {}
    # arq executes coroutines only: the driver's own stands between, and is part of where it failed.
    for name in ADAPTERS.keys() - {"arq"}:
        adapter = make(name)
        adapter.submit(fails)
        adapter.work()
        shown, _ = adapter.runs()[-1]
        assert shown.exception is not None
        found[name] = shown.exception.fingerprint
        adapter.close()
    assert len(set(found.values())) == 1, found


@pytest.mark.proves(Capability.RETRY)
def test_retries_are_attempts_of_one_run(adapter: AdapterUnderTest) -> None:
    tries: list[int] = []

    def flaky() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError(f"try {len(tries)}")
        return "at last"

    adapter.retrying(flaky, 3)
    adapter.work()
    shown, _ = adapter.only()
    adapter.proves(Capability.RETRY, len(shown.attempts) > 1)
    if len(shown.attempts) == 1:
        # The framework tries once; the failure is final.
        assert (len(tries), shown.state) == (1, RunState.FAILED)
        return
    assert shown.state is RunState.SUCCEEDED
    # What earlier attempts raised is theirs, and not how the run is now.
    assert shown.exception is None
    assert states(shown) == ["retrying", "retrying", "succeeded"]
    if adapter.watching.level(Capability.RETRY) is Level.YES:
        messages = [attempt.exception.message for attempt in shown.attempts if attempt.exception is not None]
        assert messages == ["try 1", "try 2"]


@pytest.mark.proves(Capability.RETRY)
def test_when_the_retries_are_used_up_the_run_has_failed_once(adapter: AdapterUnderTest) -> None:
    def fails() -> None:
        raise ValueError("always")

    adapter.retrying(fails, 2)
    adapter.work()
    shown, _ = adapter.only()
    assert shown.state is RunState.FAILED
    adapter.proves(Capability.RETRY, states(shown) == ["retrying", "retrying", "failed"])
    assert states(shown)[-1:] == ["failed"]


@pytest.mark.proves(Capability.REVOKE)
def test_a_revoked_run_never_starts(adapter: AdapterUnderTest) -> None:
    executed: list[int] = []

    def work() -> None:
        executed.append(1)

    handle = adapter.submit(work)
    adapter.revoke(handle)
    adapter.work()
    found = adapter.runs()
    revoked = [shown for shown, _ in found if shown.state is RunState.REVOKED]
    adapter.proves(Capability.REVOKE, bool(revoked))
    if not revoked:
        # What cannot be taken back is executed; what was taken back before there was a run leaves none.
        assert [shown.state for shown, _ in found] == [RunState.SUCCEEDED] * len(executed)
        return
    assert executed == []
    assert len(found) == 1
    assert revoked[0].started_at is None
    assert revoked[0].reason


@pytest.mark.proves(Capability.TIMEOUT)
def test_over_its_time_limit_a_run_fails(adapter: AdapterUnderTest) -> None:
    def step() -> None: ...

    adapter.limited(step, 0.1)
    adapter.work()
    shown, _ = adapter.only()
    kind = shown.exception.type.rpartition(".")[2] if shown.exception is not None else ""
    limits = {"TimeoutError", "TimeLimitExceeded", "TaskTimeout", "JobTimeoutException"}
    adapter.proves(Capability.TIMEOUT, kind in limits)
    if shown.exception is None:
        # Nothing ended it; it took as long as it took.
        assert shown.state is RunState.SUCCEEDED
        return
    assert (shown.state, states(shown)) == (RunState.FAILED, ["failed"])
    if adapter.framework == "celery":
        # The child that executed it was killed, and took with it where it hung and for how long.
        return
    assert "in patient" in shown.exception.traceback
    assert shown.duration_s is not None
    # The limit of some begins before what is measured does.
    assert 0.05 <= shown.duration_s < 20


@pytest.mark.proves(Capability.DELAY)
def test_a_delay_is_no_waiting(adapter: AdapterUnderTest) -> None:
    def work() -> None: ...

    adapter.delayed(work, 0.3)
    adapter.work()
    shown, _ = adapter.only()
    assert shown.state is RunState.SUCCEEDED
    adapter.proves(Capability.DELAY, shown.eta is not None)
    if shown.eta is None:
        return
    assert shown.started_at is not None
    assert shown.started_at >= shown.eta
    assert shown.wait_s is not None
    assert shown.wait_s < 1.5
    # APScheduler hands a job over when it is due, not before; some say only when they received it.
    assert shown.wait_s == pytest.approx(shown.started_at - max(shown.eta, shown.enqueued_at or 0.0))


@pytest.mark.proves(Capability.CPU, Capability.MEMORY)
def test_cpu_time_is_told_where_it_is_the_runs_own(adapter: AdapterUnderTest) -> None:
    def compute() -> None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass

    adapter.submit(compute)
    adapter.work()
    (attempt,) = adapter.only()[0].attempts
    adapter.proves(Capability.CPU, attempt.cpu_s is not None)
    assert attempt.cpu_s is None or 0.02 <= attempt.cpu_s < 1.0
    # All of these execute in this process, which they share.
    adapter.proves(Capability.MEMORY, attempt.peak_memory_bytes is not None)


@pytest.mark.proves(Capability.MEMORY)
def test_peak_memory_is_told_where_a_run_has_a_process_of_its_own(adapter: AdapterUnderTest) -> None:
    def grow() -> int:
        return len(b"x" * (64 << 20))

    adapter.apart()
    adapter.submit(grow)
    adapter.work()
    shown, _ = adapter.only()
    assert shown.state is RunState.SUCCEEDED
    peak = shown.attempts[0].peak_memory_bytes
    adapter.proves(Capability.MEMORY, peak is not None)
    assert peak is None or peak > 64 << 20


@pytest.mark.proves(Capability.LINEAGE)
def test_what_a_run_asks_for_has_it_as_parent(adapter: AdapterUnderTest) -> None:
    def leaf() -> None: ...

    ask = adapter.child(leaf)

    def top() -> None:
        ask()

    adapter.submit(top)
    adapter.work()
    found = [run for _, run in adapter.runs()]
    assert len(found) == 2
    (outer,) = [run for run in found if "top" in run.task]
    (inner,) = [run for run in found if "leaf" in run.task]
    adapter.proves(Capability.LINEAGE, inner.parent_id is not None)
    assert outer.parent_id is None
    if inner.parent_id is not None:
        assert (inner.parent_id, inner.root_id) == (outer.id, outer.id)


@pytest.mark.parametrize("adapter", HOOKED, indirect=True)
def test_what_a_run_calls_has_it_as_parent(adapter: AdapterUnderTest) -> None:
    @huoyan.task(name="leaf")
    def leaf() -> None: ...

    @huoyan.task(name="branch")
    def branch() -> None:
        leaf()

    def top() -> None:
        branch()

    adapter.submit(top)
    adapter.work()
    found = {run.task.rpartition(".")[2]: run for _, run in adapter.runs()}
    outer = next(run for name, run in found.items() if name not in {"leaf", "branch"})
    assert found["branch"].parent_id == outer.id
    assert found["leaf"].parent_id == found["branch"].id
    assert found["leaf"].root_id == found["branch"].root_id == outer.id
    assert outer.parent_id is None


def test_runs_one_after_the_other_have_no_parent(adapter: AdapterUnderTest) -> None:
    def work() -> None: ...

    for _ in range(3):
        adapter.submit(work)
    adapter.work()
    found = adapter.runs()
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
    shown, run = adapter.only()
    assert received == [len(odd)]
    assert shown.state is RunState.SUCCEEDED
    assert bool(run.args) == adapter.tells(Capability.ARGUMENTS)
    assert len(repr((run.args, shown.result))) < 40_000
    assert max((len(encoded) for batch in transport.batches for encoded in batch.events), default=0) < 20_000


def test_an_exception_that_cannot_be_shown_is_reported_all_the_same(adapter: AdapterUnderTest) -> None:
    def fails() -> None:
        raise Mute

    adapter.submit(fails)
    adapter.work()
    shown, _ = adapter.only()
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert "Mute" in shown.exception.type


@pytest.mark.proves(Capability.SECRETS)
def test_secrets_are_taken_out(adapter: AdapterUnderTest, transport: MemoryTransport) -> None:
    def login(user: str, password: str, **more: str) -> dict[str, str]:
        if user == "bob":
            raise ValueError(f"cannot log in with password={password} and card 4111 1111 1111 1111")
        return {"api_key": "k3y-0f-ann-12345", "user": user}

    adapter.submit(login, "ann", "hunter2", token="t0k3n-of-ann-1234")
    adapter.submit(login, "bob", "hunter2")
    adapter.work()
    found = adapter.runs()
    assert [shown.state for shown, _ in found] == [RunState.SUCCEEDED, RunState.FAILED]
    sent = b"".join(encoded for batch in transport.batches for encoded in batch.events).decode()
    everything = sent + repr(found)
    for secret in ("t0k3n-of-ann-1234", "k3y-0f-ann-12345", "4111 1111 1111 1111"):
        assert secret not in everything
    # The position of an argument says nothing to who does not know the function.
    adapter.proves(Capability.SECRETS, "hunter2" not in everything)
    assert ("ann" in repr(found[0][1].args)) == adapter.tells(Capability.ARGUMENTS)


CASES: dict[Capability, Callable[..., None]] = {
    flag: case
    for case in list(globals().values())
    for mark in getattr(case, "pytestmark", ())
    for flag in mark.args
    if mark.name == "proves"
}
"""A case for each flag that is held here to what is told."""


@pytest.mark.parametrize("capability", CASES)
@pytest.mark.parametrize("name", ["function", "background", "apscheduler", "huey", "dramatiq-stub"])
def test_a_flag_that_lies_fails_its_case(
    name: str,
    capability: Capability,
    make: Callable[..., AdapterUnderTest],
    transport: MemoryTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    adapter = make(name)
    truth, case = adapter.tells, CASES[capability]
    monkeypatch.setattr(adapter, "tells", lambda flag: truth(flag) != (flag is capability))
    more = {"transport": transport} if "transport" in inspect.signature(case).parameters else {}
    with pytest.raises(AssertionError, match=f"expected of {capability.value} what the table says"):
        case(adapter, **more)
    adapter.close()


@pytest.mark.parametrize("adapter", ["celery-events"], indirect=True)
def test_celery_cuts_off_long_arguments_itself(adapter: AdapterUnderTest) -> None:
    def work(text: str) -> None: ...

    adapter.submit(work, "x" * 5000)
    adapter.work()
    args = adapter.only()[1].args
    assert isinstance(args, str)
    assert "xxx" in args
    assert len(args) < 2000


@pytest.mark.parametrize("adapter", ["celery-events"], indirect=True)
def test_secrets_with_a_name_are_taken_out_of_celerys_text(adapter: AdapterUnderTest) -> None:
    def login(user: str, password: str) -> None: ...

    adapter.submit(login, "ann", password="hunter2")
    adapter.work()
    _, run = adapter.only()
    assert "password" in str(run.kwargs)
    assert "hunter2" not in repr(run)


@pytest.mark.parametrize("adapter", ["rq-polling"], indirect=True)
def test_an_attempt_between_two_looks_at_rq_is_not_seen(
    adapter: PollingAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def flaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError(len(tries))

    adapter.retrying(flaky, 3)
    adapter.look()
    monkeypatch.setattr(adapter, "look", lambda: None)
    adapter.work()
    monkeypatch.undo()
    adapter.look()
    shown, _ = adapter.only()
    assert (len(tries), shown.state) == (3, RunState.SUCCEEDED)
    assert len(shown.attempts) < 3


@pytest.mark.parametrize("adapter", ["rq-polling"], indirect=True)
def test_a_job_of_rq_that_is_deleted_between_two_looks_leaves_no_trace(adapter: PollingAdapter) -> None:
    def work() -> None: ...

    adapter.submit(work).delete()
    adapter.work()
    assert adapter.runs() == []


def test_every_way_of_watching_takes_part_with_both_sides_of_each_partly(
    make: Callable[..., AdapterUnderTest],
) -> None:
    sides: dict[tuple[str, Capability], set[bool]] = {}
    for adapter in [make(name) for name in ADAPTERS]:
        for flag in Capability:
            sides.setdefault((adapter.watching.title, flag), set()).add(adapter.tells(flag))
        adapter.apart()
        sides[adapter.watching.title, Capability.MEMORY].add(adapter.tells(Capability.MEMORY))
        adapter.close()
    assert {title for title, _ in sides} == {each.title for each in WATCHINGS}
    halves = {(each.title, flag) for each in WATCHINGS for flag in Capability if each.level(flag) is Level.PARTLY}
    # A job in a process pool of APScheduler reports nothing at all from there, so there is no child to look at.
    assert {each for each in halves if len(sides[each]) < 2} == OTHER_SIDES.keys() | {
        ("APScheduler", Capability.LINEAGE)
    }
