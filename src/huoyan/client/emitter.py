"""The bounded buffer between tasks and the server, and the thread that empties it."""

import sys
import threading
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING

from huoyan.client.backoff import LONGEST_S, Backoff
from huoyan.client.buffer import Buffer, Given
from huoyan.client.delivery import Answer, Batch, Receipt, Transport
from huoyan.client.examples import Examples
from huoyan.client.guard import warn
from huoyan.client.losses import Losses
from huoyan.client.outbox import Outbox
from huoyan.client.readings import Readings
from huoyan.client.settings import Settings
from huoyan.client.thread import start as start_thread
from huoyan.client.wire import encode_event
from huoyan.clock import Clock
from huoyan.model.event import ProcessReport, QueueReading, TaskEvent
from huoyan.model.example import Example
from huoyan.model.schedule import ScheduleReport

if TYPE_CHECKING:
    from huoyan.client.spool import Orphan, SharedSpool, Spool

_BATCH_BYTES = 1024 * 1024
_EVENT_BYTES = 1024 * 1024
_FIRST_REPORT_S = 1.0
_ADOPT_EVERY_S = 10.0
_EXAMPLES_EVERY_S = 3.0
_MOST_EXAMPLES = 1000


class Emitter:
    """Takes events from any thread and sends them in batches from one of its own.

    `put` costs an encoding and an append, and while much waits a few microseconds more to pack it. What does not fit is
    dropped by its worth, counted, and told as a gap.

    Args:
        settings: Bounds and intervals.
        clock: Monotonic time for intervals.
        transport: Where batches go.
        report: Returns what the process says of itself, or None when it does not report. Its arguments: how many events
            were dropped so far, and whether the process closes.
        spool: Keeps what waits for the case that the process is killed; None: memory alone does.
        examples: Returns where requests are kept that are sent as examples; None: there are none.
        outbox: Keeps what the process measures until it is taken; None: nothing is measured.
        speaks: Returns the name that events carry in `worker`, and all runs that are executed, None when this process
            does not know all of them.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        transport: Transport,
        report: Callable[[int, bool], ProcessReport | None],
        outbox: Outbox | None = None,
        spool: "Spool | None" = None,
        examples: Callable[[], Examples] | None = None,
        speaks: Callable[[], tuple[str, list[str] | None]] | None = None,
    ) -> None:
        self._speaks = speaks
        self._examples = examples
        self._outbox = outbox
        self._spool = spool
        self._settings = settings
        self._clock = clock
        self._transport = transport
        self._report = report
        self._largest_bytes = min(_EVENT_BYTES, settings.buffer_bytes)
        self._fresh()

    def _fresh(self) -> None:
        # Reentrant, because a signal handler or a finalizer of the host may report while `put` holds it.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._sending = threading.Lock()
        self._buffer = Buffer(self._settings.buffer_events, self._settings.buffer_bytes)
        self._losses = Losses(self._speaks)
        self._readings = Readings()
        self._backoff = Backoff()
        self._pending: Batch | None = None
        self._taken_in = 0
        self._settled = 0
        self._urgent = False
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._report_at = 0.0
        self._first_at: float | None = None
        self._examples_at = self._clock.monotonic()
        self._said_anything = False

    @property
    def dropped(self) -> int:
        """Events lost for good: the buffer was full, the server refused them, or the process ended first."""
        return self._losses.dropped

    def put(self, event: TaskEvent) -> None:
        """Take one event. Never blocks on the network, never waits for room."""
        encoded = encode_event(event)
        with self._lock:
            self._taken_in += 1
            if len(encoded) > self._largest_bytes:
                self._drop([encoded], "an event of %d bytes is too large", len(encoded))
                return
            buffer = self._buffer
            crowded = buffer.append(encoded)
            if self._spool is not None and not self._spool.keep(encoded):
                self._keep_packed(encoded)
            if crowded:
                self._make_room()
            if self._first_at is None or buffer.count == self._settings.batch_events:
                self._first_at = self._first_at or self._clock.monotonic()
                self._changed.notify_all()
            if self._thread is None:
                self._start()

    def put_queue(self, reading: QueueReading) -> None:
        """Take a queue reading; only the newest of each queue is sent."""
        with self._lock:
            self._readings.put_queue(reading)
            self._wake()

    def put_schedule(self, report: ScheduleReport) -> None:
        """Take what is new about a schedule. All that are kept are told again every minute, for a server that was
        started meanwhile or forgot them."""
        with self._lock:
            if self._readings.put_schedule(report):
                self._wake()

    def _wake(self) -> None:
        if self._first_at is None:
            self._first_at = self._clock.monotonic()
            self._changed.notify_all()
        if self._thread is None:
            self._start()

    def ensure_started(self) -> None:
        """Start reporting, if this process does not yet (again after a fork)."""
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._start()

    def flush(self, timeout_s: float, *, closing: bool = False) -> bool:
        """Wait until everything taken in so far has left.

        Args:
            timeout_s: How long to wait at most, in seconds.
            closing: Say that this process is about to end.

        Returns:
            Whether everything was settled in time.
        """
        deadline = self._clock.monotonic() + timeout_s
        self._freeze()
        with self._lock:
            target = self._taken_in
            if self._settled >= target and not self._waiting() and not closing:
                return True
            thread = self._thread
            alive = thread is not None and thread.is_alive() and thread is not threading.current_thread()
            if self._settled < target or self._waiting():
                self._urgent = True
                self._changed.notify_all()
            while alive and (self._settled < target or self._waiting()):
                left = deadline - self._clock.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return False
        if alive and not closing:
            return True
        return self._drain(deadline, closing=closing)

    def close(self, timeout_s: float) -> bool:
        """Send what waits and the last report, then stop the thread. Returns whether nothing was lost.

        A server that does not answer gets one try, so that ending the process is never held up by it.
        """
        deadline = self._clock.monotonic() + timeout_s
        self._freeze()
        with self._lock:
            if not self._said_anything and not self._buffer and self._pending is None and not self._waiting():
                self._stopping = True
                self._changed.notify_all()
                return True
            self._stopping = True
            self._changed.notify_all()
        done = self._drain(deadline, closing=True)
        with self._lock:
            left = len(self._buffer) + self._pending_count()
            if left and self._spool is not None and self._spool.keeping:
                # Not lost: the next process on this machine sends it.
                self._settled += left
                self._buffer.clear()
                self._pending = None
            elif left:
                events = [*(self._pending.events if self._pending is not None else ()), *self._buffer.clear()]
                self._drop(events, "the process ended before the server took them (%s)", self._settings.url)
                self._pending = None
                # Nobody hears it from here; a process that speaks for this one may.
                self._report(self.dropped, True)
            if self._spool is not None:
                self._spool.close()
        self._transport.close()
        return done

    def forked(self) -> None:
        """Start afresh in a child process: what waits here belongs to the parent, which sends it."""
        self._fresh()
        if self._spool is not None:
            self._spool.forked()
        self._transport.forget()

    @property
    def has_heritage(self) -> bool:
        """Whether a process that is gone has left something to send."""
        return self._spool is not None and self._spool.abandoned()

    def shared_spool(self) -> "SharedSpool | None":
        """Return a file like this one's own, for a process and the children it forks; None when nothing is kept."""
        return self._spool.shared() if self._spool is not None else None

    def _waiting(self) -> bool:
        """Whether anything but events waits to be told."""
        return bool(self._readings or (self._outbox is not None and self._outbox.waiting))

    def _freeze(self) -> None:
        if self._outbox is not None:
            self._outbox.freeze()

    def _pending_count(self) -> int:
        return len(self._pending.events) if self._pending is not None else 0

    def _drop(self, events: Iterable[bytes], why: str, detail: object, count: int | None = None) -> None:
        """Count events as lost; `count` of them where it is not known which."""
        given = Given()
        given.lose(events)
        if count is not None:
            given.lost = count
        else:
            self._settled += given.lost
        self._losses.book(given, why, detail)

    def _make_room(self) -> None:
        given = self._buffer.make_room()
        self._settled += given.lost + given.thinned
        if given.lost:
            self._losses.book(given, "the buffer is full, %d still wait", len(self._buffer))
        elif given.thinned:
            warn("thinned", "huoyan: only how runs ended is kept, the server is away and the buffer is full")

    def _keep_packed(self, encoded: bytes) -> None:
        """Write what waits into the spool anew, in the form in which it takes less room."""
        assert self._spool is not None
        waiting = self._pending.events if self._pending is not None else []
        size = sum(map(len, waiting)) + self._buffer.size_bytes
        if not self._spool.rewrite(size, chain(waiting, self._buffer.pieces(), self._losses.gaps)):
            gap = self._losses.beginning_with(encoded)
            if gap is not None:
                self._spool.overflow(gap)

    def _start(self) -> None:
        if self._stopping or sys.is_finalizing():
            return
        thread = threading.Thread(target=self._run, name="huoyan-emitter", daemon=True)
        self._thread = thread
        self._report_at = self._clock.monotonic() + min(self._settings.flush_interval_s, _FIRST_REPORT_S)
        try:
            start_thread(thread)
        except RuntimeError as error:
            # Too late in the life of the interpreter, or no more threads: `flush` and `close` send from their own
            # thread.
            self._thread = None
            self._stopping = sys.is_finalizing()
            warn("thread", "huoyan: the sending thread could not start: %s", error)

    def _run(self) -> None:
        adopted_at: float | None = None
        while True:
            if adopted_at is None or self._clock.monotonic() - adopted_at >= _ADOPT_EVERY_S:
                adopted_at = self._clock.monotonic()
                self._adopt()
            with self._lock:
                wait_s = self._wait_s()
                if wait_s > 0 and not self._stopping:
                    # To keep an example wakes nobody, so that a request costs less: it has to be looked for.
                    self._changed.wait(wait_s if self._examples is None else min(wait_s, _EXAMPLES_EVERY_S))
                if self._stopping:
                    return
                if self._wait_s() > 0:
                    continue
            try:
                with self._sending:
                    if self._is_due():
                        self._send_one(self._settings.timeout_s)
            except Exception as error:  # noqa: BLE001 - the thread must outlive every mistake
                warn("send", "huoyan: sending failed", error=error)
                with self._lock:
                    self._backoff.fail(self._clock.monotonic(), at_least_s=LONGEST_S)

    def _adopt(self) -> None:
        """Take over what processes that were killed could not send any more."""
        if self._spool is None:
            return
        try:
            orphans = self._spool.orphans()
            for orphan in orphans:
                with self._lock:
                    if self._buffer and not self._buffer.has_room(orphan.count):
                        # The file stays where it is until there is room.
                        orphans.close()
                        return
                    self._adopt_one(orphan)
        except Exception as error:  # noqa: BLE001 - the thread must outlive every mistake
            warn("adopt", "huoyan: events of another process could not be taken over", error=error)

    def _adopt_one(self, orphan: "Orphan") -> None:
        self._taken_in += orphan.hand_over(self._buffer, self._losses, self._clock.now())
        self._make_room()
        if self._spool is not None:
            self._spool.keep_orphan(orphan)
        if self._first_at is None and (self._buffer or self._losses):
            self._first_at = self._clock.monotonic()

    def _wait_s(self) -> float:
        """Work out how long nothing has to be done, in seconds."""
        now = self._clock.monotonic()
        if self._backoff:
            return self._backoff.until - now
        if self._urgent or self._pending is not None or len(self._buffer) >= self._settings.batch_events:
            return 0.0
        due = self._report_at
        if self._first_at is not None:
            due = min(due, self._first_at + self._settings.flush_interval_s)
        if self._examples is not None and self._examples().waiting:
            due = min(due, self._examples_at + _EXAMPLES_EVERY_S)
        return due - now

    def _is_due(self) -> bool:
        """Look again: another thread may have sent everything meanwhile, and even said goodbye."""
        with self._lock:
            return not self._stopping and self._wait_s() <= 0

    def _send_one(self, timeout_s: float, *, closing: bool = False) -> bool:
        """Send one batch; return False when the server would not take it now."""
        outbox = self._outbox
        if outbox is not None and outbox.due(self._settings.report_interval_s):
            outbox.freeze()
        with self._lock:
            batch = self._pending or self._take()
            batch.process = self._report(self.dropped, closing)
            batch.queues = self._readings.take_queues() or batch.queues
            batch.schedules = self._readings.take_schedules(self._clock.monotonic(), again=batch.process is not None)
            batch.gaps = self._losses.to_tell(last=not self._buffer)
            # Behind all that they said.
            batch.gone = self._losses.gone if not self._buffer else []
            if self._examples is not None and not batch.examples:
                batch.examples = self._take_examples()
            # Frames stay in the outbox, and what is in it is what is sent, whatever batch they go with.
            batch.measurements = outbox.take() if outbox is not None else []
            told = (
                batch.events,
                batch.queues,
                batch.schedules,
                batch.measurements,
                batch.examples,
                batch.gaps,
                batch.gone,
            )
            if not any(told) and batch.process is None:
                self._urgent = False
                self._first_at = None
                self._report_at = self._clock.monotonic() + self._settings.report_interval_s
                self._changed.notify_all()
                return True
            self._pending = batch
        receipt = self._transport.send(batch, timeout_s)
        with self._lock:
            return self._settle(batch, receipt)

    def _take_examples(self) -> list[Example]:
        now = self._clock.monotonic()
        if self._examples is None or now - self._examples_at < 0.9 * _EXAMPLES_EVERY_S:
            return []
        self._examples_at = now
        return self._examples().take()[:_MOST_EXAMPLES]

    def _take(self) -> Batch:
        events = self._buffer.take(self._settings.batch_events, _BATCH_BYTES)
        self._first_at = self._clock.monotonic() if self._buffer else None
        return Batch(events)

    def _settle(self, batch: Batch, receipt: Receipt) -> bool:
        """Book the answer to a batch; return False when it has to be tried again later."""
        now = self._clock.monotonic()
        count = len(batch.events)
        if receipt.answer is Answer.LATER:
            self._backoff.fail(now, receipt.retry_after_s or 0.0)
            warn("later", "huoyan: events wait, the server does not take them: %s", receipt.reason)
            self._readings.put_back(batch)
            if not count:
                self._pending = None
            return False
        if receipt.answer is not Answer.TOO_LARGE or count <= 1:
            self._settle_measurements(batch)
        if receipt.answer is Answer.TOO_LARGE and count > 1:
            half = count // 2
            self._buffer.put_back(batch.events[half:])
            self._pending = Batch(batch.events[:half])
            self._readings.put_back(batch)
            return True
        self._pending = None
        self._buffer.settle()
        self._backoff.end()
        self._report_at = now + self._settings.report_interval_s
        self._said_anything = True
        if receipt.answer is Answer.STORED:
            self._settled += count
            self._losses.told(0 if self._buffer else len(batch.gaps), len(batch.gone))
            if receipt.rejected:
                self._drop(batch.events, "the server rejected some: %s", receipt.reason, receipt.rejected)
        elif count:
            self._drop(batch.events, "the server refuses them: %s", receipt.reason)
        else:
            warn("refused", "huoyan: the server refuses reports: %s", receipt.reason)
        if not self._buffer and not self._waiting():
            self._urgent = False
        if count and self._spool is not None:
            self._spool.sent(len(self._buffer), self._buffer.size_bytes, self._buffer.pieces)
        self._changed.notify_all()
        return True

    def _settle_measurements(self, batch: Batch) -> None:
        if batch.measurements and self._outbox is not None:
            self._outbox.settle(batch.measurements[-1][0])
        batch.measurements = []

    def _drain(self, deadline: float, *, closing: bool) -> bool:
        """Send everything from the calling thread until `deadline`; give up at the first failure."""
        left = deadline - self._clock.monotonic()
        if not self._sending.acquire(timeout=max(left, 0.0)):
            return False
        try:
            while True:
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return False
                with self._lock:
                    last = self._pending_count() + len(self._buffer) <= self._settings.batch_events
                if not self._send_one(min(left, self._settings.timeout_s), closing=closing and last):
                    return False
                with self._lock:
                    waits = self._outbox is not None and self._outbox.waiting
                    if self._pending is None and not self._buffer and not waits and (last or not closing):
                        return True
        finally:
            self._sending.release()
