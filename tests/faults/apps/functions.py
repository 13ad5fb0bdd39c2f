"""Plain functions in threads of one process: `… COUNT SECONDS`. It stays until it is ended."""

import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import huoyan
from huoyan.client import context
from tests.faults.diary import work


@huoyan.task(name="faults.function", service="faults")
def function(seconds: float) -> None:
    """Take a while."""
    current = context.current()
    assert current is not None
    work(current.run_id, seconds)


if __name__ == "__main__":
    with ThreadPoolExecutor(4) as pool:
        for _ in range(int(sys.argv[1])):
            pool.submit(function, float(sys.argv[2]))
    signal.pause()
