"""What every adapter that lives in other people's processes promises to them: it is silent, whatever happens to it, and
reports nothing that it was told to keep.

The drivers are those of `test_adapters.py`, which holds what they report to the truth.
"""

from collections.abc import Iterator

import pytest

from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.run import RunState
from tests.contract.adapters import HOOKED
from tests.contract.adapters.contract import AdapterUnderTest, executions, only, runs


@pytest.fixture(params=list(HOOKED))
def adapter(request: pytest.FixtureRequest, client: Client) -> Iterator[AdapterUnderTest]:
    """Give each adapter in turn, watched."""
    started = HOOKED[request.param](request)
    yield started
    started.close()


def test_what_has_ended_is_not_active_any_more(adapter: AdapterUnderTest, client: Client) -> None:
    def work(number: int) -> None:
        if number:
            raise ValueError("no stock left")

    adapter.submit(work, 0)
    adapter.submit(work, 1)
    adapter.work()
    assert client.active == 0


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
