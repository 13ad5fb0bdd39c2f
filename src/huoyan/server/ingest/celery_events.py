"""Watching a Celery deployment through the events its workers send over the broker, with no change to its code.

    broker ──► reading thread ──► Handover (memory, then disk) ──► translating thread ──► Collector
                                                                        │
    broker ◄── control thread: please send events; queues, depths ◄─────┘ new workers, queues

The reading thread waits for nobody: Redis drops a subscriber that reads too slowly. A cut is noted as a gap, because
what happened meanwhile was never heard.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import HuoyanError, InvalidEvent
from huoyan.model.event import QueueReading, TaskEvent
from huoyan.model.scrubbing import TextScrubber
from huoyan.server.collect.pipeline import Collector
from huoyan.server.ingest.celery_address import parse_address
from huoyan.server.ingest.celery_connection import kombu_connection
from huoyan.server.ingest.celery_control import CeleryControl
from huoyan.server.ingest.celery_depths import AmqpDepths, Depths, RedisDepths
from huoyan.server.ingest.celery_doubts import CeleryDoubts
from huoyan.server.ingest.celery_holdings import CeleryHoldings
from huoyan.server.ingest.celery_presence import CeleryPresence
from huoyan.server.ingest.celery_results import CeleryResults
from huoyan.server.ingest.celery_stream_amqp import AmqpEventStream
from huoyan.server.ingest.celery_stream_redis import RedisEventStream, RedisMessages
from huoyan.server.ingest.celery_translate import FRAMEWORK, SOURCE, Translator, seconds
from huoyan.server.ingest.celery_wire import JSON, decode_body, decode_envelope
from huoyan.server.ingest.celery_workers import CeleryWorkers
from huoyan.server.ingest.complaints import Complaints
from huoyan.server.ingest.feed import Feed
from huoyan.server.ingest.handover import Handover, Item
from huoyan.server.ingest.rabbitmq_management import RabbitmqManagement

logger = logging.getLogger(__name__)

BATCH_EVENTS = 2_000
POLL_S = 0.2
DRAIN_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class IngestStatus:
    """How the ingest of one broker is doing; times in seconds since 1970 UTC.

    Args:
        source: The broker, without its password; names the gaps in the store.
        connected: Whether events can be heard now.
        events: Events read since the start.
        malformed: Messages and events that could not be read or made no sense.
        refused: Messages of another content type than JSON, which are not opened.
        lost: Events that could not be stored.
        last_event_at: When the last event was read.
        lag_s: How long the event that is worked on has been waiting since it was read.
        backlog_bytes: What was read and not yet worked on.
        error: Why it is not connected, or why the broker could not be asked last time; empty when all is well.
    """

    source: str
    connected: bool
    events: int
    malformed: int
    refused: int
    lost: int
    last_event_at: float | None
    lag_s: float
    backlog_bytes: int
    error: str


class _Stream(Protocol):
    behind: bool

    def start(self) -> None: ...

    def stop(self, timeout_s: float = 5.0) -> None: ...


class CeleryEventIngest:
    """Reads the events of one broker into the collector until stopped.

    Args:
        url: Address of the broker, as Celery takes it; see `parse_address`.
        collector: Where runs are made of events.
        service: Name for runs that carry none themselves (default: the framework is shown).
        clock: Time.
        spool: File that takes what the collector is too slow for; None keeps it in memory, and bounded.
        enable_events: Ask workers to send events (default True).
        depths_every_s: How often queue depths are read, in seconds (default 5).

    Raises:
        ConfigurationError: The address is wrong.
    """

    def __init__(
        self,
        url: str,
        collector: Collector,
        *,
        service: str = "",
        clock: Clock = SYSTEM_CLOCK,
        spool: Path | None = None,
        enable_events: bool = True,
        depths_every_s: float = 5.0,
        handover: Handover | None = None,
    ) -> None:
        self._address = parse_address(url)
        self._collector = collector
        self._service = service
        self._clock = clock
        self.source = f"celery {self._address.shown}"
        self._handover = handover if handover is not None else Handover(spool)
        self._translator = Translator(service, scrub=TextScrubber().scrub_text)
        self._redis = RedisMessages() if self._address.kind == "redis" else None
        self._stopping = threading.Event()
        self._complaints = Complaints(logger, self.source, clock)
        self._feed = Feed(collector, self.source, SOURCE, clock, self._complaints, self._stopping.is_set)
        self._stream = self._make_stream()
        self._control = CeleryControl(
            self._address,
            clock,
            self._make_depths(),
            depths_every_s=depths_every_s,
            enable_events=enable_events,
            on_queues=self._heard_queues,
            on_depths=self._read_depths,
            on_error=self._control_failed,
        )
        self._thread = threading.Thread(target=self._run, name="huoyan-celery-events", daemon=True)
        self._lock = threading.Lock()
        self._connected = False
        self._stream_error = ""
        self._control_error = ""
        self._events = 0
        self._malformed = 0
        self._refused = 0
        self._last_event_at: float | None = None
        self._working_since: float | None = None
        self._workers = CeleryWorkers(
            self._translator,
            self._feed,
            held_back=self._redis is None,
            on_new=self._control.worker_appeared,
            on_doubt=self._doubt,
        )
        self._doubts: CeleryDoubts | None = None
        self._queues: set[str] = set()

    def start(self) -> None:
        """Start reading. Returns at once; a broker that is away is tried again and again."""
        if self._address.tls is not None:
            # TLS hands the reading thread 16 kB at a time, and after each it has to get the interpreter lock back.
            sys.setswitchinterval(min(sys.getswitchinterval(), 0.001))
        self._thread.start()
        self._stream.start()
        self._control.start()

    def stop(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Stop reading, hand over what was read for at most `timeout_s`, and count the rest as lost."""
        self._control.stop()
        self._stream.stop()
        self._stopping.set()
        self._handover.close()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        left = self._handover.backlog_bytes
        if left:
            logger.warning("%s: %d bytes of events were read and not stored in time", self.source, left)
        self._handover.discard()

    def holdings(self, result_url: str | None = None, management_url: str | None = None) -> CeleryHoldings:
        """Return what tells what this broker and its workers hold.

        Args:
            result_url: Address of the result backend; None: it is not asked.
            management_url: Address of RabbitMQ's management API, or `auto`; None: it is not asked.
        """
        results = None if result_url is None else CeleryResults(result_url)
        management = None if management_url is None else RabbitmqManagement(management_url, self._address)
        return CeleryHoldings(
            self._address,
            self.source,
            self._service,
            self._clock,
            lambda: list(self._control.queues),
            results,
            management,
        )

    def doubts(self, result_url: str | None = None) -> CeleryDoubts:
        """Return the service that asks workers of which something may not have been heard.

        Args:
            result_url: Address of the result backend; None: it is not asked.
        """
        broker = self.holdings(result_url)
        self._doubts = CeleryDoubts(self._collector.store, broker, self._collector.take, self._clock)
        return self._doubts

    def presence(self) -> CeleryPresence | None:
        """Return the service that asks who is connected, None where the broker cannot tell."""
        return CeleryPresence(self._address, FRAMEWORK, self._collector) if self._address.kind == "amqp" else None

    def status(self) -> IngestStatus:
        """Return how it is doing."""
        with self._lock:
            since = self._working_since
            return IngestStatus(
                source=self.source,
                connected=self._connected,
                events=self._events,
                malformed=self._malformed + self._feed.rejected,
                refused=self._refused,
                lost=self._feed.lost,
                last_event_at=self._last_event_at,
                lag_s=0.0 if since is None else max(0.0, self._clock.now() - since),
                backlog_bytes=self._handover.backlog_bytes,
                error=self._stream_error or self._control_error,
            )

    def _make_stream(self) -> _Stream:
        if self._address.kind == "redis":
            return RedisEventStream(
                self._address,
                self._handover,
                self._clock,
                on_connected=self._stream_connected,
                on_cut=self._stream_cut,
            )
        return AmqpEventStream(
            self._address,
            self._handover,
            self._clock,
            on_connected=self._stream_connected,
            on_cut=self._stream_cut,
            on_refused=self._stream_refused,
        )

    def _make_depths(self) -> Depths:
        if self._address.kind == "redis":
            return RedisDepths(self._address, self._clock, self._enqueued_at, seconds)
        return AmqpDepths(self._address, self._clock, lambda: kombu_connection(self._address))

    # The reading thread calls these.

    def _stream_connected(self, at: float) -> None:
        with self._lock:
            self._connected = True
            self._stream_error = ""
            self._feed.cut(at, None)
        logger.info("%s: connected", self.source)
        self._control.worker_appeared()
        self._doubt(self._workers.names(), at)

    def _stream_cut(self, at: float, reason: str) -> None:
        with self._lock:
            if self._connected or not self._stream_error:
                self._feed.cut(at, reason)
            self._connected = False
            self._stream_error = reason
        self._complaints.tell("stream", f"no events are heard: {reason}")

    def _stream_refused(self, content_type: str) -> None:
        with self._lock:
            self._refused += 1
        self._complaints.tell("content", f"events in {content_type} are refused; set event_serializer to json")

    # The control thread calls these.

    def _heard_queues(self, queues: dict[str, list[str]]) -> None:
        self._translator.learn_queues(queues)
        with self._lock:
            self._control_error = ""

    def _read_depths(self, readings: list[QueueReading]) -> None:
        if readings:
            for reading in readings:
                reading.service = self._service or self._service_of(reading.queue) or FRAMEWORK
            # When the collector has no room, the next reading will do.
            self._collector.offer([], queues=readings, received_at=self._clock.now(), source=SOURCE)
        with self._lock:
            self._control_error = ""

    def _service_of(self, queue: str) -> str:
        """Return the service whose workers work on a queue, empty when none or several do: brokers know no services."""
        workers = self._collector.store.workers.list()
        services = {w.service for w in workers if w.service and w.framework == FRAMEWORK and queue in w.queues}
        return services.pop() if len(services) == 1 else ""

    def _control_failed(self, reason: str) -> None:
        with self._lock:
            self._control_error = reason
        self._complaints.tell("control", f"the broker could not be asked: {reason}")

    def _enqueued_at(self, run_id: str) -> float | None:
        run = self._collector.store.runs.get(run_id)
        return run.enqueued_at if run is not None else None

    # The translating thread runs these.

    def _run(self) -> None:
        while True:
            item = self._handover.get(POLL_S)
            try:
                self._feed.note_cuts()
                self._work(item)
            except Exception:
                # A mistake of ours must not end the watch.
                logger.exception("%s: events could not be handed over", self.source)
                with self._lock:
                    self._malformed += 1
            if item is None and self._stopping.is_set():
                break
        self._feed.settle(wait_s=DRAIN_TIMEOUT_S)

    def _work(self, item: Item | None) -> None:
        """Translate what was read, as much as makes a good batch, and hand it to the collector."""
        batch: list[TaskEvent] = []
        while item is not None:
            self._let_the_reader_go_on()
            at, data, begins = item
            with self._lock:
                self._working_since = at
            self._translate(data, begins, at, batch)
            item = self._handover.get(0.0) if len(batch) < BATCH_EVENTS else None
        if batch:
            self._feed.hand_over(batch)
        with self._lock:
            self._working_since = None
        self._feed.settle()

    def _let_the_reader_go_on(self) -> None:
        """Leave the interpreter to the reading thread while more arrives than it can take, for a second at most."""
        for _ in range(500):
            if not self._stream.behind:
                return
            time.sleep(0.002)

    def _translate(self, data: bytes, begins: bool, at: float, batch: list[TaskEvent]) -> None:
        task_event = self._translator.task_event
        redis = self._redis
        count = malformed = 0
        try:
            messages = redis.unpack(data, begins) if redis is not None else [data]
        except InvalidEvent as error:
            self._malform(error)
            return
        for message in messages:
            try:
                events, bad = decode_envelope(message) if redis is not None else decode_body(message, JSON)
            except InvalidEvent as error:
                if error.field == "content-type":
                    self._stream_refused(str(error.got))
                else:
                    self._malform(error)
                continue
            malformed += bad
            count += len(events)
            for event in events:
                try:
                    made = task_event(event)
                except Exception:
                    # A mistake of ours with one event must not take the others along.
                    logger.exception("%s: an event could not be translated", self.source)
                    malformed += 1
                    continue
                if made is not None:
                    made.received_at = at
                    batch.append(made)
                else:
                    self._workers.hear(event, at)
        for made in self._translator.inferred:
            made.received_at = at
            batch.append(made)
        self._translator.inferred.clear()
        with self._lock:
            self._events += count
            self._malformed += malformed
            if count:
                self._last_event_at = at
        for name in self._translator.queues - self._queues:
            self._queues.add(name)
            self._control.add_queue(name)

    def _doubt(self, workers: Iterable[str], until: float) -> None:
        if self._doubts is not None:
            self._doubts.doubt(workers, until)

    def _malform(self, error: HuoyanError) -> None:
        with self._lock:
            self._malformed += 1
        self._complaints.tell("malformed", f"what was read cannot be understood: {error.message}")
