"""What was lost is told as a gap, also by the heir of a process that was killed."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from huoyan.client.delivery import Answer, Receipt
from huoyan.client.emitter import Emitter
from huoyan.client.settings import Settings
from huoyan.client.spool import Spool
from huoyan.client.transport.memory import MemoryTransport
from huoyan.clock import SYSTEM_CLOCK
from huoyan.model.event import EventKind, TaskEvent
from tests.servers.waiting import wait_until
from tests.unit.client.emitting import Gate, event, ids, refuse, report


def speaks() -> tuple[str, list[str] | None]:
    return "w", ["r-running"]


def talking(
    emitters: list[Emitter], transport: MemoryTransport, spool: Spool | None = None, **settings: object
) -> Emitter:
    """Open one that tells gaps."""
    chosen = Settings(**{"flush_interval_s": 0.01, **settings})  # type: ignore[arg-type]
    emitter = Emitter(chosen, SYSTEM_CLOCK, transport, report, spool=spool, speaks=speaks)
    emitters.append(emitter)
    return emitter


def test_what_was_dropped_is_told_as_a_gap_until_the_server_has_it(emitters: list[Emitter]) -> None:
    transport = Gate()
    emitter = talking(emitters, transport, buffer_events=3)
    emitter.put(event("first"))
    assert transport.waiting.wait(10)
    for number in range(10):
        emitter.put(TaskEvent(EventKind.QUEUED, f"r{number}", 100.0 + number))
    transport.open.set()
    assert emitter.flush(10)
    (gap,) = transport.batches[1].gaps
    assert (gap.worker, gap.started_at, gap.ended_at, gap.events) == ("w", 100.0, 107.0, 8)
    # All that waited is said, so whatever is not named here has ended.
    assert gap.executing == ["r-running"]
    emitter.put(event("later"))
    assert emitter.flush(5)
    assert transport.batches[-1].gaps == []


def test_what_is_executed_is_only_told_when_everything_else_was(emitters: list[Emitter]) -> None:
    transport = Gate()
    emitter = talking(emitters, transport, buffer_events=20, batch_events=10)
    emitter.put(event("first"))
    assert transport.waiting.wait(5)
    for number in range(30):
        emitter.put(event(f"r{number}"))
    transport.open.set()
    assert emitter.flush(5)
    told = [(len(batch.events), batch.gaps[0].executing) for batch in transport.batches if batch.gaps]
    assert [executing for _, executing in told] == [None] * (len(told) - 1) + [["r-running"]]
    assert len(told) >= 2


def test_refused_events_are_a_gap_too(emitters: list[Emitter]) -> None:
    transport = MemoryTransport([Receipt(Answer.REFUSED, reason="401")])
    emitter = talking(emitters, transport)
    emitter.put(TaskEvent(EventKind.QUEUED, "r1", 50.0))
    assert emitter.flush(5)
    emitter.put(event("r2"))
    assert emitter.flush(5)
    assert [(gap.started_at, gap.ended_at, gap.events) for gap in transport.batches[-1].gaps] == [(50.0, 50.0, 1)]


@pytest.fixture
def killed_with(emitters: list[Emitter], monkeypatch: pytest.MonkeyPatch) -> Callable[[list[TaskEvent], Spool], None]:
    """Leave a file as a process does that is killed before it could send anything."""

    def leave(events: list[TaskEvent], spool: Spool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            emitter = talking(emitters, MemoryTransport(), spool, buffer_bytes=64 * 1024)
            for each in events:
                emitter.put(each)
        assert emitter.dropped == 0
        # Its descriptor goes, its file stays.
        spool.forked()

    return leave


def test_a_full_file_is_written_anew_in_less_room_and_its_heir_gets_everything(
    emitters: list[Emitter], tmp_path: Path, killed_with: Callable[[list[TaskEvent], Spool], None]
) -> None:
    killed_with([event(f"r{number}") for number in range(1000)], Spool(tmp_path, "http://one", 60_000))
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size <= 61_000 < 1000 * 70
    heir = MemoryTransport()
    other = talking(emitters, heir, Spool(tmp_path, "http://one", 60_000))
    other.ensure_started()
    wait_until(lambda: len(heir.events) >= 1000, 10)
    assert sorted(ids(heir.events)) == sorted(f"r{number}" for number in range(1000))
    assert [batch.gaps for batch in heir.batches if batch.gaps] == []


def test_a_file_that_is_full_all_the_same_says_since_when_it_is_not_whole(
    emitters: list[Emitter], tmp_path: Path, killed_with: Callable[[list[TaskEvent], Spool], None]
) -> None:
    events = [TaskEvent(EventKind.QUEUED, f"r{number}", 100.0 + number) for number in range(100)]
    killed_with(events, Spool(tmp_path, "http://one", 2_000))
    heir = MemoryTransport()
    other = talking(emitters, heir, Spool(tmp_path, "http://one", 2_000))
    other.ensure_started()
    wait_until(lambda: any(batch.gaps for batch in heir.batches), 10)
    assert other.flush(5)
    kept = len(heir.events)
    (gap,) = next(batch.gaps for batch in heir.batches if batch.gaps)
    assert 0 < kept < 100
    assert gap.started_at == 100.0 + kept
    assert gap.ended_at > 1_700_000_000  # Until it was found.
