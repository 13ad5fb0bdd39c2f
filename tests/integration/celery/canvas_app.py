"""Chains, groups and chords on a real worker; as a module it sends some (`python -m … SIZE GATE`)."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from celery import Celery, chain, chord, group

import huoyan

app = Celery("canvas", broker=os.environ.get("TEST_BROKER", "memory://"), backend=os.environ.get("TEST_BROKER"))
app.conf.update(broker_connection_retry_on_startup=True, task_default_queue="canvas")
huoyan.watch(app, service="canvas")


@app.task(name="canvas.page")
def page(n: int, gate: str = "") -> int:
    """Return a number, once the file `gate` is there."""
    until = time.monotonic() + 60
    while gate and not Path(gate).exists() and time.monotonic() < until:
        time.sleep(0.02)
    return n


@app.task(name="canvas.bind")
def bind(numbers: list[int]) -> int:
    """Add them up."""
    return sum(numbers)


@app.task(name="canvas.post")
def post(total: int) -> int:
    """Return what it is given."""
    return total


def main(size: int, gate: str) -> None:
    """Send a chain of three and a chord whose last header waits for a file; print the ids."""
    row: Any = chain(page.si(1), post.s(), post.s()).apply_async()
    headers = [page.si(n, gate if n == size - 1 else "") for n in range(size)]
    bound: Any = chord(group(headers))(bind.s() | post.s())
    ids = {"row": [row.parent.parent.id, row.parent.id, row.id], "post": bound.id}
    sys.stdout.write(json.dumps(ids) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
