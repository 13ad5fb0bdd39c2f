"""Who executes runs: the workers and processes heard of, and the services they belong to."""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from huoyan.model.event import ProcessReport
from huoyan.server.collect.skew import SkewEstimator
from huoyan.server.store.workers import Worker, WorkerState

ALIVE = frozenset({"up", "wedged"})
"""States of a worker that reports."""
RECOVERY_S = 75.0
"""How long clients may take to find a server again that was away, in seconds: they try every 30 s at least."""
CUT_OFF_S = 25.0
"""How long a worker may be silent before it is down though its broker still has its connection, in seconds."""

_BROKERED_S = 5.0
_OVERDUE = 1.5
_CONNECTED_FOR_S = 5.0
_SHORTEST_INTERVAL_S = 0.5
_LONGEST_INTERVAL_S = 3600.0
_MOST_SERVICES = 50_000
_SAVE_EVERY_S = 5.0
_LARGEST = 2**31 - 1
_SAME_START_S = 1.0


@dataclass(frozen=True, slots=True)
class Departure:
    """A worker that no longer executes what it had started.

    Attributes:
        pid: The process meant, where the worker's name is used again by another; 0 means every process of that name.
        started_before: Only what started before this time, seconds since 1970 UTC; None means everything.
        reason: Why, in one sentence.
        again: The other one has the same number: only the time tells what was whose.
    """

    worker: str
    pid: int
    started_before: float | None
    reason: str
    again: bool = False


