"""What watching a dependency adds to one SQL statement and to one Redis command, within a request that collects.

Statements go to SQLite in memory, commands to a Redis of their own on the loopback interface, in short interleaved
rounds, so that what else a shared machine does meets all alike; what counts is the CPU time of the thread that calls,
for how long it waits for Redis is up to Redis. Each round gives one difference to the bare call of the same round;
told is the median of them, with the bounds between which the true one lies with a probability of 95 %. SQL is
compared with what OpenTelemetry's SQLAlchemy instrumentation adds, its spans given to a processor that keeps nothing.
Targets: 5 µs for a statement, 3 µs for a command.

On a machine that has nothing else to do the cores fall asleep between a command and its answer; to wake them up takes
more CPU time than the command, and differs more than what is measured. A server at work is awake, so here something
of the lowest priority is. `--idle` does without it.

    python bench/dependency_overhead.py [--rounds 1000] [--calls 100] [--idle] [--json]
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import thread_time
from typing import Any, NamedTuple

# No server: what is measured is the call.
os.environ.pop("HUOYAN_URL", None)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import redis
import redis.asyncio
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import StaticPool

import huoyan
from huoyan.client import breakdown
from tests.servers.redis import RedisServer

_WARM_UP = 20
TARGETS_US = {"SQL": 5.0, "Redis": 3.0, "Redis asyncio": 3.0}


class _Nowhere(SpanExporter):
    """Keeps no span."""

    def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
        """Say that it was done."""
        return SpanExportResult.SUCCESS


def engine() -> Engine:
    """Return an engine with one table and one row."""
    new = create_engine("sqlite://", poolclass=StaticPool)
    with new.begin() as connection:
        connection.execute(text("CREATE TABLE orders (id INTEGER PRIMARY KEY, total INTEGER)"))
        connection.execute(text("INSERT INTO orders VALUES (1, 5)"))
    return new


def instrumented(new: Engine) -> Engine:
    """Put OpenTelemetry's instrumentation into an engine."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(_Nowhere()))
    SQLAlchemyInstrumentor().instrument(engine=new, tracer_provider=provider, skip_dep_check=True)
    return new


def end(entry: breakdown.Entry) -> None:
    """End a request as it ends when nobody wants to know where its time went, like nearly all of them."""
    breakdown.suspend(entry.token)
    entry.collector.over()


def sql(connection: Connection, calls: int) -> float:
    """Return the seconds that so many statements take."""
    statement = text("SELECT total FROM orders WHERE id = :id")
    entry = breakdown.enter("request")
    started = thread_time()
    for _ in range(calls):
        connection.execute(statement, {"id": 1}).scalar()
    end(entry)
    return thread_time() - started


def commands(client: Any, calls: int) -> float:
    """Return the seconds that so many commands take."""
    for _ in range(_WARM_UP):
        client.get("key")
    entry = breakdown.enter("request")
    started = thread_time()
    for _ in range(calls):
        client.get("key")
    end(entry)
    return thread_time() - started


async def commands_async(client: Any, calls: int) -> float:
    """Return the seconds that so many commands take, one after the other in an event loop."""
    for _ in range(_WARM_UP):
        await client.get("key")
    entry = breakdown.enter("request")
    started = thread_time()
    for _ in range(calls):
        await client.get("key")
    end(entry)
    return thread_time() - started


class Figures(NamedTuple):
    """Microseconds of one call."""

    bare: float
    added: dict[str, float]
    between: dict[str, tuple[float, float]]


def measure(variants: dict[str, Callable[[int], float]], rounds: int, calls: int) -> Figures:
    """Return what one call takes, and what each variant other than `bare` adds to it."""
    took: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run(calls)
    gc.collect()
    gc.disable()
    for number in range(rounds):
        names = list(variants)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            took[name].append(variants[name](calls) / calls * 1e6)
    gc.enable()
    bare = took.pop("bare")
    differences = {name: sorted(us - of for us, of in zip(took[name], bare, strict=True)) for name in took}
    # Of so many rounds about half lie below the true median, by the binomial distribution; 1.96 as of the normal one.
    off = round(1.96 * rounds**0.5 / 2)
    return Figures(
        statistics.median(bare),
        {name: statistics.median(values) for name, values in differences.items()},
        {
            name: (values[rounds // 2 - off], values[min(rounds // 2 + off, rounds - 1)])
            for name, values in differences.items()
        },
    )


def switched(client: Any, run: Callable[[Any, int], float]) -> dict[str, Callable[[int], float]]:
    """Return the variants of one client, which is watched and not watched in turn: connections differ, too."""

    def bare(calls: int) -> float:
        huoyan.unwatch(client)
        return run(client, calls)

    def watched(calls: int) -> float:
        huoyan.watch(client)
        return run(client, calls)

    return {"bare": bare, "huoyan": watched}


def keep_awake() -> subprocess.Popen[bytes]:
    """Start something that gets the time that nobody else wants."""
    code = "import os\nos.nice(19)\nstarter = os.getppid()\nwhile os.getppid() == starter: pass"
    return subprocess.Popen([sys.executable, "-c", code])


def main() -> int:
    """Measure, print, and return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--idle", action="store_true", help="let cores fall asleep between a command and its answer")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    figures: dict[str, Figures] = {}
    connections = {
        "bare": engine().connect(),
        "huoyan": huoyan.watch(engine()).connect(),
        "opentelemetry": instrumented(engine()).connect(),
    }
    figures["SQL"] = measure(
        {name: lambda n, c=connection: sql(c, n) for name, connection in connections.items()},
        options.rounds,
        options.calls,
    )
    server = RedisServer().start()
    awake = None if options.idle else keep_awake()
    try:
        figures["Redis"] = measure(switched(redis.Redis(port=server.port), commands), options.rounds, options.calls)
        with asyncio.Runner() as runner:
            client = redis.asyncio.Redis(port=server.port)
            variants = switched(client, lambda each, calls: runner.run(commands_async(each, calls)))
            figures["Redis asyncio"] = measure(variants, options.rounds, options.calls)
            runner.run(client.aclose())
    finally:
        if awake is not None:
            awake.kill()
            awake.wait()
        server.stop()

    met = {kind: found.added["huoyan"] <= TARGETS_US[kind] for kind, found in figures.items()}
    if options.json:
        print(json.dumps({"us": {kind: found._asdict() for kind, found in figures.items()}, "met": met}))
    else:
        for kind, found in figures.items():
            print(f"{kind}: bare {found.bare:.1f} µs")
            for name, us in found.added.items():
                print("  {} adds {:.2f} µs ({:.2f} to {:.2f})".format(name, us, *found.between[name]))
            print(f"  target {TARGETS_US[kind]} µs: {'met' if met[kind] else 'missed'}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
