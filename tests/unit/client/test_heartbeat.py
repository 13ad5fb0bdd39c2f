"""`huoyan.heartbeat` and `@huoyan.task(heartbeat_s=…)`: promises of signs of life, and the signs."""

import pytest

import huoyan
from huoyan.client.process import Client
from huoyan.client.transport.memory import MemoryTransport
from huoyan.errors import ConfigurationError
from huoyan.model.event import EventKind, TaskEvent


def told(transport: MemoryTransport) -> list[TaskEvent]:
    assert huoyan.flush(5)
    return list(transport.events)


def test_a_task_promises_with_its_start_and_keeps_it_with_a_word(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task(heartbeat_s=30)
    def slow() -> None:
        huoyan.heartbeat()

    slow()
    assert [(event.kind.value, event.heartbeat_s) for event in told(transport)] == [
        ("started", 30.0),
        ("progress", None),
        ("succeeded", None),
    ]


def test_a_promise_can_be_made_on_the_way_and_a_loop_does_not_flood(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def slow() -> None:
        for _ in range(1000):
            huoyan.heartbeat(10)
        huoyan.heartbeat(20)

    slow()
    events = [event for event in told(transport) if event.kind is EventKind.PROGRESS]
    assert [event.heartbeat_s for event in events if event.heartbeat_s] == [10.0, 20.0]
    assert len(events) < 20
    assert {event.progress for event in events} == {None}, "a sign of life says nothing of progress"


def test_nonsense_promises_nothing_and_never_raises_into_a_task(client: Client, transport: MemoryTransport) -> None:
    @huoyan.task
    def slow() -> str:
        for value in (-1, 0, float("nan"), 1e9, "soon"):
            huoyan.heartbeat(value)  # type: ignore[arg-type]
        return "done"

    huoyan.heartbeat(5)
    assert slow() == "done"
    assert all(event.heartbeat_s is None for event in told(transport))


@pytest.mark.parametrize("value", [0, -1, True, "30", 1e9])
def test_a_promise_in_the_decorator_has_to_make_sense(value: object) -> None:
    with pytest.raises(ConfigurationError, match="heartbeat_s"):
        huoyan.task(heartbeat_s=value)  # type: ignore[call-overload]
