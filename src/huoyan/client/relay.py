"""From the children of a worker that forks to its main process.

A child may be killed at any moment: revoked with `terminate`, over its hard time limit, out of memory; or it ends by
os._exit. What it reported must not die with it, so it goes at once into a socket whose other end is the main process,
which sends it to the server. One message is one event; a kill cannot tear it.

What is still inside the socket when the main process is killed as well would be gone with it. So each event is first
appended to a file that all of them share, which the main process empties when it has taken everything.
"""

import select
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from huoyan.client.guard import warn
from huoyan.client.reporter import Reporter
from huoyan.client.thread import start as start_thread
from huoyan.client.wire import decode_events, encode_event
from huoyan.model.event import EventKind, TaskEvent

if TYPE_CHECKING:
    from huoyan.client.spool import SharedSpool

_SEND_BUFFER_BYTES = 4 * 1024 * 1024
_MAX_MESSAGE_BYTES = 1024 * 1024
_BARRIER = b"!"
_EMPTY_AFTER_BYTES = 64 * 1024


class Relay:
    """A one-way channel over a fork. Open it in the main process, call `in_child` in each child."""

    def __init__(self) -> None:
        self._near: socket.socket | None = None
        self._far: socket.socket | None = None
        self._child = False
        self._thread: threading.Thread | None = None
        self._take: Callable[[TaskEvent], None] | None = None
        self._passed = threading.Condition()
        self._barriers = 0
        self._spool: SharedSpool | None = None

    def open(self, take: Callable[[TaskEvent], None], spool: "SharedSpool | None" = None) -> None:
        """Make the channel, in the main process before it forks.

        Args:
            take: Called in the main process with each event a child reports.
            spool: Keeps what is on its way for the case that all are killed; None: it would be gone.
        """
        if not hasattr(socket, "AF_UNIX"):
            return
        # One worker after another may run in a process: who opened it last is told what children report.
        self._take = take
        if spool is not None and self._spool is None:
            spool.open()
            self._spool = spool
        if self._near is not None:
            return
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        far.setblocking(False)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._near, self._far = near, far
        self._thread = threading.Thread(target=self._receive, args=(near,), name="huoyan-relay", daemon=True)
        start_thread(self._thread)

    def in_child(self) -> None:
        """Take the child's end, after the fork."""
        if self._far is None:
            return
        self._child = True
        self._thread = None
        if self._near is not None:
            self._near.close()
            self._near = None

    @property
    def active(self) -> bool:
        """Whether this process is a child that has a main process to report to."""
        return self._child

    def send(self, event: bytes) -> bool:
        """Send one encoded event without waiting; False when there is no room or nobody there.

        The main process may send as well: what it sends arrives behind everything its children sent before.
        """
        if self._far is None:
            return False
        if self._spool is not None and event != _BARRIER:
            self._spool.keep(event)
        try:
            self._far.send(event)
        except OSError:
            return False
        return True

    def drain(self, timeout_s: float = 1.0) -> None:
        """Wait until what children have sent so far was taken; at the end of the main process, when they are gone."""
        if self._near is None or self._child:
            return
        deadline = time.monotonic() + timeout_s
        with self._passed:
            target = self._barriers + 1
            while not self.send(_BARRIER):
                if time.monotonic() >= deadline:
                    return
                self._passed.wait(0.01)
            passed = self._passed.wait_for(lambda: self._barriers >= target, deadline - time.monotonic())
        if passed and self._spool is not None:
            self._spool.forget()
            self._spool.close()
            self._spool = None

    def _receive(self, near: socket.socket) -> None:
        taken_bytes = 0
        while True:
            try:
                data = near.recv(_MAX_MESSAGE_BYTES)
            except OSError:
                return
            if not data:
                return
            if data == _BARRIER:
                with self._passed:
                    self._barriers += 1
                    self._passed.notify_all()
                continue
            self._give(data)
            taken_bytes += len(data)
            if taken_bytes > _EMPTY_AFTER_BYTES and self._spool is not None and not select.select([near], [], [], 0)[0]:
                self._spool.forget()
                taken_bytes = 0

    def _give(self, data: bytes) -> None:
        try:
            assert self._take is not None
            for event in decode_events((data,)):
                self._take(event)
        except Exception as error:  # noqa: BLE001 - the thread must outlive every mistake
            warn("relay", "huoyan: an event of a child process could not be passed on", error=error)


class RelayedReporter(Reporter):
    """Reports through the main process when it is used in a child that the main process forked.

    Args:
        reporter: Where to report otherwise.
        relay: The channel.
        nodename: The name of the worker this process belongs to, where it has one.
    """

    __slots__ = ("_relay", "nodename")

    def __init__(self, reporter: Reporter, relay: Relay, nodename: str = "") -> None:
        super().__init__(reporter._client, reporter.framework, reporter.service, reporter.labels)
        self._relay = relay
        self.nodename = nodename

    @property
    def worker(self) -> str:
        """The name of the worker this process belongs to, or of the process when it is none."""
        return self.nodename or super().worker

    def emit(self, kind: EventKind, run_id: str, *, at: float | None = None, **fields: Any) -> None:
        """Report one fact, see `Reporter.emit`."""
        if not self._relay.active:
            super().emit(kind, run_id, at=at, **fields)
            return
        try:
            event = self.event(kind, run_id, at=at, **fields)
            # Without room in the channel it takes the slower way, through a buffer of this child's own.
            if not self._relay.send(encode_event(event)):
                self._client.record(event)
        except Exception as error:  # noqa: BLE001 - a report must never hurt what it reports
            warn("report", "huoyan: an event could not be recorded", error=error)

    def emit_behind_children(self, kind: EventKind, run_id: str, **fields: Any) -> bool:
        """Report one fact from the main process after all that its children have reported so far; False when there is
        no way."""
        try:
            return self._relay.send(encode_event(self.event(kind, run_id, **fields)))
        except Exception as error:  # noqa: BLE001
            warn("report", "huoyan: an event could not be recorded", error=error)
            return False

    def event(self, kind: EventKind, run_id: str, *, at: float | None = None, **fields: Any) -> TaskEvent:
        """Return the event that `emit` would report."""
        if self.labels:
            fields["labels"] = {**self.labels, **(fields.get("labels") or {})}
        fields.setdefault("service", self.service)
        fields.setdefault("framework", self.framework)
        return TaskEvent(kind=kind, run_id=run_id, at=self.clock.now() if at is None else at, **fields)

    def open_relay(self, take: Callable[[TaskEvent], None] | None = None) -> None:
        """Open the channel in the main process, before it forks.

        Args:
            take: Called with each event a child reports; records it by default.
        """
        emitter = self._client.emitter
        self._relay.open(take or self.take, emitter.shared_spool() if emitter is not None else None)

    def take(self, event: TaskEvent) -> None:
        """Record what a child reported."""
        self._client.record(event)
