"""What watching a dependency adds to one SQL statement and to one Redis command, within a request that collects.

Statements go to SQLite in memory, commands to a Redis of their own on the loopback interface, in short interleaved
rounds, so that what else a shared machine does meets all alike; what counts is the CPU time of the thread that calls,
for how long it waits for Redis is up to Redis. SQL is compared with what OpenTelemetry's SQLAlchemy
instrumentation adds, its spans given to a processor that keeps nothing. Targets: 5 µs for a statement, 3 µs for a
command.

    python bench/dependency_overhead.py [--rounds 200] [--calls 200] [--json]
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from time import thread_time
from typing import Any

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


def sql(connection: Connection, calls: int) -> float:
    """Return the seconds that so many statements take."""
    statement = text("SELECT total FROM orders WHERE id = :id")
    entry = breakdown.enter("request")
    started = thread_time()
    for _ in range(calls):
        connection.execute(statement, {"id": 1}).scalar()
    took = thread_time() - started
    breakdown.leave(entry)
    return took


def commands(client: Any, calls: int) -> float:
    """Return the seconds that so many commands take."""
    for _ in range(_WARM_UP):
        client.get("key")
    entry = breakdown.enter("request")
    started = thread_time()
    for _ in range(calls):
        client.get("key")
    took = thread_time() - started
    breakdown.leave(entry)
    return took


async def commands_async(client: Any, calls: int) -> float:
    """Return the seconds that so many commands take, one after the other in an event loop."""
    for _ in range(_WARM_UP):
        await client.get("key")
    entry = breakdown.enter("request")
    started = thread_time()
    for _ in range(calls):
        await client.get("key")
    took = thread_time() - started
    breakdown.leave(entry)
    return took


def measure(variants: dict[str, Callable[[int], float]], rounds: int, calls: int) -> dict[str, float]:
    """Return the microseconds of one call for each variant: the lowest tenth of the rounds, because what else a machine
    does only ever adds."""
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
    return {name: statistics.quantiles(times, n=10)[0] for name, times in took.items()}


def switched(client: Any, run: Callable[[Any, int], float]) -> dict[str, Callable[[int], float]]:
    """Return the variants of one client, which is watched and not watched in turn: connections differ, too."""

    def bare(calls: int) -> float:
        huoyan.unwatch(client)
        return run(client, calls)

    def watched(calls: int) -> float:
        huoyan.watch(client)
        return run(client, calls)

    return {"bare": bare, "huoyan": watched}


def main() -> int:
    """Measure, print, and return 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    figures: dict[str, dict[str, float]] = {}
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
    try:
        figures["Redis"] = measure(switched(redis.Redis(port=server.port), commands), options.rounds, options.calls)
        with asyncio.Runner() as runner:
            client = redis.asyncio.Redis(port=server.port)
            variants = switched(client, lambda each, calls: runner.run(commands_async(each, calls)))
            figures["Redis asyncio"] = measure(variants, options.rounds, options.calls)
            runner.run(client.aclose())
    finally:
        server.stop()

    added = {
        kind: {name: round(us - times["bare"], 2) for name, us in times.items() if name != "bare"}
        for kind, times in figures.items()
    }
    met = {kind: added[kind]["huoyan"] <= target for kind, target in TARGETS_US.items()}
    if options.json:
        print(json.dumps({"us": figures, "added_us": added, "met": met}))
    else:
        for kind, times in figures.items():
            print(f"{kind}: bare {times['bare']:.1f} µs")
            for name, us in added[kind].items():
                print(f"  {name} adds {us:.2f} µs")
            print(f"  target {TARGETS_US[kind]} µs: {'met' if met[kind] else 'missed'}")
    return 0 if all(met.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
