"""How fast `huoyan serve --celery` takes a Celery event stream, beside Flower on the same stream.

    python bench/celery_ingest.py [--events 100000] [--burst 200000] [--rounds 3]

Real processes around a real Redis: a publisher (bench/celery_stream.py), and one consumer at a time, interleaved round
by round: Flower, Flower with `--persistent`, and `huoyan serve` with its history in SQLite. `steady` is the most that a
consumer takes without being cut off by Redis; `burst` is published as fast as Redis takes it. Events count when the
consumer has processed them (Huoyan: stored them). Prints medians, and writes them to bench/results/celery_ingest.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.servers import HuoyanServer, RedisServer, ServerProcess, free_port  # noqa: E402

PYTHON = Path(sys.executable)
RESULTS = ROOT / "bench" / "results" / "celery_ingest.json"
NO_PROGRESS_S = 5.0
CONSUMERS = ("flower", "flower persistent", "huoyan")


@dataclass
class Measurement:
    """What one consumer did with one stream."""

    consumer: str
    mode: str
    events: int
    processed: int
    seconds: float
    cpu_s_per_100k: float
    memory_mb: float

    @property
    def per_second(self) -> float:
        """Events processed per second, until the last one was."""
        return self.processed / self.seconds if self.seconds else 0.0


class Consumer:
    """A running consumer: how much it has processed, and what that cost."""

    def __init__(self, url: str, metric: str, pid: int) -> None:
        self._url = url
        self._metric = metric
        self._process = psutil.Process(pid)

    def processed(self) -> int:
        """Return how many events it has processed so far, by its own count."""
        with urllib.request.urlopen(self._url, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        return int(
            sum(
                float(line.rsplit(" ", 1)[1])
                for line in lines
                if line.startswith((f"{self._metric}{{", f"{self._metric} "))
            )
        )

    def cpu_s(self) -> float:
        """Return the processor time it has used, children included."""
        times = [process.cpu_times() for process in (self._process, *self._process.children(recursive=True))]
        return sum(each.user + each.system for each in times)

    def memory_mb(self) -> float:
        """Return its resident memory."""
        return self._process.memory_info().rss / 1024**2


@contextmanager
def consumer(name: str, redis: RedisServer) -> Iterator[Consumer]:
    """Start a consumer and give it when it listens."""
    if name == "huoyan":
        with HuoyanServer("--celery", redis.url) as server:
            assert server.process.pid is not None
            _wait_for_subscriber(redis)
            yield Consumer(f"{server.url}/metrics", "huoyan_events_received_total", server.process.pid)
        return
    port = free_port()
    flower = ServerProcess("flower")
    with tempfile.TemporaryDirectory() as folder:
        persistent = ("--persistent=True", f"--db={folder}/flower") if "persistent" in name else ()
        url = f"http://127.0.0.1:{port}/metrics"
        arguments = ("flower", "--address=127.0.0.1", f"--port={port}", "--logging=error", *persistent)
        flower.run(
            [PYTHON.with_name("celery"), f"--broker={redis.url}", *arguments], lambda: _answers(url), timeout_s=40
        )
        try:
            assert flower.pid is not None
            _wait_for_subscriber(redis)
            yield Consumer(url, "flower_events_total", flower.pid)
        finally:
            flower.close()


def _answers(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)


def _wait_for_subscriber(redis: RedisServer) -> None:
    deadline = time.monotonic() + 20
    while redis.command("PUBLISH", "/0.celeryev/worker.heartbeat", "") == b":0":
        if time.monotonic() > deadline:
            raise RuntimeError("expected a subscriber of the events, there is none")
        time.sleep(0.05)


def measure(name: str, mode: str, events: int, seed: int, redis: RedisServer) -> Measurement:
    """Publish a stream to one consumer and wait until it has processed it, or gets no further."""
    publisher = subprocess.Popen(
        [PYTHON, ROOT / "bench" / "celery_stream.py", str(redis.port), str(events), mode, str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert publisher.stdin is not None
    assert publisher.stdout is not None
    with consumer(name, redis) as running:
        publisher.stdout.readline()
        before, cpu_before = running.processed(), running.cpu_s()
        began = time.perf_counter()
        publisher.stdin.write("\n")
        publisher.stdin.flush()
        processed, at = 0, began
        while processed < events:
            time.sleep(0.2)
            now = running.processed() - before
            if now > processed:
                processed, at = now, time.perf_counter()
            elif time.perf_counter() - at > NO_PROGRESS_S and publisher.poll() is not None:
                break
        cpu_s, memory_mb = running.cpu_s() - cpu_before, running.memory_mb()
        publisher.communicate(timeout=120)
    cost = cpu_s / max(processed, 1) * 100_000
    return Measurement(name, mode, events, processed, at - began, cost, memory_mb)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--burst", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    done: list[Measurement] = []
    with RedisServer() as redis:
        for number in range(options.rounds):
            for mode, events in (("steady", options.events), ("burst", options.burst)):
                for name in CONSUMERS:
                    if mode == "burst" and (name == "flower persistent" or not events):
                        continue
                    one = measure(name, mode, events, number + 1, redis)
                    done.append(one)
                    print(
                        f"round {number + 1} {mode:6} {name:18} {one.per_second:8,.0f} events/s "
                        f"{one.cpu_s_per_100k:6.2f} CPU s per 100k {one.events - one.processed:8,} lost "
                        f"{one.memory_mb:6.0f} MB",
                        flush=True,
                    )
    summary = _summary(done)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({"summary": summary, "rounds": [asdict(one) for one in done]}, indent=2))
    for line in summary:
        print(line)


def _summary(done: list[Measurement]) -> list[str]:
    lines = []
    rates: dict[tuple[str, str], float] = {}
    for mode in ("steady", "burst"):
        for name in CONSUMERS:
            those = [one for one in done if (one.consumer, one.mode) == (name, mode)]
            if not those:
                continue
            rates[mode, name] = statistics.median(one.per_second for one in those)
            cpu = statistics.median(one.cpu_s_per_100k for one in those)
            lost = statistics.median((one.events - one.processed) / one.events for one in those)
            lines.append(
                f"{mode:6} {name:18} {rates[mode, name]:8,.0f} events/s {cpu:6.2f} CPU s per 100k {lost:7.1%} lost"
            )
    if ("steady", "huoyan") in rates:
        peers = [rates["steady", name] for name in CONSUMERS[:2]]
        lines.append(f"Huoyan takes {rates['steady', 'huoyan'] / max(peers):.2f} times what Flower takes")
    return lines


if __name__ == "__main__":
    main()
