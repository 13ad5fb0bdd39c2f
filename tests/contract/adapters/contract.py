"""What a driver has to offer, and how the suite reads what was reported."""

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Literal, Protocol

import huoyan
from huoyan.client import process
from huoyan.client.capabilities import WATCHINGS, Capability, Level, Watching, hooks
from huoyan.client.transport.memory import MemoryTransport
from huoyan.model.event import EventKind, TaskEvent
from huoyan.model.run import Run, RunView, apply, view

Function = Callable[..., Any]
Carries = Literal["anything", "pickle", "json"]
Seen = list[tuple[RunView, Run]]


class AdapterUnderTest(Protocol):
    """A framework under watch."""

    framework: str
    carries: Carries
    """What arguments can be."""

    transport: MemoryTransport
    """What the client of this process sends."""

    @property
    def watching(self) -> Watching:
        """What the table of capabilities says."""

    @property
    def worker_name(self) -> str:
        """Who executes what is asked for, as runs name it."""

    def tells(self, capability: Capability) -> bool:
        """Return whether the table says that this framework, as this driver sets it up, is seen to do something."""

    def proves(self, capability: Capability, told: bool) -> None:
        """Hold a flag of the table to what was told of a run where there was something to tell."""

    def runs(self) -> Seen:
        """Return what a server shows of what was asked for, in the order of first mention."""

    def only(self) -> tuple[RunView, Run]:
        """Return the one run there is."""

    def watch_again(self) -> None:
        """Watch what is watched already."""

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        """Ask for one call. Returns a handle for `revoke`."""

    def retrying(self, function: Function, retries: int) -> None:
        """Ask for a call that may be tried again; for a plain one where there is no such thing."""

    def delayed(self, function: Function, delay_s: float) -> None:
        """Ask for a call in some time; for a plain one where there is no such thing."""

    def limited(self, step: Function, limit_s: float) -> None:
        """Ask for a call that repeats `step`, in a way that the framework can interrupt, until its time limit is over;
        where there are no limits, for twice as long.

        A framework that counts in whole seconds rounds up.
        """

    def revoke(self, handle: Any) -> None:
        """Cancel a call that was asked for and has not started, where that can be done."""

    def child(self, function: Function) -> Callable[[], Any]:
        """Return what a run calls to ask for a call of `function`, by the means of the framework where it can."""

    def apart(self) -> None:
        """Let each run have a process of its own, where the framework can do that."""

    def work(self) -> None:
        """Let the framework do what it was asked for."""

    queues: bool
    """Whether calls wait in a queue that outlives who asked for them."""

    def declare(self, function: Function) -> None:
        """Make a function known to who works, where that has to be done beforehand."""

    def carefully(self, redeliver_after_s: float) -> None:
        """Work on one call at a time and acknowledge it when it has ended, where that is a choice; take over what
        others have not acknowledged for so long, where workers decide about it."""

    def twice(self, function: Function) -> None:
        """Ask for a call whose message is delivered again after success; for a plain one where none can be."""

    def schedule(self, function: Function) -> None:
        """Keep a schedule, where there are any, with one call an hour, until this process is killed."""

    def serve(self) -> None:
        """Work until this process is killed."""

    def unwatch(self) -> None:
        """Stop watching."""

    def close(self) -> None:
        """End everything."""


def by_task(transport: MemoryTransport) -> dict[str, tuple[RunView, Run]]:
    """Return the runs by the name of their function, without its module and its number."""
    return {shown.task.rpartition(".")[2].rpartition("_")[0]: (shown, run) for shown, run in runs(transport)}


class Base:
    """What drivers have in common: what can be done is what the table of capabilities says of the framework."""

    framework = ""
    title = ""
    """The way of watching, as the table calls it; empty: from inside."""

    carries: Carries = "anything"
    partly: frozenset[Capability] = frozenset()
    """What the table says is supported in part, and is with this driver."""

    queues = True
    transport: MemoryTransport

    @property
    def watching(self) -> Watching:
        """What the table says."""
        if not self.title:
            return hooks(self.framework)
        return next(each for each in WATCHINGS if each.title == self.title)

    @property
    def worker_name(self) -> str:
        return process.client().process.worker

    def tells(self, capability: Capability) -> bool:
        level = self.watching.level(capability)
        assert level is Level.PARTLY or capability not in self.partly
        return level is Level.YES or capability in self.partly

    def proves(self, capability: Capability, told: bool) -> None:
        PROVED.add(capability)
        said = self.watching.supports[capability]
        assert told == self.tells(capability), (
            f"{self.watching.title}: expected of {capability.value} what the table says ({said.level.value}"
            f"{': ' + said.note if said.note else ''}), it {'was' if told else 'was not'} told"
        )

    def runs(self) -> Seen:
        return runs(self.transport)

    def only(self) -> tuple[RunView, Run]:
        return one(self.runs())

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def work(self) -> None:
        raise NotImplementedError

    def retrying(self, function: Function, retries: int) -> None:
        self.submit(function)

    def delayed(self, function: Function, delay_s: float) -> None:
        self.submit(function)

    def limited(self, step: Function, limit_s: float) -> None:
        def patient() -> None:
            end = time.monotonic() + 2 * limit_s
            while time.monotonic() < end:
                step()
                time.sleep(0.005)

        self.submit(patient)

    def revoke(self, handle: Any) -> None: ...

    def child(self, function: Function) -> Callable[[], Any]:
        return huoyan.task(function)

    def apart(self) -> None: ...

    def declare(self, function: Function) -> None: ...

    def carefully(self, redeliver_after_s: float) -> None: ...

    def twice(self, function: Function) -> None:
        self.submit(function)

    def schedule(self, function: Function) -> None:
        threading.Event().wait()

    def serve(self) -> None:
        self.work()
        threading.Event().wait()

    def close(self) -> None:
        self.unwatch()

    def unwatch(self) -> None: ...


PROVED: set[Capability] = set()
"""The flags that the test which runs now has held to what was told."""


def new_queue(request: Any = None) -> str:
    """Return the name of a queue: a new one, unless whoever asks for the driver has one in mind."""
    return getattr(request, "queue", "") or f"q{uuid.uuid4().hex[:8]}"


def runs(transport: MemoryTransport) -> Seen:
    """Return what a server would show, in the order of first mention."""
    assert huoyan.flush(5)
    merged: dict[str, Run] = {}
    for event in transport.events:
        merged[event.run_id] = apply(merged.get(event.run_id), event)
    return [(view(run), run) for run in merged.values()]


def one(found: Seen) -> tuple[RunView, Run]:
    """Return the one run there is."""
    assert len(found) == 1, [(shown.task, shown.state) for shown, _ in found]
    return found[0]


def only(transport: MemoryTransport) -> tuple[RunView, Run]:
    """Return the one run that was sent."""
    return one(runs(transport))


def executions(transport: MemoryTransport) -> list[TaskEvent]:
    return [event for event in transport.events if event.kind is EventKind.STARTED]


def states(shown: RunView) -> list[str]:
    """Return the states of a run's attempts in order."""
    return [attempt.state for attempt in shown.attempts]
