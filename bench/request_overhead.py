"""What watching a FastAPI application adds to one request, beside what prometheus-fastapi-instrumentator adds.

Requests are made in process, without a network, in many short interleaved rounds, so that what else a shared machine
does meets all alike. The figure to compare is the ratio within one run. Target: at most a third of what the
instrumentator adds.

    python bench/request_overhead.py [--rounds 300] [--requests 100] [--json]
"""

import argparse
import asyncio
import gc
import json
import os
import statistics
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

# No server: what is measured is the request, and events of tasks are not part of it.
os.environ.pop("HUOYAN_URL", None)

import prometheus_client
from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator

import huoyan

TARGET_RATIO = 1 / 3


def application(other_routes: int) -> FastAPI:
    """Return an application with one route of interest, registered after all the others."""
    app = FastAPI()

    def other() -> dict[str, bool]:
        return {"other": True}

    for number in range(other_routes):
        app.get(f"/other-{number}/{{item_id}}")(other)

    @app.get("/orders/{order_id}")
    async def order(order_id: int) -> dict[str, int]:
        return {"id": order_id}

    return app


def bare(app: FastAPI) -> None:
    """Leave the application as it is."""


def watched(app: FastAPI) -> None:
    """Watch it."""
    huoyan.watch(app, registry=prometheus_client.CollectorRegistry())


def instrumented(app: FastAPI) -> None:
    """Put the instrumentator with its defaults into it."""
    Instrumentator(registry=prometheus_client.CollectorRegistry()).instrument(app)


VARIANTS: dict[str, Callable[[FastAPI], None]] = {
    "bare": bare,
    "huoyan.watch": watched,
    "prometheus-fastapi-instrumentator": instrumented,
}


def scope(path: str) -> dict[str, Any]:
    """Return the scope of one request as a server makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"bench"), (b"accept", b"*/*")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def receive() -> dict[str, Any]:
    """Return an empty body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(message: dict[str, Any]) -> None:
    """Take the response; anything but a success would measure the wrong thing."""
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"expected status 200, got {message['status']}")


async def once(app: Any, requests: int) -> float:
    """Return the seconds that one of `requests` requests takes."""
    started = perf_counter()
    for _ in range(requests):
        await app(scope("/orders/7"), receive, send)
    return (perf_counter() - started) / requests


async def measure(other_routes: int, rounds: int, requests: int) -> dict[str, dict[str, float]]:
    """Return, for each variant, the median microseconds of a request and what they are above those of the bare one."""
    apps = {}
    for name, prepare in VARIANTS.items():
        apps[name] = application(other_routes)
        prepare(apps[name])
        await once(apps[name], 200)
    times: dict[str, list[float]] = {name: [] for name in apps}
    added: dict[str, list[float]] = {name: [] for name in apps}
    for number in range(rounds):
        order = list(apps)
        if number % 2:
            order.reverse()
        if number % 20 == 0:
            gc.collect()
        gc.disable()
        round_ = {name: await once(apps[name], requests) for name in order}
        gc.enable()
        for name, seconds in round_.items():
            times[name].append(seconds * 1e6)
            added[name].append((seconds - round_["bare"]) * 1e6)
    return {
        name: {"request_us": statistics.median(times[name]), "added_us": statistics.median(added[name])}
        for name in apps
    }


def main() -> int:
    """Print the figures; return 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = {}
    missed = False
    for other_routes in (0, 100):
        figures = asyncio.run(measure(other_routes, options.rounds, options.requests))
        ratio = figures["huoyan.watch"]["added_us"] / figures["prometheus-fastapi-instrumentator"]["added_us"]
        missed |= ratio > TARGET_RATIO
        results[f"{other_routes} other routes"] = {**figures, "ratio": ratio}
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        for title, figures in results.items():
            print(f"\n{title}")
            for name in VARIANTS:
                print(f"  {name:36}{figures[name]['request_us']:9.1f} µs{figures[name]['added_us']:9.1f} µs added")
            print(f"  {'added, huoyan / instrumentator':36}{figures['ratio']:9.3f}    (at most {TARGET_RATIO:.3f})")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
