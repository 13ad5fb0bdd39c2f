"""Processes that work with one adapter each until they are killed: `python -m tests.contract.adapters.doomed REDIS
RABBITMQ`, with the address of each broker. HUOYAN_URL says who is told.

Each line of the input, `ADAPTER ROLE`, is answered with a line of JSON by a new process. It is forked from this one,
which has imported every framework already, and reports as the service ADAPTER: that is what tells their runs apart.

| role | does |
|---|---|
| endless | asks for a call that takes longer than the process lives, and for some behind it |
| heir | works on what that one left, where each call ends at once; asks for one that is delivered again after success |
| schedule | keeps a schedule |
"""

import ctypes
import json
import os
import signal
import sys
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from huoyan.client.capabilities import Capability
from tests.contract.adapters import ADAPTERS, Make
from tests.contract.adapters.contract import AdapterUnderTest
from tests.contract.adapters.huey import HueyAdapter

WAITING = 12
"""Calls behind the endless one: more than any worker takes in advance."""
_PR_SET_PDEATHSIG = 1
_heir = False


class Addresses:
    """Stands where a test's request for servers does, with servers that run already and one queue for each adapter."""

    def __init__(self, redis: str, rabbitmq: str, queue: str) -> None:
        self.queue = queue
        self.servers = {
            "redis_server": SimpleNamespace(
                url=redis, port=urlsplit(redis).port, database_url=lambda n: f"{redis.rpartition('/')[0]}/{n}"
            ),
            "rabbitmq_server": SimpleNamespace(url=rabbitmq),
            # Whoever looks from outside is elsewhere.
            "observer": None,
            "celery_events": None,
        }

    def getfixturevalue(self, name: str) -> Any:
        """Return what leads to a server."""
        return self.servers[name]


def endless() -> None:
    """Take longer than the process lives; an heir has it easier."""
    while not _heir:
        time.sleep(0.05)


def brief() -> None:
    """Take no time."""


def again() -> None:
    """Take no time, for what is delivered twice."""


def made(make: Make, request: Any, role: str) -> AdapterUnderTest:
    """Return an adapter that takes one call at a time."""
    # Huey in memory dies with its process.
    adapter = (
        HueyAdapter(request.queue, request.getfixturevalue("redis_server").port) if make is HUEY else make(request)
    )
    adapter.carefully(redeliver_after_s=3.0 if role == "heir" else 600.0)
    for function in (endless, brief, again):
        adapter.declare(function)
    return adapter


HUEY = ADAPTERS["huey"]


def live(name: str, role: str, redis: str, rabbitmq: str, output: int) -> None:
    """Do what the role says until killed."""
    global _heir
    _heir = role == "heir"
    os.environ["HUOYAN_SERVICE"] = name
    queue = f"{name}-schedule" if role == "schedule" else name
    adapter = made(ADAPTERS[name], Addresses(redis, rabbitmq, queue), role)
    told = {
        "name": name,
        "role": role,
        "pid": os.getpid(),
        "tells": [each for each in Capability if adapter.tells(each)],
    }
    os.write(output, json.dumps(told).encode() + b"\n")
    if role == "schedule":
        adapter.schedule(brief)
        return
    if role == "heir":
        adapter.twice(again)
    else:
        adapter.submit(endless)
        for _ in range(WAITING if adapter.queues else 0):
            adapter.submit(brief)
    adapter.serve()


def main(redis: str, rabbitmq: str) -> None:
    """Fork a process for each line that is read."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What frameworks write goes to the log.
    output = os.dup(1)
    os.dup2(2, 1)
    libc = ctypes.CDLL(None)
    for line in sys.stdin:
        if os.fork() == 0:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            name, role = line.split()
            live(name, role, redis, rabbitmq, output)
            os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
