"""The ledger: for every queue, enqueued = waiting + running + finished + dead, held against what the broker says.

The books are what we know of runs. What they say waits, the broker or a worker must have: a run that nobody has,
looked for twice, has vanished, and is named. A broker that does not answer makes its figures absent, never zero.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from huoyan.clock import Clock
from huoyan.errors import Unreachable
from huoyan.model.event import EventKind, Evidence, TaskEvent
from huoyan.model.run import FINAL_STATES, Run, RunState, view
from huoyan.server.collect.hearing import LOOK_BACK_S, heard_from
from huoyan.server.collect.holdings import Broker, Holding
from huoyan.server.collect.metrics import Labels
from huoyan.server.collect.registry import ALIVE, RECOVERY_S
from huoyan.server.collect.unheard import cut_since, ending, open_since
from huoyan.server.store import Gap, RunFilters, Store
from huoyan.server.store.truth import MOST_NAMED, Discrepancy

_LOG = logging.getLogger(__name__)

SOURCE = "ledger"
NAMED_FOR_S = 900.0
"""How long a discrepancy counts in the gauge, and its run is named first."""
MOST_SUSPECTS = 2_000
SHOWN_FOR_S = 2.0
"""How long accounts are shown before they are made anew, in seconds."""
_PEERS = 20

WAITING = frozenset({RunState.SCHEDULED, RunState.QUEUED, RunState.RETRYING})
DEAD = frozenset({RunState.LOST, RunState.DEAD})

Books = Iterable[tuple[str, str, str, str, int]]
"""`(service, framework, queue, state, runs)`."""


@dataclass(frozen=True, slots=True)
class Account:
    """One queue: what our books say, and what its broker says. What is not known is None, never zero.

    Attributes:
        services: Whose runs go through it.
        enqueued: The sum of the four figures that follow.
        held_by_broker: Messages that wait there.
        held_by_workers: Messages taken and not acknowledged.
        difference: Waiting by our books, less what the broker and the workers have of it: above 0 something is
            missing, below it there is something that nobody told us of.
        unannounced: Runs the broker holds that nobody told us of, some of them.
        why_absent: Why the broker's figures, or some of them, are absent; empty when nobody was to tell more.
    """

    framework: str
    queue: str
    services: tuple[str, ...]
    waiting: int = 0
    running: int = 0
    finished: int = 0
    dead: int = 0
    held_by_broker: int | None = None
    held_by_workers: int | None = None
    difference: int | None = None
    unannounced: tuple[str, ...] = ()
    read_at: float | None = None
    why_absent: str = ""

    def plus(self, other: "Account") -> "Account":
        """Return the books of both together."""
        return replace(
            self,
            waiting=self.waiting + other.waiting,
            running=self.running + other.running,
            finished=self.finished + other.finished,
            dead=self.dead + other.dead,
        )

    @property
    def enqueued(self) -> int:
        """Every run of the queue that is kept."""
        return self.waiting + self.running + self.finished + self.dead


def accounts(books: Books) -> dict[tuple[str, str], Account]:
    """Return the account of each (framework, queue), by our books alone."""
    found: dict[tuple[str, str], Account] = {}
    for service, framework, queue, state, runs in books:
        key = (framework, queue)
        known = found.get(key) or Account(framework, queue, ())
        if service not in known.services:
            known = replace(known, services=tuple(sorted((*known.services, service))))
        if state in WAITING:
            known = replace(known, waiting=known.waiting + runs)
        elif state == RunState.STARTED:
            known = replace(known, running=known.running + runs)
        elif state in DEAD:
            known = replace(known, dead=known.dead + runs)
        else:
            known = replace(known, finished=known.finished + runs)
        found[key] = known
    return found


def reconcile(account: Account, holdings: Sequence[Holding], states: Mapping[str, str], at: float) -> Account:
    """Hold an account against what the brokers of its framework say of the queue. Pure.

    Args:
        account: By our books.
        holdings: Of this queue, one for each broker.
        states: Run → state by our books, for the runs that brokers name.
        at: When they were asked, seconds since 1970 UTC.
    """
    waiting = sum(holding.waiting for holding in holdings)
    helds = [holding.held for holding in holdings]
    held = None if any(one is None for one in helds) else sum(one or 0 for one in helds)
    untold = next((holding.untold for holding in holdings if holding.untold), "")
    account = replace(account, held_by_broker=waiting, held_by_workers=held, read_at=at, why_absent=untold)
    if any(holding.ids is None for holding in holdings):
        return replace(account, difference=None if held is None else _unnamed_difference(account, waiting, held))
    ids = [run_id for holding in holdings for run_id in holding.ids or ()]
    unannounced = sorted(run_id for run_id in ids if run_id not in states)
    theirs = sum(states.get(run_id, RunState.QUEUED) in WAITING for run_id in ids)
    return replace(account, difference=account.waiting - theirs, unannounced=tuple(unannounced[:MOST_NAMED]))


def _unnamed_difference(account: Account, waiting: int, held: int) -> int:
    """Return the least difference that there is, whenever messages are acknowledged.

    Without names nobody knows which of what is held is being executed: with late acknowledgement all that runs is among
    it, otherwise nothing that runs is.
    """
    executed = min(account.running, held)
    missing = account.waiting - waiting - held
    return missing if missing > 0 else min(missing + executed, 0)


def verdict(run: Run, now: float, cuts: Iterable[Gap]) -> TaskEvent | None:
    """Say what became of a waiting run that neither the broker nor a worker has. Pure.

    Args:
        run: Its merge state.
        now: Seconds since 1970 UTC.
        cuts: When something could not be heard.

    Returns:
        None: it is not due yet, so it may be anywhere.
    """
    seen = view(run)
    if seen.state not in WAITING or (run.eta is not None and run.eta > now and seen.state is RunState.SCHEDULED):
        return None
    evidence = Evidence.INFERRED
    reason = "it vanished: the broker does not hold it and no worker has it"
    cut = cut_since(seen.last_at, cuts)
    if run.expires is not None and run.expires <= now:
        reason = "it expired before anybody executed it, and its message is gone"
    elif cut is not None:
        evidence = Evidence.UNKNOWN
        reason = f"it left the queue while nothing could be heard ({cut.source}: {cut.reason})"
    return TaskEvent(EventKind.DEAD, run.id, now, evidence=evidence, reason=reason, source=SOURCE)


class Ledger:
    """The service that asks brokers and workers, names what does not add up, and keeps the answers for the API.

    Args:
        brokers: Who can be asked.
        emit: Takes verdicts on runs, as events.
        every_s: How often, in seconds.
        settle_s: How long a run must have been what it is before anybody asks where it is, in seconds.
        listening_from: Since when this server listens, seconds since 1970 UTC; default now. What was said before may
            never have been heard.
    """

    name = "ledger"

    def __init__(
        self,
        store: Store,
        clock: Clock,
        brokers: Sequence[Broker],
        emit: Callable[[list[TaskEvent]], None],
        *,
        every_s: float = 15.0,
        settle_s: float = 30.0,
        listening_from: float | None = None,
    ) -> None:
        self.interval_s = every_s
        self._store = store
        self._clock = clock
        self._brokers = brokers
        self._emit = emit
        self._settle_s = settle_s
        self._listening_from = clock.now() if listening_from is None else listening_from
        self._lock = threading.Lock()
        self._holdings: dict[str, tuple[float, dict[str, Holding]]] = {}
        self._unreachable: dict[str, str] = {}
        self._absent: set[str] = set()
        self._streamed: set[tuple[str, str]] = set()
        self._shown: tuple[float, list[Account]] = (float("-inf"), [])
        self._gauge: tuple[float, dict[Labels, float]] = (float("-inf"), {})

    def run_once(self) -> int:
        """Ask everybody, judge what is missing for the second time in a row, and return how many verdicts there are."""
        now = self._clock.now()
        books = accounts(self._store.truth.books())
        for broker in self._brokers:
            queues = [queue for framework, queue in books if framework == broker.framework]
            try:
                answer = broker.holdings(queues)
            except Unreachable as error:
                with self._lock:
                    self._holdings.pop(broker.source, None)
                    self._unreachable[broker.source] = error.message
            else:
                with self._lock:
                    self._holdings[broker.source] = (now, answer)
                    self._unreachable.pop(broker.source, None)
        return self._judge(now)

    def accounts(self) -> list[Account]:
        """Return the account of every queue, as far as brokers were heard lately."""
        now = self._clock.now()
        if not 0 <= now - self._shown[0] < SHOWN_FOR_S:
            self._shown = (now, self._accounts(now))
        return self._shown[1]

    def _accounts(self, now: float) -> list[Account]:
        books = accounts(self._store.truth.books())
        with self._lock:
            answers = dict(self._holdings)
            unreachable = dict(self._unreachable)
        found = []
        for broker in self._brokers:
            for queue in answers.get(broker.source, (0.0, {}))[1]:
                books.setdefault((broker.framework, queue), Account(broker.framework, queue, ()))
        for (framework, queue), account in sorted(books.items(), key=lambda item: item[0]):
            brokers = [broker for broker in self._brokers if broker.framework == framework]
            why = self._why_absent(brokers, answers, unreachable, now)
            if not why:
                holdings = [h for b in brokers if (h := answers[b.source][1].get(queue)) is not None]
                if holdings:
                    ids = {run_id for holding in holdings for run_id in holding.ids or ()}
                    at = min(answers[broker.source][0] for broker in brokers)
                    account = reconcile(account, holdings, self._store.truth.states(ids), at)
                else:
                    why = "the broker knows no such queue"
            found.append(replace(account, why_absent=why or account.why_absent))
        return found

    def holds(self, framework: str, run_id: str) -> bool | None:
        """Return whether a broker still has the message of a run and will deliver it (again); None: nobody knows."""
        with self._lock:
            answers = [self._holdings.get(broker.source) for broker in self._brokers if broker.framework == framework]
        known = True
        for answer in answers:
            for holding in answer[1].values() if answer is not None else ():
                if holding.ids is None:
                    known = False
                elif run_id in holding.ids:
                    return True
        return False if known and answers and all(answer is not None for answer in answers) else None

    def discrepancies(self) -> list[Discrepancy]:
        """Return what was found in the last hour, newest first."""
        return self._store.truth.discrepancies(self._clock.now() - LOOK_BACK_S)

    def gauge(self) -> dict[Labels, float]:
        """Return how many runs of each service, queue and kind were found lately."""
        now = self._clock.now()
        if not 0 <= now - self._gauge[0] < 1.0:
            found: dict[Labels, float] = {}
            for one in self._store.truth.discrepancies(now - NAMED_FOR_S):
                key = (("service", one.service), ("queue", one.queue), ("kind", one.kind))
                found[key] = found.get(key, 0.0) + 1.0
            self._gauge = (now, found)
        return self._gauge[1]

    def close(self) -> None:
        """Close the connections to the brokers."""
        for broker in self._brokers:
            broker.close()

    def _why_absent(
        self,
        brokers: Sequence[Broker],
        answers: Mapping[str, tuple[float, dict[str, Holding]]],
        unreachable: Mapping[str, str],
        now: float,
    ) -> str:
        if not brokers:
            return "no broker of this framework is watched"
        for broker in brokers:
            if broker.source in unreachable:
                return unreachable[broker.source]
            answer = answers.get(broker.source)
            if answer is None or now - answer[0] > 3 * self.interval_s + 10.0:
                return f"{broker.source} was not asked yet"
        return ""

    def _judge(self, now: float) -> int:
        began = Gap(0, "server", self._listening_from, self._listening_from, "it was started after that")
        gaps = [*self._store.gaps.list(since=now - LOOK_BACK_S), began]
        if now < heard_from(gap for gap in gaps if not gap.of_a_worker) + RECOVERY_S:
            # What was said meanwhile had no chance to arrive yet.
            self._absent = set()
            return 0
        absent: set[str] = set()
        events: list[TaskEvent] = []
        for framework in {broker.framework for broker in self._brokers if broker.names_runs}:
            brokers = [broker for broker in self._brokers if broker.framework == framework]
            try:
                missing = self._missing(framework, brokers, now)
                absent |= set(missing)
                events += self._verdicts(brokers, {i: w for i, w in missing.items() if i in self._absent}, now, gaps)
            except Unreachable as error:
                _LOG.info("%s: runs could not be looked for: %s", framework, error.message)
        self._absent = absent
        if events:
            self._emit(events)
        return len(events)

    def _missing(self, framework: str, brokers: Sequence[Broker], now: float) -> dict[str, str]:
        """Return the runs that nobody has, each with the worker that was executing it, if one was."""
        with self._lock:
            answers = [self._holdings.get(broker.source) for broker in brokers]
        if any(answer is None for answer in answers):
            return {}
        holdings = [answer[1] for answer in answers if answer is not None]
        held = {run_id for held in holdings for holding in held.values() for run_id in holding.ids or ()}
        suspects: dict[str, str] = {}
        expected: dict[str, int] = {}
        for run_id, service, queue, state, worker in self._store.truth.unended(
            framework, now - self._settle_s, MOST_SUSPECTS
        ):
            if run_id in held:
                continue
            if state == RunState.STARTED:
                suspects[run_id] = worker
            elif all(self._is_told(there.get(queue)) for there in holdings) and self._is_streamed(
                framework, service, queue
            ):
                suspects[run_id] = ""
                consumers = [h.consumers for there in holdings if (h := there.get(queue)) and h.consumers is not None]
                expected[run_id] = sum(consumers)
        if not suspects:
            return {}
        alive = {
            worker.worker
            for worker in self._store.workers.list()
            if worker.framework == framework and worker.state in ALIVE
        }
        answered: set[str] = set()
        for broker in brokers:
            for worker, theirs in broker.working(list(suspects)).items():
                answered.add(worker)
                for run_id in theirs:
                    suspects.pop(run_id, None)
        return {
            run_id: worker
            for run_id, worker in suspects.items()
            # Whoever does not answer may have what waits; what was executed only its worker can have.
            if (worker in answered if worker else alive <= answered and len(answered) >= expected[run_id])
        }

    def _is_told(self, holding: Holding | None) -> bool:
        """Return whether it is known which runs wait in a queue: all of them by name, or none."""
        return holding is None or holding.ids is not None or holding.waiting == 0

    def _is_streamed(self, framework: str, service: str, queue: str) -> bool:
        """Return whether runs of this kind go through a broker that is watched: some must have been heard over it."""
        if (service, queue) in self._streamed:
            return True
        filters = RunFilters(framework=(framework,), service=(service,), queue=(queue,))
        peers = self._store.runs.page(replace(filters, state=tuple(s.value for s in FINAL_STATES)), _PEERS).items
        if any("celery-events" in e.sources.split(",") for run in peers for e in run.executions.values()):
            self._streamed.add((service, queue))
            return True
        return False

    def _verdicts(
        self, brokers: Sequence[Broker], missing: Mapping[str, str], now: float, gaps: Collection[Gap]
    ) -> list[TaskEvent]:
        if not missing:
            return []
        events = [event for broker in brokers for event in broker.outcomes(list(missing))]
        told = {event.run_id for event in events}
        runs = self._store.runs.load([run_id for run_id in missing if run_id not in told])
        for run_id, run in runs.items():
            worker = missing[run_id]
            if worker:
                cut = cut_since(run.last_at or 0.0, gaps)
                events += [replace(ending(run, one, now, cut), source=SOURCE) for one in open_since(run, worker, inf)]
            elif (one := verdict(run, now, gaps)) is not None:
                events.append(one)
        return events
