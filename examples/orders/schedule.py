"""When reports and reconciliation run, by APScheduler.

python -m examples.orders.schedule
"""

import logging
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler

import huoyan
from examples.orders import reports
from examples.orders.database import prepare
from examples.orders.settings import settings


def scheduler(kind: type[BaseScheduler] = BackgroundScheduler) -> Any:
    """Return a scheduler that knows what to run when, watched and not yet started."""
    chosen = kind(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    huoyan.watch(chosen)
    every = settings().report_interval_s
    chosen.add_job(reports.daily_report, "interval", seconds=every, id="daily-report", name="orders.daily_report")
    chosen.add_job(
        reports.reconcile_inventory,
        "interval",
        seconds=every * 4 / 3,
        id="reconcile-inventory",
        name="orders.reconcile_inventory",
    )
    chosen.add_job(reports.archive, "interval", seconds=every * 4, id="archive", name="orders.archive")
    return chosen


def main() -> None:
    """Run the schedule until the process is told to end."""
    import signal

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("apscheduler.executors").setLevel(logging.WARNING)
    prepare()
    blocking = scheduler(BlockingScheduler)
    signal.signal(signal.SIGTERM, lambda *_: blocking.shutdown(wait=False))
    print("the schedule begins", flush=True)
    try:
        blocking.start()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
