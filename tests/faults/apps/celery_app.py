"""Celery: `celery -A tests.faults.apps.celery_app worker`; as a module it sends tasks: `… COUNT SECONDS`."""

import json
import os
import sys
from typing import Any

from celery import Celery, signals

import huoyan
from tests.faults.diary import note, work

app = Celery("faults", broker=os.environ.get("FAULTS_BROKER", "memory://"))
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    task_send_sent_event=True,
    worker_prefetch_multiplier=2,
    task_default_queue="faults",
    task_acks_late=bool(os.environ.get("FAULTS_ACKS_LATE")),
)
if app.conf.broker_url.startswith("redis"):
    # What a killed worker had comes back after this time instead of an hour.
    app.conf.broker_transport_options = {"visibility_timeout": 5}
if os.environ.get("HUOYAN_URL"):
    huoyan.watch(app, service="faults")

    @signals.task_postrun.connect  # Behind the hook of what watches.
    def told(task_id: str = "", **_: Any) -> None:
        """Write down that all is said of a task."""
        note(task_id, "told")


@app.task(name="faults.work", bind=True)
def celery_work(self: Any, seconds: float) -> None:
    """Take a while."""
    work(self.request.id, seconds)


if __name__ == "__main__":
    with app.connection_for_write() as connection, app.amqp.Producer(connection) as producer:
        for _ in range(int(sys.argv[1])):
            sent = celery_work.apply_async((float(sys.argv[2]),), producer=producer)
            sys.stdout.write(json.dumps(sent.id) + "\n")
