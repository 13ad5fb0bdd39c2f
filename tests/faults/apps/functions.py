"""Plain functions in threads of one process: `… COUNT SECONDS`. It stays until it is ended."""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import huoyan
from huoyan.client import context
from tests.faults.diary import note, work


@huoyan.task(name="faults.function", service="faults")
def function(seconds: float) -> str:
    """Take a while, and say which run this was."""
    current = context.current()
    assert current is not None
    work(current.run_id, seconds)
    return current.run_id


def told(seconds: float) -> None:
    """Run it, and write down when all is said of it."""
    note(function(seconds), "told")


if __name__ == "__main__":
    with ThreadPoolExecutor(4) as pool:
        for _ in range(int(sys.argv[1])):
            pool.submit(told, float(sys.argv[2]))
    signal.pause()
