"""Sends the tasks of a test in a process of its own: `python -m tests.integration.celery.publish PREFIX COUNT`."""

import datetime
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.integration.celery.app import KINDS, app, hold, survive, tree, work
from tests.servers.waiting import wait_until

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)


def main(prefix: str, count: int, *, special: bool) -> None:
    """Send `count` tasks with ids `{prefix}-{n}`, and with `special` those that need somebody to interfere."""
    if special:
        work.apply_async(("ok", 0), task_id="waiting", countdown=5)
        _wait(lambda: "waiting" in _ids(app.control.inspect(timeout=0.4).scheduled()), "the task to wait in the worker")
        app.control.revoke("waiting")
        app.control.revoke("revoked-early")
        _wait(lambda: "revoked-early" in _ids(app.control.inspect(timeout=0.4).revoked()), "the revocation to arrive")
        work.apply_async(("ok", 0), task_id="revoked-early")
        work.apply_async(("ok", 0), task_id="expired", expires=PAST)
        app.send_task("orders.unheard", task_id="unknown")
        tree.apply_async(task_id="root")
        # Celery takes ten seconds to be sure that a child is dead, so these come first; children die between other
        # tasks.
        work.apply_async(("killed", 0), task_id="killed")
        survive.apply_async(task_id="crashed")
        hold.apply_async((60,), task_id="too-long", time_limit=1)
        hold.apply_async((60,), task_id="terminated")
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for n in range(count):
            work.apply_async((KINDS[n % 10], n), task_id=f"{prefix}-{n}", producer=producer)
    if special:
        _wait(lambda: "terminated" in _ids(app.control.inspect(timeout=0.4).active()), "the task to run")
        app.control.revoke("terminated", terminate=True)


def _ids(answer: Any) -> set[str]:
    """Return the ids that workers answered with."""
    found = set()
    for items in (answer or {}).values():
        for item in items:
            found.add(item if isinstance(item, str) else (item.get("id") or item.get("request", {}).get("id")))
    return found


def _wait(condition: Callable[[], bool], message: str) -> None:
    wait_until(condition, 20.0, message, interval_s=0.1)


if __name__ == "__main__":
    began_at = time.monotonic()
    main(sys.argv[1], int(sys.argv[2]), special="special" in sys.argv[3:])
    print(f"sent in {time.monotonic() - began_at:.1f} s")
