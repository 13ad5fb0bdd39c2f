"""A world of workers that retry, die and are given messages again, heard through a channel that loses, repeats, delays
and reorders, from clocks that are off; what the collector says of it, at any time and at the end.

HUOYAN_MODEL_EXAMPLES sets how many worlds are tried (default 20).
"""

import copy
import itertools
import os
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from huoyan.model.event import EventKind, Evidence, ExceptionInfo, ProcessReport, TaskEvent
from huoyan.model.run import FINAL_STATES, RunView, view
from huoyan.server.collect import Collector
from tests.unit.server.collect.conftest import SettableClock

EXAMPLES = int(os.environ.get("HUOYAN_MODEL_EXAMPLES", "20"))
MAX_TRIES = 3
REPORT_S = 2.0
_worlds = itertools.count()


@dataclass
class Message:
    """What waits in the broker."""

    run_id: str
    attempt: int = 1
    delivery: int = 1


@dataclass
class Worker:
    """A process that executes one message at a time, with a clock of its own."""

    name: str
    pid: int
    skew_s: float
    busy: Message | None = None
    began: float = 0.0

    @property
    def execution(self) -> str:
        """The identity of what it executes."""
        assert self.busy is not None
        return f"{self.busy.attempt - 1}.{self.busy.delivery}@{self.name}#{self.pid}"


@dataclass
class Truth:
    """What really became of a run."""

    state: str = "queued"
    attempts: list[str] = field(default_factory=list)


@dataclass
class Sent:
    """An event on its way, with the time at which its sender sent it, by the sender's clock."""

    event: TaskEvent
    sent_at: float
    received_at: float | None = None