class Registry:
    """Workers by name. Safe to use from any thread.

    Args:
        skew: Where clock skews are learned.
        missed_reports: So many reports overdue, and a worker is down.
    """

    def __init__(self, skew: SkewEstimator, missed_reports: int = 3) -> None:
        self._skew = skew
        self._missed_reports = missed_reports
        self._worked_at: dict[str, float] = {}
        self._connected_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._workers: dict[str, Worker] = {}
        self._sources: dict[str, str] = {}
        self._saved_at: dict[str, float] = {}
        self._services: OrderedDict[str, str] = OrderedDict()
        self._unsaved: set[str] = set()
        self._departures: list[Departure] = []
        self._returned: list[Worker] = []
        self._grace_from = 0.0

    def restore(self, workers: Iterable[Worker], now: float) -> None:
        """Take what the store knows. Silence before `now` says nothing: nobody listened."""
        with self._lock:
            for worker in workers:
                self._workers[worker.worker] = worker
                if worker.service:
                    self._services[worker.worker] = worker.service
            self._grace_from = now

    def report(self, report: ProcessReport, received_at: float, source: str) -> int:
        """Take what a process says of itself, and return how many events it dropped since it last did."""
        with self._lock:
            known = self._workers.get(report.worker)
            # Celery's workers say when they greeted last, not when they began.
            begins = source == "http" == self._sources.get(report.worker, source)
            again = begins and known is not None and _again(known, report)
            reborn = again or (known is not None and _reborn(known, report))
            # A count that starts over belongs to a new process.
            before = known.dropped if known is not None and not reborn else 0
            # Who watches a worker from outside knows of nothing that it dropped.
            dropped = _bounded(report.dropped) or before
            worker = Worker(
                worker=report.worker,
                service=report.service or (known.service if known is not None else ""),
                framework=report.framework or (known.framework if known is not None else ""),
                host=report.host or (known.host if known is not None else ""),
                pid=_bounded(report.pid),
                version=report.version,
                state=_state(known, report, reborn),
                first_seen_at=known.first_seen_at if known is not None else received_at,
                last_seen_at=received_at if known is None else max(received_at, known.last_seen_at),
                started_at=report.started_at or (known.started_at if known is not None and not reborn else 0.0),
                interval_s=min(max(report.interval_s, _SHORTEST_INTERVAL_S), _LONGEST_INTERVAL_S),
                active=_bounded(report.active),
                clock_skew_s=self._skew.of(report.worker),
                dropped=dropped,
                queues=report.queues or (known.queues if known is not None else []),
            )
            self._workers[report.worker] = worker
            self._sources[report.worker] = source
            if worker.service:
                self._remember(report.worker, worker.service)
            if known is not None and reborn and known.state != "closed":
                self._departures.append(
                    Departure(
                        known.worker,
                        known.pid,
                        worker.started_at - worker.clock_skew_s if worker.started_at else None,
                        f"worker {known.worker} was started anew; what it executed before ended with it",
                        again,
                    )
                )
            elif known is not None and worker.state in ALIVE and (known.state == "down" or known.replaced_by):
                self._returned.append(worker)
            if known is None and worker.state in ALIVE:
                self._close_a_predecessor(worker)
            if known is None or _differs(known, worker) or self._due(worker):
                self._unsaved.add(worker.worker)
        return max(0, dropped - before)

    def heard_at(self, worker: str) -> float | None:
        """Return when a worker reported last, None when it is not known."""
        known = self._workers.get(worker)
        return None if known is None else known.last_seen_at

    def service_of(self, worker: str, said: str) -> str:
        """Return the service of a worker: what an event says, or what is known of the worker when it says nothing."""
        if said:
            if self._services.get(worker) != said:
                with self._lock:
                    self._remember(worker, said)
            return said
        return self._services.get(worker, "")

    def overdue(self, now: float, blind: frozenset[str], silent_from: float) -> list[Departure]:
        """Judge silence, and return who departed since the last call.

        Args:
            now: Seconds since 1970 UTC, by the server's clock.
            blind: Sources that nothing can be heard from; the silence of their workers says nothing.
            silent_from: Silence from before this time does not count, because nobody listened then.
        """
        with self._lock:
            self._grace_from = max(self._grace_from, silent_from)
            for name, worker in self._workers.items():
                if worker.state not in ALIVE or self._sources.get(name, "") in blind:
                    continue
                silence_s = now - max(worker.last_seen_at, self._grace_from)
                patience_s = self._missed_reports * worker.interval_s
                if worker.last_seen_at < self._grace_from and self._finds_us_itself(worker):
                    # It was not heard since we were away ourselves: it may not have found us again yet.
                    patience_s = max(patience_s, RECOVERY_S)
                if now - self._connected_at.get(name, 0.0) < _CONNECTED_FOR_S:
                    patience_s = max(patience_s, CUT_OFF_S)
                if silence_s <= patience_s:
                    continue
                self._leave(worker)
                self._departures.append(
                    Departure(
                        name,
                        0,
                        None,
                        f"worker {name} fell silent: no report for {now - worker.last_seen_at:.0f} s, "
                        f"expected one every {worker.interval_s:g} s",
                    )
                )
            departed, self._departures = self._departures, []
        return departed

    def silent(self, framework: str, now: float) -> list[str]:
        """Return the workers of a framework of which a report is overdue."""
        with self._lock:
            return [
                name
                for name, worker in self._workers.items()
                if worker.framework == framework
                and worker.state in ALIVE
                and now - worker.last_seen_at > _OVERDUE * worker.interval_s
            ]

    def connected(self, workers: Iterable[str], now: float) -> None:
        """Note that the broker has the connections of these workers, so that they may only be cut off from it."""
        with self._lock:
            known = {name: at for name, at in self._connected_at.items() if now - at < _CONNECTED_FOR_S}
            self._connected_at = known | dict.fromkeys(workers, now)

    def gone(self, workers: Iterable[str]) -> None:
        """Take which processes are gone, because another one of their machine found what they left."""
        with self._lock:
            for name in workers:
                worker = self._workers.get(name)
                if worker is not None and worker.state in ALIVE:
                    self._leave(worker)
                self._departures.append(Departure(name, 0, None, f"the process of worker {name} is gone"))

    def worked(self, workers: Iterable[str], now: float) -> None:
        """Note that these workers started or ended something."""
        with self._lock:
            self._worked_at.update(dict.fromkeys(workers, now))

    def worked_at(self, worker: str) -> float:
        """Return when a worker last started or ended something, or was first heard of since we listen."""
        known = self._workers.get(worker)
        began = max(known.first_seen_at, self._grace_from) if known is not None else self._grace_from
        return max(self._worked_at.get(worker, 0.0), began)

    def wedge(self, worker: str, wedged: bool) -> None:
        """Say that a worker that reports is wedged, or is not any more."""
        before: WorkerState = "up" if wedged else "wedged"
        after: WorkerState = "wedged" if wedged else "up"
        with self._lock:
            known = self._workers.get(worker)
            if known is not None and known.state == before:
                self._workers[worker] = replace(known, state=after)
                self._unsaved.add(worker)

    def closed_before(self, at: float) -> list[Worker]:
        """Return the workers that said goodbye before `at`."""
        with self._lock:
            return [
                worker
                for worker in self._workers.values()
                if worker.state == "closed" and worker.last_seen_at <= at and not worker.replaced_by
            ]

    def returned(self) -> list[Worker]:
        """Return the workers that were down and are heard again, since the last call."""
        with self._lock:
            returned, self._returned = self._returned, []
        return returned

    def unsaved(self) -> list[Worker]:
        """Return the workers to be saved; `saved` says that they are."""
        with self._lock:
            return [self._workers[name] for name in sorted(self._unsaved) if name in self._workers]

    def saved(self, workers: Iterable[Worker]) -> None:
        """Note what is stored now."""
        with self._lock:
            for worker in workers:
                self._saved_at[worker.worker] = worker.last_seen_at
                if self._workers.get(worker.worker) is worker:
                    self._unsaved.discard(worker.worker)

    def all(self) -> list[Worker]:
        """Return every worker."""
        with self._lock:
            return list(self._workers.values())

    def forget_before(self, closed_before: float, down_before: float) -> None:
        """Forget workers that said goodbye, or are down, and were last seen before these times."""
        limits = {"closed": closed_before, "down": down_before}
        with self._lock:
            for name in [n for n, w in self._workers.items() if w.last_seen_at < limits.get(w.state, 0.0)]:
                for known in (
                    self._workers,
                    self._sources,
                    self._saved_at,
                    self._services,
                    self._worked_at,
                ):
                    known.pop(name, None)
                self._unsaved.discard(name)

    def _leave(self, worker: Worker) -> None:
        down = self._workers[worker.worker] = replace(worker, state="down", active=0)
        self._unsaved.add(worker.worker)
        busy = self._successors()
        for other in self._workers.values():
            if other.state in ALIVE and other.worker not in busy and self._takes_over(other, worker):
                self._replace(down, other)
                break

    def _finds_us_itself(self, worker: Worker) -> bool:
        # Whose reports come over a broker need not find anybody; they are as frequent as brokers let them be.
        source = self._sources.get(worker.worker)
        return source == "http" if source is not None else worker.interval_s > _BROKERED_S

    def _close_a_predecessor(self, successor: Worker) -> None:
        """Let a new worker stand in for one that is down, so that a restarted process leaves no dead one behind."""
        down = [w for w in self._workers.values() if w.state == "down" and self._takes_over(successor, w)]
        if down and successor.worker not in self._successors():
            self._replace(max(down, key=lambda worker: worker.last_seen_at), successor)

    def _successors(self) -> set[str]:
        return {worker.replaced_by for worker in self._workers.values()}

    def _takes_over(self, successor: Worker, worker: Worker) -> bool:
        """Tell whether `successor` does the work of `worker`, and came after it was last heard."""
        return (
            successor.worker != worker.worker
            and successor.first_seen_at > worker.last_seen_at
            and (successor.service, successor.framework) == (worker.service, worker.framework)
            and set(successor.queues) == set(worker.queues)
        )

    def _replace(self, worker: Worker, successor: Worker) -> None:
        # What the worker executed is lost all the same: its departure says so. Only nobody has to look for it any more.
        self._workers[worker.worker] = replace(worker, state="closed", replaced_by=successor.worker)
        self._unsaved.add(worker.worker)

    def _remember(self, worker: str, service: str) -> None:
        self._services[worker] = service
        if len(self._services) > _MOST_SERVICES:
            self._services.popitem(last=False)

    def _due(self, worker: Worker) -> bool:
        return worker.last_seen_at - self._saved_at.get(worker.worker, 0.0) >= _SAVE_EVERY_S


def _state(known: Worker | None, report: ProcessReport, reborn: bool) -> WorkerState:
    if report.closing:
        return "closed"
    return "wedged" if known is not None and known.state == "wedged" and not reborn else "up"


def _reborn(known: Worker, report: ProcessReport) -> bool:
    """Return whether a report comes from another process than the one known by that name."""
    return bool(known.pid and report.pid and known.pid != report.pid)


def _again(known: Worker, report: ProcessReport) -> bool:
    """Return whether another process has name and number of the one known: a container that was started again."""
    return known.pid == report.pid and 0.0 < known.started_at < report.started_at - _SAME_START_S


def _differs(known: Worker, worker: Worker) -> bool:
    """Return whether something changed that people should see at once."""
    return (
        known.state != worker.state
        or known.pid != worker.pid
        or known.service != worker.service
        or known.framework != worker.framework
        or known.queues != worker.queues
        or known.dropped != worker.dropped
        or known.clock_skew_s != worker.clock_skew_s
    )


def _bounded(number: int) -> int:
    return min(max(number, 0), _LARGEST)
