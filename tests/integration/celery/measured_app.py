"""A Celery application that counts for itself: `celery -A tests.integration.celery.measured_app worker`."""

import os

from celery import Celery

import huoyan

app = Celery("parcels", broker=os.environ.get("TEST_BROKER", "memory://"))
app.conf.update(task_ignore_result=True, broker_connection_retry_on_startup=True)
huoyan.watch(app, service="parcels")
parcels = huoyan.counter("parcels", "Parcels sent.", labels=("carrier",))


@app.task(name="parcels.send")
def send(number: int) -> None:
    """Count one parcel, and fail as an operation each fifth time."""
    parcels.add(carrier="dhl" if number % 2 else "ups")
    with huoyan.operation("send") as sending:
        if number % 5 == 0:
            sending.fail()
