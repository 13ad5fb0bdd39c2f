"""Watching an RQ deployment by looking at what it keeps in Redis, with no change to its code.

    Redis ──► states of queues and registries ──► what changed? ──► jobs, outcomes ──► facts ──► Collector
                                                       └── a little of everything else each time, in turn

A look costs a few round trips, however many jobs wait: of each list only what came since the last look is read. What
that misses (an entry in the middle of a registry, a job that was deleted) is found by going through everything slowly.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import islice

import redis
from sqlalchemy.exc import SQLAlchemyError

from huoyan.clock import SYSTEM_CLOCK, Clock
from huoyan.errors import HuoyanError
from huoyan.model.event import QueueReading, TaskEvent
from huoyan.model.job_identity import is_unique, run_id_of
from huoyan.model.scrubbing import TextScrubber
from huoyan.server.collect.pipeline import Collector
from huoyan.server.ingest.celery_events import IngestStatus
from huoyan.server.ingest.celery_stream_redis import redis_client
from huoyan.server.ingest.complaints import Complaints
from huoyan.server.ingest.feed import Feed
from huoyan.server.ingest.rq_address import parse_rq_address
from huoyan.server.ingest.rq_cron import RqCron
from huoyan.server.ingest.rq_holdings import RqHoldings
from huoyan.server.ingest.rq_reader import REGISTRIES, Place, QueueState, RqReader
from huoyan.server.ingest.rq_records import Job
from huoyan.server.ingest.rq_translate import ENDED, FRAMEWORK, Known, Translator
from huoyan.server.ingest.rq_workers import INTERVAL_S, RqWorkers

logger = logging.getLogger(__name__)

POLL_S = 1.0
STORE_WITHIN_S = 10.0
LONGEST_BACKOFF_S = 10.0
HISTORY_S = 86_400.0
"""What ended longer ago than this when the watch begins is left alone."""

MAX_KNOWN = 100_000
PAGE = 256
MAX_PAGES = 64
MAX_JOBS = 4_000
"""So many jobs are looked at closely in one look; the others wait for the next."""

_HEAD = 32
_MOST_PARENTS = 10_000
_SWEEPS = 4
_SWEEP_DEPTH = 20_000
_CHECKED = 500
_LISTINGS = ("queue", *REGISTRIES)


class RqPollIngest:
    """Looks at one Redis again and again and hands what it finds to the collector, until stopped.

    Args:
        url: Address of the Redis, as in `redis://user:password@host:6379/0`; rediss, sentinel and Unix sockets too.
        collector: Where runs are made of facts.
        service: Name for runs that carry none themselves (default: the framework is shown).
        clock: Time.
        poll_s: Time between two looks, in seconds (default 1).

    Raises:
        ConfigurationError: The address is wrong.
    """

    def __init__(
        self, url: str, collector: Collector, *, service: str = "", clock: Clock = SYSTEM_CLOCK, poll_s: float = POLL_S
    ) -> None:
        address = parse_rq_address(url)
        self.source = f"rq {address.shown}"
        self._url = url
        self._collector = collector
        self._service = service
        self._clock = clock
        self._poll_s = poll_s
        self._client = redis_client(address)
        self._reader = RqReader(self._client)
        self._workers = RqWorkers(self._client, service)
        self._cron = RqCron(self._reader, service, collector.store, clock)
        self._translator = Translator(service, TextScrubber().scrub_text)
        self._stopping = threading.Event()
        self._complaints = Complaints(logger, self.source, clock)
        # The name that workers were heard under and the name of the cut are one, so that nobody is judged meanwhile.
        self._feed = Feed(collector, self.source, self.source, clock, self._complaints, self._stopping.is_set)
        self._known: OrderedDict[str, Known] = OrderedDict()
        self._states: dict[str, QueueState] = {}
        self._left: dict[str, float] = {}
        self._missed: dict[str, int] = {}
        self._sweep: Iterator[tuple[str, str]] = iter(())
        self._sweeping: tuple[str, str, int] | None = None
        self._checking: Iterator[str] = iter(())
        self._workers_at = float("-inf")
        self._oldest_end: float | None = None
        self._thread = threading.Thread(target=self._run, name="huoyan-rq-poll", daemon=True)
        self._lock = threading.Lock()
        self._connected = False
        self._error = ""
        self._events = 0
        self._looked_at: float | None = None

    def start(self) -> None:
        """Start looking. Returns at once; a Redis that is away is tried again and again."""
        self._thread.start()

    def stop(self, timeout_s: float = STORE_WITHIN_S) -> None:
        """Stop looking, when what was found last is handed over."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        try:
            self._client.close()
        except (OSError, redis.RedisError):
            logger.debug("%s: the connection broke when it was closed", self.source)

    def holdings(self) -> RqHoldings:
        """Return what tells what this Redis holds."""
        return RqHoldings(self._url, self.source, self._service)

    def status(self) -> IngestStatus:
        """Return how it is doing."""
        with self._lock:
            return IngestStatus(
                source=self.source,
                connected=self._connected,
                events=self._events,
                malformed=self._feed.rejected,
                refused=0,
                lost=self._feed.lost,
                last_event_at=self._looked_at,
                lag_s=0.0,
                backlog_bytes=0,
                error=self._error,
            )

    def run_once(self) -> int:
        """Look once and return how many facts were new.

        Raises:
            redis.RedisError, OSError: The Redis does not answer.
        """
        now = self._clock.now()
        if self._oldest_end is None:
            self._oldest_end = now - HISTORY_S
        queues, workers = self._reader.names()
        states = self._reader.states(queues)
        places = self._candidates(states)
        # After it was read what waits and before it is told, so that what cron enqueued is known to be that.
        told = self._look_at_cron(now, self._oldest_end)
        told += self._look_at(places, states, now)
        self._states = states
        monotonic = self._clock.monotonic()
        if monotonic >= self._workers_at or self._workers.changed(workers):
            self._workers_at = monotonic + INTERVAL_S
            self._look_at_workers(workers, states)
            self._measure(states)
        return told

    # Which jobs to look at.

    def _candidates(self, states: dict[str, QueueState]) -> dict[str, float]:
        """Return the jobs about which something may be new, with their scores."""
        places: dict[str, float] = {}
        for queue, state in states.items():
            before = self._states.get(queue)
            for job_id, execution_id in state.executing.items():
                known = self._known.get(job_id)
                if known is None or not known.execution.startswith(f"{execution_id}@"):
                    places[job_id] = 0.0
            if before is not None:
                places.update(dict.fromkeys(before.executing.keys() - state.executing.keys(), 0.0))
            for listing in _LISTINGS:
                if before is None or before.mark(listing) != state.mark(listing):
                    places.update(self._added(queue, listing))
        places.update(dict.fromkeys(self._missed, 0.0))
        places.update(self._swept(states))
        places.update(dict.fromkeys(self._checked(), 0.0))
        for job_id, score in self._left.items():
            places.setdefault(job_id, score)
        self._left = dict(islice(places.items(), MAX_JOBS, MAX_JOBS + MAX_KNOWN))
        return dict(islice(places.items(), MAX_JOBS))

    def _added(self, queue: str, listing: str) -> dict[str, float]:
        """Return what was added to a listing since it was looked at last: everything down to what is known."""
        found: dict[str, float] = {}
        for page in range(MAX_PAGES):
            entries = self._reader.newest(queue, listing, page * PAGE, PAGE)
            new = [place for place in entries if self._is_new(listing, place)]
            found.update(new)
            if len(new) < len(entries) or len(entries) < PAGE:
                break
        if listing == "queue":
            found.update(place for place in self._reader.next(queue, _HEAD) if self._is_new(listing, place))
        return found

    def _is_new(self, listing: str, place: Place) -> bool:
        known = self._known.get(place[0])
        if known is None:
            return True
        if listing == "queue":
            return known.state != "queued"
        states = ("failed", "stopped") if listing == "failed" else (listing,)
        return known.state not in states or (known.score != place[1] and listing != "deferred")

    def _swept(self, states: dict[str, QueueState]) -> dict[str, float]:
        """Go on through everything that is listed, a few pages each time."""
        found: dict[str, float] = {}
        for _ in range(_SWEEPS):
            if self._sweeping is None:
                following = next(self._sweep, None)
                if following is None:
                    self._sweep = iter([(queue, listing) for queue in states for listing in _LISTINGS])
                    return found
                self._sweeping = (*following, 0)
            queue, listing, start = self._sweeping
            entries = self._reader.newest(queue, listing, start, PAGE)
            found.update(place for place in entries if self._is_new(listing, place))
            start += PAGE
            depth = min(_SWEEP_DEPTH, MAX_KNOWN // (2 * max(1, len(states))))
            self._sweeping = (queue, listing, start) if len(entries) == PAGE and start < depth else None
        return found

    def _checked(self) -> list[str]:
        """Return known jobs that have not ended and are not what they were, from a few looked at each time."""
        waiting = list(islice(self._checking, _CHECKED))
        if not waiting:
            self._checking = iter([job_id for job_id, known in self._known.items() if known.state not in ENDED])
            return []
        known = {job_id: self._known[job_id].state for job_id in waiting if job_id in self._known}
        statuses = self._reader.statuses(list(known))
        return [job_id for job_id, state in known.items() if statuses[job_id] != state]

    # What is new about them.

    def _look_at(self, places: dict[str, float], states: dict[str, QueueState], now: float) -> int:
        jobs = self._reader.jobs(list(places))
        executing = {job_id: execution for state in states.values() for job_id, execution in state.executing.items()}
        there: list[Job] = []
        for job_id, job in jobs.items():
            if job is None:
                continue
            job.score, job.execution_id = places[job_id], executing.get(job_id, "")
            if job.status == "started" and not job.execution_id:
                job.missed = self._missed[job_id] = self._missed.get(job_id, 0) + 1
                if job.missed > STORE_WITHIN_S / self._poll_s:
                    del self._missed[job_id]
            else:
                self._missed.pop(job_id, None)
            if not self._is_history(job):
                there.append(job)
        self._reader.name_functions(there)
        self._reader.add_outcomes([job for job in there if job.ended_at is not None or job.status in ENDED])
        parents = self._parents(there)
        events: list[TaskEvent] = []
        next_known: dict[str, Known | None] = {}
        for job in there:
            new, next_known[job.id] = self._translator.told(job, self._known.get(job.id), now, parents)
            events += new
        for job_id in places:
            if jobs[job_id] is None:
                self._missed.pop(job_id, None)
                gone = self._known.get(job_id)
                if gone is not None and gone.state not in ENDED:
                    events += self._translator.gone(gone, now)
                next_known[job_id] = None
        if events:
            self._cron.clocks.put_right(events, self._clock.now())
            # Not when the look began: what happened since would be taken for a thing of the future, and cut off there.
            self._feed.hand_over(events, received_at=self._clock.now())
            self._feed.settle(STORE_WITHIN_S)
        self._remember(next_known)
        with self._lock:
            self._events += len(events)
        return len(events)

    def _is_history(self, job: Job) -> bool:
        """Return whether a job had ended long before the watch began; it is known from now on, and not told of."""
        if job.status not in ENDED or job.ended_at is None or self._oldest_end is None:
            return False
        if job.ended_at >= self._oldest_end:
            return False
        run_id = run_id_of(job.id, job.created_at_ms, job.repetitions_left)
        self._remember({job.id: Known(run_id, job.status, job.score, job.enqueued_at, job.ended_at)})
        return True

    def _parents(self, jobs: Sequence[Job]) -> dict[str, str]:
        """Return the runs of the jobs that these wait for, where their ids do not tell them."""
        ids = sorted({each for job in jobs for each in job.dependencies if not is_unique(each)})[:_MOST_PARENTS]
        if not ids:
            return {}
        times = self._reader.created_at(ids)
        return {
            job_id: run_id_of(job_id, None if at is None else round(at * 1000))
            for job_id, at in zip(ids, times, strict=True)
        }

    def _remember(self, told: dict[str, Known | None]) -> None:
        for job_id, known in told.items():
            self._known.pop(job_id, None)
            if known is not None:
                self._known[job_id] = known
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    # Cron.

    def _look_at_cron(self, now: float, since: float) -> int:
        found = self._cron.look(since)
        for report, ahead_s in found.processes:
            at = self._clock.now()
            sent_at = None if ahead_s is None else at + ahead_s
            self._feed.hand_over([], process=report, received_at=at, sent_at=sent_at)
        if found.events:
            self._feed.hand_over(found.events, received_at=self._clock.now())
        if found.schedules:
            try:
                self._collector.store.schedules.report(found.schedules, now)
            except SQLAlchemyError as error:
                self._complaints.tell("schedules", f"schedules could not be kept: {error}")
            else:
                self._cron.told(found.schedules)
        with self._lock:
            self._events += len(found.events)
        return len(found.events)

    # Workers and depths.

    def _look_at_workers(self, names: Sequence[str], states: dict[str, QueueState]) -> None:
        running = (self._known.get(job_id) for state in states.values() for job_id in state.executing)
        for report in self._workers.read(names, {known.worker for known in running if known and known.worker}):
            self._feed.hand_over([], process=report)

    def _measure(self, states: dict[str, QueueState]) -> None:
        waiting = [queue for queue, state in states.items() if state.depth]
        since = dict(zip(waiting, self._reader.enqueued_at([states[queue].first for queue in waiting]), strict=True))
        now = self._clock.now()
        services = self._services()
        readings = []
        for queue, state in states.items():
            at = since.get(queue)
            age_s = max(0.0, now - at) if at is not None else None
            service = self._service or services.get(queue, FRAMEWORK)
            readings.append(QueueReading(queue, state.depth, now, service, age_s))
        if readings:
            # When the collector has no room, the next reading will do.
            self._collector.offer([], queues=readings, received_at=now, source=self.source)

    def _services(self) -> dict[str, str]:
        """Return the service whose workers work on a queue, where it is one: Redis knows no services."""
        found: dict[str, set[str]] = {}
        for worker in self._collector.store.workers.list():
            if worker.service and worker.framework == FRAMEWORK:
                for queue in worker.queues:
                    found.setdefault(queue, set()).add(worker.service)
        return {queue: next(iter(services)) for queue, services in found.items() if len(services) == 1}

    # The thread.

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self.run_once()
            except (OSError, redis.RedisError) as error:
                failures += 1
                self._cut(str(error) or type(error).__name__)
            except HuoyanError as error:
                failures += 1
                self._complaints.tell("store", error.message)
            except Exception:
                # A mistake here must not end the watch.
                failures += 1
                logger.exception("%s: what was read could not be understood", self.source)
            else:
                failures = 0
                self._flows()
            self._feed.note_cuts()
            self._stopping.wait(min(LONGEST_BACKOFF_S, self._poll_s * 2 ** min(failures, 4)))

    def _cut(self, reason: str) -> None:
        with self._lock:
            new = self._connected or not self._error
            self._connected = False
            self._error = reason
            at = self._looked_at if self._looked_at is not None else self._clock.now()
        if new:
            self._feed.cut(at, reason)
        self._complaints.tell("redis", f"nothing is seen: {reason}")

    def _flows(self) -> None:
        now = self._clock.now()
        with self._lock:
            connected, self._connected, self._error = self._connected, True, ""
            self._looked_at = now
        if not connected:
            self._feed.cut(now, None)
            logger.info("%s: connected", self.source)
