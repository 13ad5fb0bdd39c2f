"""What it costs to report a run: CPU of the whole process for its three events, while the server takes them and while
it is away.

    .venv/bin/python bench/emit.py --against ../other/src

Each round is a process of its own; with `--against` the rounds of both trees take turns, so that a busy machine slows
both. With the server away far more is reported than the buffer holds as it came.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROUND = """
import json, resource, sys, time
from huoyan.client.delivery import Answer, Receipt
from huoyan.client.emitter import Emitter
from huoyan.client.settings import Settings
from huoyan.clock import SYSTEM_CLOCK
from huoyan.model.event import EventKind, TaskEvent

class Server:
    def __init__(self, answer): self.answer = answer
    def send(self, batch, timeout_s): return Receipt(self.answer)
    def forget(self): pass
    def close(self): pass

runs, found = int(sys.argv[1]), {}
for name, answer in (("takes", Answer.STORED), ("away", Answer.LATER)):
    emitter = Emitter(Settings(), SYSTEM_CLOCK, Server(answer), lambda dropped, closing: None)
    lives = [
        [TaskEvent(kind, f"{n * 2654435761 % 2**128:032x}", 1.79e9 + n / 300, task="shop.pay", service="shop",
                   framework="function", worker="shop@host:4242", execution="1@shop@host:4242", attempt=1, args=[n],
                   duration_s=n / 7e5 if kind is EventKind.SUCCEEDED else None)
         for kind in (EventKind.QUEUED, EventKind.STARTED, EventKind.SUCCEEDED)]
        for n in range(runs)
    ]
    longest = 0.0
    began = time.process_time()
    for life in lives:
        for event in life:
            before = time.perf_counter()
            emitter.put(event)
            longest = max(longest, time.perf_counter() - before)
    if answer is Answer.STORED:
        emitter.flush(60)
    found[name] = (time.process_time() - began) / (3 * runs) * 1e6
    found[name + " longest ms"] = longest * 1e3
    found[name + " lost"] = emitter.dropped
print(json.dumps(found))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--against", type=Path, help="the src folder of another tree")
    asked = parser.parse_args()
    trees = {"here": ROOT / "src", **({"there": asked.against} if asked.against else {})}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
    for _ in range(asked.rounds):
        for name, source in trees.items():
            env = {**os.environ, "PYTHONPATH": str(source)}
            done = subprocess.run(
                [sys.executable, "-c", ROUND, str(asked.runs)], env=env, check=True, capture_output=True, text=True
            )
            found[name].append(json.loads(done.stdout))
    for name, rounds in found.items():
        for what in rounds[0]:
            values = sorted(one[what] for one in rounds)
            unit = "" if "lost" in what else "" if "ms" in what else " us an event"
            print(f"{name:<6} {what:<18} least {values[0]:10.2f} median {statistics.median(values):10.2f}{unit}")


if __name__ == "__main__":
    main()
