"""How many events per second the collector stores, in one process, into SQLite and PostgreSQL.

    python bench/collect.py [--events 200000] [--rounds 5] [--postgresql postgresql://…]

The stream is what a Celery deployment sends: queued, received, started, succeeded or failed, of runs that overlap,
handed over in batches as the event ingest does. `steady` keeps a few batches waiting, as a stream does that the
collector keeps up with; `burst` hands over everything at once. Prints medians, and CPU seconds per 100,000 events.
"""

import argparse
import gc
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from huoyan.model.event import EventKind, ExceptionInfo, TaskEvent
from huoyan.server.collect import Collector, CollectorSettings
from huoyan.server.store import Store

_TASKS = [f"shop.tasks.step_{number}" for number in range(20)]
_WORKERS = [f"celery@host-{number}" for number in range(8)]
_IN_FLIGHT = 8
_TRACEBACK = (
    'Traceback (most recent call last):\n  File "/srv/shop/tasks.py", line 42, in charge\n    gateway.charge(order)\n'
    '  File "/srv/shop/gateway.py", line 7, in charge\n    raise Declined(order)\n'
    "shop.gateway.Declined: order 4711 declined\n"
)


def stream(events: int, overlap: int, seed: int, now: float) -> list[TaskEvent]:
    """Return events of runs of which `overlap` are under way at a time, in the order in which they would be heard."""
    rng = random.Random(seed)
    heard: list[tuple[float, TaskEvent]] = []
    for number in range(events // 4):
        begin = number + rng.random()
        for position, event in enumerate(_run(number, rng)):
            heard.append((begin + position * overlap / 3 * rng.uniform(0.5, 1.5), event))
    heard.sort(key=lambda pair: pair[0])
    length = heard[-1][0]
    for place, event in heard:
        event.at = now - 60.0 + 60.0 * place / length
    return [event for _, event in heard]


def _run(number: int, rng: random.Random) -> Iterator[TaskEvent]:
    run_id = str(uuid.UUID(int=rng.getrandbits(128)))
    task = _TASKS[min(int(rng.expovariate(0.3)), len(_TASKS) - 1)]
    worker = rng.choice(_WORKERS)
    execution = f"0.1@{worker}#{1000 + hash(worker) % 1000}"
    args, kwargs = f"({number}, 'card')", "{'amount': 12.5, 'currency': 'EUR'}"

    def event(kind: EventKind, **more: object) -> TaskEvent:
        return TaskEvent(kind, run_id, 0.0, framework="celery", attempt=1, source="celery-events", **more)  # type: ignore[arg-type]

    yield event(EventKind.QUEUED, task=task, queue="celery", args=args, kwargs=kwargs, root_id=run_id)
    here = {"worker": worker, "execution": execution}
    yield event(EventKind.RECEIVED, task=task, args=args, kwargs=kwargs, root_id=run_id, **here)
    yield event(EventKind.STARTED, **here)
    duration_s = rng.lognormvariate(-2.0, 0.8)
    if rng.random() < 0.05:
        failure = ExceptionInfo("shop.gateway.Declined", f"order {number} declined", _TRACEBACK)
        yield event(EventKind.FAILED, duration_s=duration_s, exception=failure, **here)
    else:
        yield event(EventKind.SUCCEEDED, duration_s=duration_s, result="{'paid': True}", **here)


def measure(url: str, events: list[TaskEvent], batch: int, burst: bool) -> tuple[float, float]:
    """Return events per second and CPU seconds per 100,000 events."""
    store = Store.open(url)
    collector = Collector(store, settings=CollectorSettings(max_pending_events=10_000_000))
    collector.start()
    pieces = [events[start : start + batch] for start in range(0, len(events), batch)]
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    waiting = []
    for piece in pieces:
        waiting.append(collector.submit(piece, source="celery-events"))
        if not burst and len(waiting) >= _IN_FLIGHT:
            waiting.pop(0).result(60.0)
    for future in waiting:
        future.result(600.0)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    collector.stop()
    stored = store.runs.count()
    store.close()
    if stored != len({event.run_id for event in events}):
        raise SystemExit(f"expected every run to be stored, got {stored}")
    return len(events) / wall, cpu / len(events) * 100_000


def main() -> None:
    """Run the rounds and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=2_000)
    parser.add_argument("--overlap", type=int, default=2_000)
    parser.add_argument("--postgresql", help="address of a server where databases may be made")
    options = parser.parse_args()
    found: dict[str, list[tuple[float, float]]] = {}
    for round_number in range(options.rounds):
        for burst in (False, True):
            targets = ["sqlite"] + (["postgresql"] if options.postgresql else [])
            for target in targets:
                events = stream(options.events, options.overlap, round_number, time.time())
                with tempfile.TemporaryDirectory() as folder:
                    if target == "sqlite":
                        figures = measure(f"sqlite:///{Path(folder) / 'store.db'}", events, options.batch, burst)
                    else:
                        figures = measure(_database(options.postgresql), events, options.batch, burst)
                found.setdefault(f"{target:<10} {'burst' if burst else 'steady'}", []).append(figures)
    print(f"{'':<20}{'events/s':>12}{'CPU s per 100k':>18}")
    for name, figures_of in found.items():
        rate = statistics.median(figure[0] for figure in figures_of)
        cpu = statistics.median(figure[1] for figure in figures_of)
        print(f"{name:<20}{rate:>12,.0f}{cpu:>18.2f}")


def _database(server: str) -> str:
    from sqlalchemy import create_engine, make_url, text

    name = f"bench_{uuid.uuid4().hex[:12]}"
    url = make_url(server).set(drivername="postgresql+psycopg")
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    return url.set(database=name).render_as_string(hide_password=False)


if __name__ == "__main__":
    main()
