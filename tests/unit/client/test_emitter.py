"""The emitter is bounded, sends in the background, keeps what the server cannot take yet, and counts what it drops."""

import os
import threading
import time

import pytest

from huoyan.client import emitter as emitting
from huoyan.client.delivery import Answer, Batch, Receipt
from huoyan.client.emitter import Emitter
from huoyan.client.examples import Examples
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from huoyan.clock import SYSTEM_CLOCK
from huoyan.model.event import EventKind, QueueReading, TaskEvent
from huoyan.model.schedule import ScheduleReport
from tests.servers.waiting import wait_until
from tests.unit.client.emitting import LATER, Away, Gate, event, ids, opened, refuse, report


def test_events_leave_by_themselves_in_order(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport)
    for number in range(50):
        emitter.put(event(f"r{number}"))
    wait_until(lambda: len(transport.events) == 50)
    assert ids(transport.events) == [f"r{number}" for number in range(50)]
    assert emitter.dropped == 0


def test_events_travel_together(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, flush_interval_s=0.2)
    for number in range(100):
        emitter.put(event(f"r{number}"))
    assert emitter.flush(5)
    assert len(transport.batches) <= 2


def test_a_full_batch_does_not_wait_for_the_interval(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, flush_interval_s=60, batch_events=10)
    emitter.put(event("first"))
    assert emitter.flush(5)
    for number in range(10):
        emitter.put(event(f"r{number}"))
    wait_until(lambda: len(transport.events) == 11, 5)


def test_batches_are_no_larger_than_set(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, flush_interval_s=60, batch_events=7)
    for number in range(50):
        emitter.put(event(f"r{number}"))
    assert emitter.flush(5)
    assert max(len(batch.events) for batch in transport.batches) <= 7
    assert len(transport.events) == 50


def test_flush_waits_for_what_was_put_before_it(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, flush_interval_s=60)
    emitter.put(event("r1"))
    assert emitter.flush(5)
    assert ids(transport.events) == ["r1"]


def test_flush_gives_up_at_its_deadline(emitters: list[Emitter]) -> None:
    transport = Gate()
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    assert transport.waiting.wait(5)
    assert not emitter.flush(0.05)
    transport.open.set()
    assert emitter.flush(5)


def test_put_never_waits_for_the_transport(emitters: list[Emitter]) -> None:
    transport = Gate()
    emitter = opened(emitters, transport, buffer_events=100)
    emitter.put(event("first"))
    assert transport.waiting.wait(5)
    started = time.perf_counter()
    for number in range(1000):
        emitter.put(event(f"r{number}"))
    assert time.perf_counter() - started < 1
    assert emitter.dropped == 1001 - 100
    transport.open.set()
    assert emitter.flush(5)
    assert ids(transport.events) == ["first", *(f"r{number}" for number in range(901, 1000))]


def test_the_buffer_is_bounded_in_bytes_too(emitters: list[Emitter]) -> None:
    transport = Gate()
    emitter = opened(emitters, transport, buffer_bytes=64 * 1024)
    emitter.put(event("first"))
    assert transport.waiting.wait(5)
    for number in range(100):
        # Bytes that cannot be packed into less than three quarters.
        noise = os.urandom(7_500).hex()[:10_000]
        emitter.put(TaskEvent(EventKind.QUEUED, f"r{number}", 1.0, args=[noise]))
    transport.open.set()
    assert emitter.flush(5)
    left = ids(transport.events)
    assert left == ["first", *(f"r{number}" for number in range(101 - len(left), 100))]
    assert 6 <= len(left) <= 14
    assert emitter.dropped == 101 - len(left)


def test_an_event_too_large_for_any_server_is_dropped_alone(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport)
    emitter.put(event("huge", size=2 * 1024 * 1024))
    emitter.put(event("small"))
    assert emitter.flush(5)
    assert ids(transport.events) == ["small"]
    assert emitter.dropped == 1


def test_what_the_server_cannot_take_now_is_sent_later_in_order(emitters: list[Emitter]) -> None:
    transport = Away()
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    wait_until(lambda: transport.tries >= 1)
    emitter.put(event("r2"))
    transport.away = False
    wait_until(lambda: len(transport.events) == 2, 5)
    assert ids(transport.events) == ["r1", "r2"]
    assert emitter.dropped == 0


