"""How long the store takes to answer, with a million runs in it.

    python bench/store.py [--runs 1000000] [--rounds 15] [--url sqlite:////path/to/keep.db]

Fills a database (unless the one at `--url` is full already), then asks what the pages ask, each question several times
with other values, and prints the median and the worst in milliseconds.
"""

import argparse
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from huoyan.model.event import EventKind, ExceptionInfo, TaskEvent
from huoyan.server.collect import Collector, CollectorSettings
from huoyan.server.store import RunFilters, Store
from huoyan.signals import CATALOGUE, evaluate, evaluate_range

_SPAN_S = 86_400.0
_TASKS = 100
_RARE = "shop.rare"
_ENDS = (EventKind.SUCCEEDED, EventKind.FAILED, EventKind.REVOKED)


class _Clock:
    """Stands at the time of the last event."""

    at = 1_763_673_300.0

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at


def fill(store: Store, clock: _Clock, runs: int) -> float:
    """Store runs of a day and return the seconds that took."""
    rng = random.Random(11)
    collector = Collector(store, clock, settings=CollectorSettings(max_pending_events=10**9))
    end = clock.at
    began = time.perf_counter()
    events: list[TaskEvent] = []
    for number in range(runs):
        at = end - _SPAN_S + _SPAN_S * number / runs
        events += _run(number, at, rng)
        if len(events) >= 30_000 or number == runs - 1:
            clock.at = at + 5.0
            collector.submit(events)
            collector.run_once()
            events = []
    clock.at = end
    return time.perf_counter() - began


def _run(number: int, at: float, rng: random.Random) -> list[TaskEvent]:
    run_id = str(uuid.UUID(int=rng.getrandbits(128)))
    task = _RARE if number % 20_000 == 7 else f"shop.tasks.step_{min(int(rng.expovariate(0.05)), _TASKS - 1)}"
    worker = f"celery@host-{rng.randrange(20)}"
    here = {"worker": worker, "execution": f"0.1@{worker}#1", "attempt": 1}
    queue = "slow" if number % 5_000 == 3 else "celery"
    end = rng.choices(_ENDS, (94, 5, 1))[0]
    failure = ExceptionInfo(f"shop.Error{rng.randrange(20)}", f"order {number} declined") if end is _ENDS[1] else None
    duration_s = rng.lognormvariate(-2.0, 0.8)
    first = TaskEvent(EventKind.QUEUED, run_id, at, task=task, service="shop", framework="celery", queue=queue)
    first.args, first.kwargs = f"({number}, 'order-{number}')", "{'currency': 'EUR'}"
    return [
        first,
        TaskEvent(EventKind.STARTED, run_id, at + 0.1, **here),
        TaskEvent(end, run_id, at + 0.1 + duration_s, duration_s=duration_s, exception=failure, **here),
    ]


def questions(store: Store, clock: _Clock) -> dict[str, Callable[[random.Random], object]]:
    """Return the questions, each asked with values of its own choosing."""
    source = store.source()
    now = clock.at
    sample = [run.id for run in store.runs.page(RunFilters(until=now - _SPAN_S / 2), 200).items]
    groups = [group.fingerprint for group in store.failures.page(since=0).items]
    p95, ratio, rate = (CATALOGUE[name] for name in ("task_duration_p95", "task_failure_ratio", "task_runs_per_minute"))

    def page(**filters: object) -> object:
        return store.runs.page(RunFilters(**filters), 50)  # type: ignore[arg-type]

    def task(rng: random.Random) -> str:
        return f"shop.tasks.step_{rng.randrange(40)}"

    def moment(rng: random.Random) -> float:
        return now - rng.random() * _SPAN_S

    return {
        "one run by id": lambda rng: store.runs.get(rng.choice(sample)),
        "newest 50": lambda _: page(),
        "50 anywhere in time": lambda rng: page(until=moment(rng)),
        "newest 50 failures": lambda _: page(state=("failed",)),
        "newest 50 failures of a task": lambda rng: page(state=("failed",), task=(task(rng),)),
        "newest 50 of a rare task": lambda _: page(task=(_RARE,)),
        "newest 50 of a rare queue": lambda _: page(queue=("slow",)),
        "newest 50 of a worker": lambda rng: page(worker=(f"celery@host-{rng.randrange(20)}",)),
        "newest 50 failures of a worker": lambda _: page(worker=("celery@host-3",), state=("failed",)),
        "newest 50 of a failure group": lambda rng: page(failure=rng.choice(groups)),
        "what is not there": lambda _: page(task=(_RARE,), state=("dead",)),
        "search: one order": lambda rng: page(q=f"order-{rng.randrange(100_000, 999_999)}"),
        "search: a frequent word": lambda _: page(q="currency"),
        "search: part of an id": lambda rng: page(q=rng.choice(sample)[:8]),
        "counts, no filter": lambda _: store.runs.counts(RunFilters()),
        "counts, by state and task": lambda rng: store.runs.counts(RunFilters(state=("failed",), task=(task(rng),))),
        "counts, an hour": lambda _: store.runs.counts(RunFilters(since=now - 3600.0)),
        "counts, a day": lambda _: store.runs.counts(RunFilters(since=now - _SPAN_S)),
        "counts, search one order": lambda rng: store.runs.counts(RunFilters(q=f"order-{rng.randrange(10**5, 10**6)}")),
        "failure groups of a day": lambda _: store.failures.page(),
        "P95 per task, 5 min": lambda rng: evaluate(p95, source, moment(rng)),
        "P95 per task, 24 h": lambda _: evaluate(p95, source, now, _SPAN_S),
        "P95 of one task, 24 h": lambda rng: evaluate(p95, source, now, _SPAN_S, {"task": task(rng)}),
        "failure ratio per task, 1 h": lambda rng: evaluate(ratio, source, moment(rng), 3600.0),
        "chart: P95 of one task, 24 h by 5 min": lambda rng: evaluate_range(
            p95, source, now - _SPAN_S, now, 300.0, {"task": task(rng)}
        ),
        "chart: runs of all, 24 h by 5 min": lambda _: evaluate_range(rate, source, now - _SPAN_S, now, 300.0, by=()),
        "chart: P95 of all, 24 h by 5 min": lambda _: evaluate_range(p95, source, now - _SPAN_S, now, 300.0, by=()),
        "chart: P95 of all, 3 h by 1 min": lambda _: evaluate_range(p95, source, now - 10_800, now, 60.0, by=()),
    }


def main() -> None:
    """Fill, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--url", default="")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'store.db'}"
        clock = _Clock()
        store = Store.open(url, clock)
        if store.runs.count() < options.runs:
            seconds = fill(store, clock, options.runs)
            print(f"{options.runs:,} runs stored in {seconds:.0f} s: {3 * options.runs / seconds:,.0f} events/s")
            began = time.perf_counter()
            while store.texts.index(50_000):
                pass
            print(f"their texts indexed in {time.perf_counter() - began:.0f} s")
        print(f"\n{'':<42}{'median ms':>12}{'worst ms':>12}")
        for name, ask in questions(store, clock).items():
            rng = random.Random(name)
            times = []
            for _ in range(options.rounds):
                began = time.perf_counter()
                ask(rng)
                times.append((time.perf_counter() - began) * 1000)
            print(f"{name:<42}{statistics.median(times):>12.1f}{max(times):>12.1f}")
        store.close()


if __name__ == "__main__":
    main()
