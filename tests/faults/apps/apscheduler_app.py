"""APScheduler: sixty jobs, each due every second, until COUNT runs began: `… COUNT SECONDS`.

It stays until it is ended. Each job has a moment of its own in the second, and runs in one of eight threads.
"""

import itertools
import signal
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

import huoyan
from huoyan.client import context
from tests.faults.diary import note, work

JOBS = 60
scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(8)}, timezone=UTC)
huoyan.watch(scheduler, service="faults")
began = itertools.count(1)
latest: dict[str, str] = {}


def job(name: str, left: int, seconds: float) -> None:
    """Take a while; when enough runs began, there will be no more."""
    current = context.current()
    assert current is not None
    latest[name] = current.run_id
    if next(began) == left:
        scheduler.remove_all_jobs()
    work(current.run_id, seconds)


def told(event: Any) -> None:
    """Write down that all is said of a run: listeners are called in the order in which they were added."""
    note(latest[event.job_id], "told")


if __name__ == "__main__":
    scheduler.add_listener(told, EVENT_JOB_EXECUTED)
    wanted, takes = int(sys.argv[1]), float(sys.argv[2])
    for number in range(JOBS):
        first = datetime.now(UTC) + timedelta(seconds=1 + number / JOBS)
        options: dict[str, Any] = {"args": (f"job-{number}", wanted, takes), "id": f"job-{number}"}
        scheduler.add_job(job, "interval", seconds=1, start_date=first, **options)
    scheduler.start()
    signal.pause()
