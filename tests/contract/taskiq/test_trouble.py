"""What Taskiq drops, refuses or breaks off does not seem to run for ever."""

from typing import Any

import pytest
from taskiq import (
    InMemoryBroker,
    TaskiqMessage,
    TaskiqMiddleware,
    TaskiqResult,
)
from taskiq.exceptions import SendTaskError

from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.run import RunState
from tests.contract.adapters.contract import only, runs
from tests.contract.adapters.taskiq import TaskiqAdapter, Worker, make
from tests.servers import wait_until


class Broken(TaskiqMiddleware):
    """Fails in one of its hooks."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook

    def pre_execute(self, message: TaskiqMessage) -> TaskiqMessage:
        return message if self.hook != "pre_execute" else self._fail()

    def post_execute(self, message: TaskiqMessage, result: TaskiqResult[Any]) -> None:
        if self.hook == "post_execute":
            self._fail()

    def on_error(self, message: TaskiqMessage, result: TaskiqResult[Any], exception: BaseException) -> None:
        if self.hook == "on_error":
            self._fail()

    def _fail(self) -> Any:
        raise RuntimeError(f"a mistake in {self.hook}")


@pytest.mark.parametrize(
    ("hook", "error"),
    [("pre_execute", "RuntimeError"), ("post_execute", "RuntimeError"), ("on_error", "ValueError")],
)
def test_a_run_that_taskiq_drops_halfway_does_not_seem_to_run_for_ever(
    client: Client, transport: MemoryTransport, hook: str, error: str
) -> None:
    adapter = TaskiqAdapter(InMemoryBroker(), Broken(hook))

    async def work() -> None:
        if hook == "on_error":
            raise ValueError("its own mistake")

    adapter.submit(work)
    wait_until(lambda: all(shown.final for shown, _ in runs(transport)), message="the run to end")
    adapter.close()
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert shown.exception.type == error
    assert client.active == 0


def test_a_wrong_label_that_stops_the_worker_short_fails_the_run(
    memory: TaskiqAdapter, transport: MemoryTransport
) -> None:
    async def work() -> None: ...

    memory.run(memory.task(work, ack_type="sometimes").kiq())
    wait_until(lambda: all(shown.final for shown, _ in runs(transport)), message="the run to end")
    shown, _ = only(transport)
    assert shown.state is RunState.FAILED
    assert shown.exception is not None
    assert "Invalid ack_type label" in shown.exception.message


def test_a_message_for_an_unknown_task_is_rejected_by_the_worker(
    request: pytest.FixtureRequest, client: Client, transport: MemoryTransport
) -> None:
    adapter = make("list", request)

    async def work() -> None: ...

    adapter.submit(work)
    adapter.broker.local_task_registry.clear()
    with Worker(adapter):
        wait_until(lambda: any(shown.final for shown, _ in runs(transport)), message="the run to end")
    formatter = adapter.broker.formatter
    adapter.close()
    shown, _ = only(transport)
    assert (shown.state, shown.started_at) == (RunState.REJECTED, None)
    assert shown.reason == "the worker does not know this task and dropped its message"
    assert "loads" not in vars(formatter)
    assert "find_task" not in vars(adapter.broker)


def test_what_the_broker_refuses_was_never_enqueued(memory: TaskiqAdapter, transport: MemoryTransport) -> None:
    async def work() -> None: ...

    task = memory.task(work)
    memory.broker.local_task_registry.clear()
    with pytest.raises(SendTaskError):
        memory.run(task.kiq())
    assert runs(transport) == []
