"""A process that works with one adapter until it is killed: `python -m tests.contract.adapters.doomed ADAPTER REDIS
RABBITMQ`, with the address of each broker. HUOYAN_URL says who is told.
"""

import sys
import time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from tests.contract.adapters import ADAPTERS


class Addresses:
    """Stands where a test's request for servers does, with servers that run already."""

    def __init__(self, redis: str, rabbitmq: str) -> None:
        self.servers = {
            "redis_server": SimpleNamespace(url=redis, port=urlsplit(redis).port),
            "rabbitmq_server": SimpleNamespace(url=rabbitmq),
        }

    def getfixturevalue(self, name: str) -> Any:
        """Return what leads to a server."""
        return self.servers[name]


def endless() -> None:
    """Take longer than the process lives."""
    while True:
        time.sleep(0.05)


if __name__ == "__main__":
    request: Any = Addresses(*sys.argv[2:])
    adapter = ADAPTERS[sys.argv[1]](request)
    adapter.submit(endless)
    adapter.work()