def test_refused_events_are_dropped_and_counted_and_the_next_ones_go_on(
    emitters: list[Emitter], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huoyan.client.guard._last_told_at", {})
    transport = MemoryTransport([Receipt(Answer.REFUSED, reason="401 Unauthorized: wrong token")])
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    assert emitter.flush(5)
    emitter.put(event("r2"))
    assert emitter.flush(5)
    assert ids(transport.events) == ["r2"]
    assert emitter.dropped == 1
    assert "wrong token" in caplog.text


def test_a_batch_too_large_is_sent_in_parts(emitters: list[Emitter]) -> None:
    transport = MemoryTransport([Receipt(Answer.TOO_LARGE), Receipt(Answer.TOO_LARGE)])
    emitter = opened(emitters, transport, flush_interval_s=60)
    for number in range(8):
        emitter.put(event(f"r{number}"))
    assert emitter.flush(5)
    assert ids(transport.events) == [f"r{number}" for number in range(8)]
    assert emitter.dropped == 0


def test_a_single_event_too_large_for_the_server_is_dropped(emitters: list[Emitter]) -> None:
    transport = MemoryTransport([Receipt(Answer.TOO_LARGE)])
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    assert emitter.flush(5)
    assert (transport.events, emitter.dropped) == ([], 1)


def test_events_that_the_server_rejects_count_as_dropped(emitters: list[Emitter]) -> None:
    transport = MemoryTransport([Receipt(Answer.STORED, rejected=2, reason="events[0].at: expected a time")])
    emitter = opened(emitters, transport, flush_interval_s=60)
    for number in range(3):
        emitter.put(event(f"r{number}"))
    assert emitter.flush(5)
    assert emitter.dropped == 2


def test_a_transport_that_raises_is_left_alone_for_long(emitters: list[Emitter]) -> None:
    class Broken(Away):
        def send(self, batch: Batch, timeout_s: float) -> Receipt:
            super().send(batch, timeout_s)
            if self.tries < 3:
                raise RuntimeError("a mistake")
            return super().send(batch, timeout_s)

    transport = Broken()
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    wait_until(lambda: bool(emitter._backoff))
    assert not emitter.flush(0.2)
    assert transport.tries == 1
    transport.tries = 3


def test_a_transport_that_raises_does_not_end_the_thread(
    emitters: list[Emitter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huoyan.client.emitter.LONGEST_S", 0.05)

    class Broken(MemoryTransport):
        raised = 0

        def send(self, batch: Batch, timeout_s: float) -> Receipt:
            if self.raised < 2:
                self.raised += 1
                raise RuntimeError("a mistake")
            return super().send(batch, timeout_s)

    transport = Broken()
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    wait_until(lambda: ids(transport.events) == ["r1"], 5)


def test_the_process_reports_at_its_interval_without_any_event(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, report, report_interval_s=0.5)
    emitter.ensure_started()
    wait_until(lambda: len(transport.reports) >= 3, 5)
    assert transport.events == []
    assert {(each.worker, each.closing) for each in transport.reports} == {("w", False)}


def test_reports_say_how_many_events_were_dropped(emitters: list[Emitter]) -> None:
    transport = Gate()
    emitter = opened(emitters, transport, report, buffer_events=10)
    emitter.put(event("first"))
    assert transport.waiting.wait(5)
    for number in range(20):
        emitter.put(event(f"r{number}"))
    transport.open.set()
    assert emitter.flush(5)
    assert transport.reports[-1].dropped == 11 == emitter.dropped


def test_closing_sends_the_rest_and_says_goodbye(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, report, flush_interval_s=60, batch_events=10)
    for number in range(35):
        emitter.put(event(f"r{number}"))
    assert emitter.close(5)
    assert len(transport.events) == 35
    assert [each.closing for each in transport.reports] == [False, False, False, True]


def test_closing_a_process_that_said_nothing_says_nothing(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, report)
    assert emitter.close(5)
    assert transport.batches == []


def test_closing_is_not_held_up_by_a_server_that_is_away(emitters: list[Emitter]) -> None:
    transport = Away()
    emitter = opened(emitters, transport, flush_interval_s=60)
    for number in range(5):
        emitter.put(event(f"r{number}"))
    started = time.perf_counter()
    assert not emitter.close(2)
    assert time.perf_counter() - started < 1
    assert emitter.dropped == 5
    assert transport.tries == 1


def test_closing_ends_at_its_deadline_when_the_server_hangs(emitters: list[Emitter]) -> None:
    transport = Gate()
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    assert transport.waiting.wait(5)
    started = time.perf_counter()
    assert not emitter.close(0.2)
    assert time.perf_counter() - started < 1
    transport.open.set()


def test_only_the_newest_reading_of_a_queue_is_sent(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, flush_interval_s=60)
    for depth in range(5):
        emitter.put_queue(QueueReading("mail", depth, float(depth), "s"))
    emitter.put_queue(QueueReading("high", 9, 1.0, "s"))
    assert emitter.flush(5)
    assert {(each.queue, each.depth) for each in transport.queues} == {("mail", 4), ("high", 9)}


def test_queue_readings_survive_a_failed_try(emitters: list[Emitter]) -> None:
    transport = MemoryTransport([LATER])
    emitter = opened(emitters, transport)
    emitter.put_queue(QueueReading("mail", 4, 1.0))
    wait_until(lambda: len(transport.queues) == 1, 5)


def test_a_child_process_neither_sends_nor_counts_what_its_parent_holds(
    emitters: list[Emitter], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The parent's thread does not exist in a child.
    monkeypatch.setattr(threading.Thread, "start", refuse)
    transport = MemoryTransport()
    emitter = opened(emitters, transport, flush_interval_s=60, buffer_events=3)
    for number in range(5):
        emitter.put(event(f"parent{number}"))
    emitter.forked()
    emitter.put(event("child"))
    assert emitter.flush(5)
    assert ids(transport.events) == ["child"]
    assert emitter.dropped == 0


def test_many_threads_lose_nothing(emitters: list[Emitter]) -> None:
    transport = MemoryTransport()
    emitter = opened(emitters, transport, buffer_events=100_000)

    def work(name: int) -> None:
        for number in range(500):
            emitter.put(event(f"{name}-{number}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert emitter.flush(10)
    assert len(set(ids(transport.events))) == 8 * 500
    assert emitter.dropped == 0


def test_put_inside_put_of_the_same_thread_does_not_hang(emitters: list[Emitter]) -> None:
    """A signal handler or a finalizer of the host may report while the lock is held."""
    transport = MemoryTransport()
    emitter = opened(emitters, transport)
    with emitter._lock:
        emitter.put(event("inner"))
    assert emitter.flush(5)
    assert ids(transport.events) == ["inner"]


def test_without_threads_flush_and_close_still_send(emitters: list[Emitter], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", refuse)
    transport = MemoryTransport()
    emitter = opened(emitters, transport)
    emitter.put(event("r1"))
    assert emitter.flush(5)
    emitter.put(event("r2"))
    assert emitter.close(5)
    assert ids(transport.events) == ["r1", "r2"]


def test_after_a_goodbye_the_thread_does_not_say_hello_again_at_once(emitters: list[Emitter]) -> None:
    for _ in range(20):
        transport = MemoryTransport()
        emitter = opened(emitters, transport, report, report_interval_s=60)
        for number in range(3):
            emitter.put(event(f"r{number}"))
        assert emitter.flush(5, closing=True)
        with emitter._sending:
            assert [each.closing for each in transport.reports][-1] is True
        assert emitter.flush(5)
        assert transport.reports[-1].closing is True


class _Slow:
    """Time that passes when it is told to, for what happens once a minute."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def test_only_the_newest_of_each_schedule_is_told_again_when_the_server_was_away_and_every_minute() -> None:
    clock, transport = _Slow(), MemoryTransport([LATER])
    emitter = Emitter(Settings(), clock, transport, report)
    emitter._thread = threading.current_thread()
    emitter.put_schedule(ScheduleReport(id="a", next_due_at=1.0, at=1.0))
    emitter.put_schedule(ScheduleReport(id="a", next_due_at=2.0, at=2.0))
    emitter.put_schedule(ScheduleReport(id="b", enabled=False, at=2.0))
    assert not emitter._send_one(1.0)
    assert transport.schedules == []
    assert emitter._send_one(1.0)
    assert {(one.id, one.next_due_at) for one in transport.schedules} == {("a", 2.0), ("b", None)}
    clock.at += 30
    emitter._send_one(1.0)
    assert len(transport.schedules) == 2
    clock.at += 31
    emitter._send_one(1.0)
    assert [one.id for one in transport.schedules[2:]] == ["a"]


def test_examples_do_not_wait_for_the_next_report(emitters: list[Emitter], monkeypatch: pytest.MonkeyPatch) -> None:
    """A request wakes nobody, so the sending thread has to look, or what is slow is known 10 seconds later."""
    monkeypatch.setattr(emitting, "_EXAMPLES_EVERY_S", 0.05)
    transport, examples = MemoryTransport(), Examples()
    settings = Settings(flush_interval_s=0.01, report_interval_s=600.0)
    emitter = Emitter(settings, SYSTEM_CLOCK, transport, report, examples=lambda: examples)
    emitters.append(emitter)
    emitter.put(event("first"))
    wait_until(lambda: transport.reports, 60, "the first report")
    kept = examples.of("GET", "/orders")
    kept.seen += 1
    examples.keep(kept, 200, 1.0, 0.5, None)
    wait_until(lambda: any(batch.examples for batch in transport.batches), 60, "the example")
