"""What a driver has to offer, and how the suite reads what was reported."""

from collections.abc import Callable
from typing import Any, Literal, Protocol

import huoyan
from huoyan.client.capabilities import Capability, Level, hooks
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunView, apply, view

Function = Callable[..., Any]
Carries = Literal["anything", "pickle", "json"]


class AdapterUnderTest(Protocol):
    """A framework under watch."""

    framework: str
    carries: Carries
    """What arguments can be."""

    @property
    def can(self) -> frozenset[Capability]:
        """What this framework, with this broker, supports."""

    def watch_again(self) -> None:
        """Watch what is watched already."""

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        """Ask for one call. Returns a handle for `revoke`."""

    def retrying(self, function: Function, retries: int) -> None:
        """Ask for a call that may be tried again."""

    def delayed(self, function: Function, delay_s: float) -> None:
        """Ask for a call in some time."""

    def limited(self, step: Function, limit_s: float) -> None:
        """Ask for a call that repeats `step`, in a way that the framework can interrupt, until its time limit is over.

        A framework that counts in whole seconds rounds up.
        """

    def revoke(self, handle: Any) -> None:
        """Cancel a call that was asked for and has not started."""

    def work(self) -> None:
        """Let the framework do what it was asked for."""

    def unwatch(self) -> None:
        """Stop watching."""

    def close(self) -> None:
        """End everything."""


class Base:
    """What drivers have in common: what can be done is what the table of capabilities says of the framework."""

    framework = ""
    carries: Carries = "anything"
    partly: frozenset[Capability] = frozenset()
    """What the table says is supported in part, and is with this driver."""

    @property
    def can(self) -> frozenset[Capability]:
        watching = hooks(self.framework)
        assert all(watching.level(each) is Level.PARTLY for each in self.partly)
        return self.partly | {each for each in Capability if watching.level(each) is Level.YES}

    def retrying(self, function: Function, retries: int) -> None:
        raise AssertionError("cannot retry")

    def delayed(self, function: Function, delay_s: float) -> None:
        raise AssertionError("cannot delay")

    def limited(self, step: Function, limit_s: float) -> None:
        raise AssertionError("cannot limit")

    def revoke(self, handle: Any) -> None:
        raise AssertionError("cannot revoke")

    def close(self) -> None:
        self.unwatch()

    def unwatch(self) -> None: ...


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
    return [event for event in transport.events if event.kind is EventKind.STARTED]


def states(shown: RunView) -> list[str]:
    """Return the states of a run's attempts in order."""
    return [attempt.state for attempt in shown.attempts]
