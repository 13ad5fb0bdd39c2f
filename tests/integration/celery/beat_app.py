"""A Celery application with a schedule, for a real beat: `celery -A tests.integration.celery.beat_app beat`."""

import os

from celery import Celery
from celery.schedules import crontab

import huoyan

app = Celery("clockwork", broker=os.environ.get("TEST_BROKER", "memory://"))
app.conf.update(
    timezone="Europe/Berlin",
    beat_max_loop_interval=1,
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    beat_schedule={
        "every-second": {"task": "clockwork.tick", "schedule": 1.0},
        "nightly": {"task": "clockwork.tick", "schedule": crontab(minute=30, hour=2)},
        "friday-13th": {
            "task": "clockwork.tick",
            "schedule": crontab(minute=0, hour=0, day_of_month=13, day_of_week="fri"),
        },
    },
)
huoyan.watch(app, service="clockwork")


@app.task(name="clockwork.tick")
def tick() -> None:
    """Do nothing."""
