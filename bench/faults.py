"""Ten thousand runs through faults: what really happened, by the tasks' own record, against what Huoyan says of it.

    .venv/bin/python bench/faults.py --runs 10000 --framework celery --framework function

Workers and their children are killed and stopped in the middle of the work, the server too where hooks report. Needs
RabbitMQ for Celery and Redis for RQ; both are started here.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("HUOYAN_SPOOL", tempfile.mkdtemp(prefix="huoyan-spool-"))

from tests.faults.deployments import KINDS  # noqa: E402
from tests.faults.scenario import Outcome, evidence, restart, run  # noqa: E402
from tests.servers import HuoyanServer, RabbitmqServer, RedisServer  # noqa: E402
from tests.servers.process import Server  # noqa: E402

WAYS = {
    "celery": ("hooks", "stream"),
    "celery-late": ("hooks", "stream"),
    "celery-redis": ("hooks", "stream"),
    "celery-redis-late": ("hooks", "stream"),
    "dramatiq": ("hooks",),
    "dramatiq-rabbitmq": ("hooks",),
    "huey": ("hooks",),
    "arq": ("hooks",),
    "rq": ("hooks", "poll"),
    "taskiq": ("hooks",),
    "taskiq-stream": ("hooks",),
    "apscheduler": ("hooks",),
    "function": ("hooks",),
    "background": ("hooks",),
}
OVER_RABBITMQ = frozenset({"celery", "celery-late", "dramatiq-rabbitmq"})
OVER_REDIS = frozenset(
    {"celery-redis", "celery-redis-late", "dramatiq", "huey", "arq", "rq", "taskiq", "taskiq-stream"}
)
SECONDS = 0.03
"""Slow enough that what happens while the server starts again fits into the 10,000 events that a process keeps."""


def main() -> None:
    """Run what was asked for and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=6, help="how often the row of faults is done")
    parser.add_argument("--framework", action="append", choices=sorted(WAYS))
    parser.add_argument("--way", action="append", choices=("hooks", "stream", "poll"), help="default: each there is")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds that each may take to settle")
    asked = parser.parse_args()
    names = ("runs", "faults", "lost", "found", "unheard", "untold", "unsure", "false", "recall", "took s", "settled s")
    print(f"{'framework':<30}" + "".join(f"{name:>10}" for name in names))
    for framework in asked.framework or WAYS:
        for way in [way for way in WAYS[framework] if not asked.way or way in asked.way]:
            began = time.monotonic()
            outcome = measure(framework, way, asked.runs, asked.rounds, asked.limit)
            show(framework, way, outcome, time.monotonic() - began)


def measure(framework: str, way: str, runs: int, rounds: int, limit_s: float) -> Outcome:
    """Run one framework through faults."""
    with ExitStack() as stack:
        address = ""
        broker: Server | None = None
        if framework in OVER_RABBITMQ:
            broker = rabbitmq = stack.enter_context(RabbitmqServer())
            address = rabbitmq.make_virtual_host("faults")
        elif framework in OVER_REDIS:
            broker = redis = stack.enter_context(RedisServer(durable=True))
            address = redis.url
        watched = () if way == "hooks" else (f"--{framework.partition('-')[0]}", address)
        server = stack.enter_context(HuoyanServer(*watched))
        deployment = KINDS[framework](server, address, hooks=way == "hooks")
        stack.callback(deployment.close)
        further: list[Callable[[], None]] = []
        if way == "hooks":
            # The work horse of RQ dies of it, which RQ calls a failure of a job that had ended well.
            if broker is not None and framework != "rq":
                further.append(partial(restart, broker))
            # What a broker's stream says while nobody reads is gone.
            further.append(partial(restart, server))
        outcome = run(
            deployment,
            runs,
            SECONDS,
            rounds=rounds,
            # RQ is not watched through its worker, and takes a broker that is away for a failure of the job.
            network=way != "poll",
            further=further,
            limit_s=limit_s,
        )
        print(evidence(deployment, outcome.account), end="", file=sys.stderr)
        return outcome


def show(framework: str, way: str, outcome: Outcome, took_s: float) -> None:
    """Print one line, and every untruth by name."""
    account = outcome.account
    lists = (account.died, account.found, account.unheard, account.untold, account.unsure, account.false_losses)
    counts = (account.runs, outcome.faults, *map(len, lists))
    times = f"{account.recall:>10.1%}{took_s:>10.0f}{outcome.converged_s:>10.1f}"
    print(f"{framework + ' by ' + way:<30}" + "".join(f"{count:>10}" for count in counts) + times, flush=True)
    for name, ids in account.faults.items():
        print(f"    {name}: {len(ids)}, e.g. {', '.join(ids[:3])}")


if __name__ == "__main__":
    main()