class World(RuleBasedStateMachine):
    """The world, the channel and the collector that listens."""

    collector: Collector
    clock: SettableClock
    views: dict[str, RunView] | None = None

    @initialize(
        lossy=st.booleans(),
        late=st.booleans(),
        skews=st.lists(st.sampled_from([0.0, 7200.0, -7200.0]), min_size=2, max_size=2),
    )
    def begin(self, lossy: bool, late: bool, skews: list[float]) -> None:
        self.mark = f"world{next(_worlds)}"
        # What other worlds left behind is over long before this one begins.
        self.clock.advance(600.0)
        self.since = self.clock.at
        self.lossy = lossy
        self.late = late
        self.numbers = itertools.count(1)
        self.broker: list[Message] = []
        self.truth: dict[str, Truth] = {}
        self.channel: list[Sent] = []
        self.heard: list[Sent] = []
        self.dropped = 0
        self.workers = [self._worker(skew_s) for skew_s in skews]

    # What the world does.

    @rule()
    def enqueue(self) -> None:
        run_id = f"{self.mark}-{next(self.numbers)}"
        self.truth[run_id] = Truth()
        self.broker.append(Message(run_id))
        self._send(EventKind.QUEUED, run_id, attempt=1)

    @precondition(lambda self: self.broker and self._idle())
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        self._start(data.draw(st.sampled_from(self._idle())))

    @precondition(lambda self: self._busy())
    @rule(data=st.data(), how=st.sampled_from(["succeeded", "failed", "retrying"]))
    def end(self, data: st.DataObject, how: str) -> None:
        self._end(data.draw(st.sampled_from(self._busy())), how)

    @precondition(lambda self: self._busy())
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        """A process dies without a word; a new one takes its place."""
        worker = data.draw(st.sampled_from(self._busy()))
        message = worker.busy
        assert message is not None
        truth = self.truth[message.run_id]
        truth.attempts[-1] = "lost"
        truth.state = "queued" if self.late else "lost"
        if self.late:
            self.broker.append(Message(message.run_id, message.attempt, message.delivery + 1))
        self.workers.remove(worker)
        self.workers.append(self._worker(worker.skew_s))

    @precondition(lambda self: any(m.attempt == m.delivery == 1 for m in self.broker))
    @rule(data=st.data())
    def revoke(self, data: st.DataObject) -> None:
        message = data.draw(st.sampled_from([m for m in self.broker if m.attempt == m.delivery == 1]))
        self.broker.remove(message)
        self.truth[message.run_id].state = "revoked"
        self._send(EventKind.REVOKED, message.run_id, reason="a person said so")

    # What the channel does.

    @precondition(lambda self: self.channel)
    @rule(seed=st.integers(0, 1 << 16), again=st.booleans())
    def carry(self, seed: int, again: bool) -> None:
        """Some events arrive, in any order, perhaps twice; the others stay on their way."""
        dice = random.Random(seed)
        dice.shuffle(self.channel)
        arriving = [self.channel.pop() for _ in range(dice.randint(1, len(self.channel)))]
        self._arrive(arriving * 2 if again else arriving)

    @precondition(lambda self: self.lossy and self.channel)
    @rule(seed=st.integers(0, 1 << 16))
    def drop(self, seed: int) -> None:
        self.channel.pop(random.Random(seed).randrange(len(self.channel)))
        self.dropped += 1

    @rule(reports=st.sampled_from([1, 4]))
    def wait(self, reports: int) -> None:
        """Time passes; who lives reports, who is silent for too long is judged."""
        for _ in range(reports):
            self.clock.advance(REPORT_S)
            for worker in self.workers:
                report = ProcessReport(worker.name, pid=worker.pid, interval_s=REPORT_S)
                self.collector.submit([], process=report, source="celery-events")
            self.collector.run_once()
            self.views = None
            next(one for one in self.collector.services() if one.name == "liveness").run_once()
            self.collector.run_once()

    # What must hold.

    @invariant()
    def no_success_that_did_not_happen(self) -> None:
        for run_id, seen in self._views().items():
            truth = self.truth[run_id]
            if seen.state == "succeeded":
                assert truth.state == "succeeded", (truth, seen)
            elif seen.state in {"failed", "revoked"}:
                assert truth.state == seen.state, (truth, seen)

    @invariant()
    def what_was_inferred_is_not_called_reported(self) -> None:
        for seen in self._views().values():
            if seen.state == "lost":
                assert seen.evidence == Evidence.INFERRED, seen

    @invariant()
    def no_negative_and_no_absurd_time(self) -> None:
        longest = self.clock.at - self.since if hasattr(self, "since") else 0.0
        for seen in self._views().values():
            for value in (seen.duration_s, seen.wait_s):
                assert value is None or 0 <= value <= longest, seen

    def teardown(self) -> None:
        """Let the world come to rest, deliver what is still on its way, and look at everything."""
        if not hasattr(self, "mark"):
            return
        for worker in self._busy():
            self._end(worker, "succeeded")
        while self.broker:
            self._start(self.workers[0])
            self._end(self.workers[0], "succeeded")
        self._arrive(self.channel)
        self.channel = []
        self.wait(15)
        self.no_success_that_did_not_happen()
        self.what_was_inferred_is_not_called_reported()
        self.no_negative_and_no_absurd_time()
        views = self._views()
        if not self.dropped:
            assert {run_id: seen.state.value for run_id, seen in views.items()} == {
                run_id: truth.state for run_id, truth in self.truth.items()
            }
            for run_id, seen in views.items():
                # A process that died before it was ever heard itself cannot be missed, and nor can what it started.
                known = {worker.worker for worker in self.collector.store.workers.list()}
                told = Counter(
                    "lost" if a.state == "started" and a.worker not in known else a.state for a in seen.attempts
                )
                assert told == Counter(self.truth[run_id].attempts), seen
        grown = self.collector.source().increase(
            "huoyan_task_runs_total", {"service": (self.mark,)}, ("state",), self.since - 60, self.clock.at + 60
        )
        counted = {state: count for (state,), count in grown.items() if count}
        assert counted == Counter(seen.state.value for seen in views.values() if seen.state in FINAL_STATES)
        before = {run_id: _essence(seen) for run_id, seen in views.items()}
        again = list(self.heard)
        random.Random(0).shuffle(again)
        self._submit(again)
        assert {run_id: _essence(seen) for run_id, seen in self._views().items()} == before

    def _worker(self, skew_s: float) -> Worker:
        number = next(self.numbers)
        return Worker(f"celery@{self.mark}-{number}", 1000 + number, skew_s)

    def _idle(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.busy is None]

    def _busy(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.busy is not None]

    def _start(self, worker: Worker) -> None:
        worker.busy = message = self.broker.pop(0)
        worker.began = self.clock.at
        self.truth[message.run_id].state = "started"
        self.truth[message.run_id].attempts.append("started")
        self._say(EventKind.STARTED, worker)

    def _end(self, worker: Worker, how: str) -> None:
        message = worker.busy
        assert message is not None
        if how == "retrying" and message.attempt == MAX_TRIES:
            how = "failed"
        truth = self.truth[message.run_id]
        truth.attempts[-1] = how
        truth.state = "queued" if how == "retrying" else how
        self.clock.advance(0.5)
        exception = None if how == "succeeded" else ExceptionInfo("ValueError", "no")
        self._say(EventKind(how), worker, exception=exception, duration_s=self.clock.at - worker.began)
        if how == "retrying":
            self.broker.append(Message(message.run_id, message.attempt + 1))
        worker.busy = None

    def _say(
        self,
        kind: EventKind,
        worker: Worker,
        exception: ExceptionInfo | None = None,
        duration_s: float | None = None,
    ) -> None:
        assert worker.busy is not None
        self._send(
            kind,
            worker.busy.run_id,
            attempt=worker.busy.attempt,
            execution=worker.execution,
            worker=worker.name,
            skew_s=worker.skew_s,
            exception=exception,
            duration_s=duration_s,
        )

    def _send(
        self,
        kind: EventKind,
        run_id: str,
        attempt: int | None = None,
        execution: str | None = None,
        worker: str = "",
        skew_s: float = 0.0,
        exception: ExceptionInfo | None = None,
        duration_s: float | None = None,
        reason: str = "",
    ) -> None:
        at = self.clock.at + skew_s
        event = TaskEvent(
            kind,
            run_id,
            at,
            task="t",
            service=self.mark,
            attempt=attempt,
            execution=execution,
            worker=worker,
            exception=exception,
            duration_s=duration_s,
            reason=reason,
        )
        self.channel.append(Sent(event, at))
        self.clock.advance(0.25)

    def _arrive(self, arriving: list[Sent]) -> None:
        for sent in arriving:
            sent.received_at = self.clock.at
            # A sender that has to wait sends later: the time that it gives is that of sending.
            sent.sent_at = sent.sent_at if sent in self.heard else self._sender_clock(sent)
        self._submit(arriving)
        self.heard += arriving

    def _sender_clock(self, sent: Sent) -> float:
        skew = next((w.skew_s for w in self.workers if w.name == sent.event.worker), None)
        if skew is None:
            skew = round((sent.event.at - self.clock.at) / 7200.0) * 7200.0
        return self.clock.at + skew

    def _submit(self, sent: list[Sent]) -> None:
        for one in sent:
            self.collector.submit([copy.deepcopy(one.event)], received_at=one.received_at, sent_at=one.sent_at)
        self.collector.run_once()
        self.views = None

    def _views(self) -> dict[str, RunView]:
        if self.views is None:
            self.views = self._read()
        return self.views

    def _read(self) -> dict[str, RunView]:
        found = {run_id: self.collector.store.runs.get(run_id) for run_id in getattr(self, "truth", {})}
        return {run_id: view(run) for run_id, run in found.items() if run is not None}


def _essence(seen: RunView) -> tuple[object, ...]:
    return seen.state, seen.evidence, seen.worker, [(a.state, a.worker, a.duplicate) for a in seen.attempts]


@pytest.fixture
def listening(collector: Collector, clock: SettableClock) -> type[World]:
    """Give a world that this test's collector listens to."""

    class Listened(World):
        pass

    Listened.collector = collector
    Listened.clock = clock
    return Listened


def test_whatever_the_channel_does_the_collector_says_nothing_false_and_in_the_end_all_that_was_said(
    listening: type[World],
) -> None:
    run_state_machine_as_test(
        listening,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=20,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
