"""The Celery application of these tests, as somebody would write it: run with `celery -A tests.integration.celery.app
worker`.

The environment says which broker it uses (TEST_BROKER), whether it is watched (TEST_WATCH) and where the Huoyan server
is (HUOYAN_URL).
"""

import os
import signal
import time
from typing import Any

from celery import Celery

import huoyan

app = Celery("orders", broker=os.environ.get("TEST_BROKER", "memory://"))
app.conf.update(
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=4,
    # Celery's own default, said because a test depends on it: events of sent tasks have to be switched on.
    task_send_sent_event=False,
)
if os.environ.get("TEST_WATCH"):
    huoyan.watch(app, service="orders")

KINDS = ("ok", "ok", "ok", "ok", "ok", "ok", "fail", "flaky", "flakier", "exhaust")
"""What the n-th task does, by the last digit of n."""


class PaymentDeclined(Exception):
    """The bank said no."""


@app.task(name="orders.work", bind=True, max_retries=2)
def work(self: Any, kind: str, n: int) -> str:
    """Do what the kind says."""
    if kind == "fail":
        raise PaymentDeclined(f"card declined for order {n}")
    if kind == "flaky" and self.request.retries < 1:
        raise self.retry(exc=ConnectionError("bank is away"), countdown=0)
    if kind == "flakier" and self.request.retries < 2:
        raise self.retry(exc=ConnectionError("bank is away"), countdown=0)
    if kind == "exhaust":
        raise self.retry(exc=PaymentDeclined("never"), countdown=0)
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return f"{kind} {n}"


@app.task(name="orders.survive", bind=True, acks_late=True, reject_on_worker_lost=True)
def survive(self: Any) -> str:
    """Die with the whole process at the first delivery."""
    if not self.request.delivery_info["redelivered"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


@app.task(name="orders.hold")
def hold(seconds: float) -> None:
    """Take a while."""
    time.sleep(seconds)


@app.task(name="orders.tree")
def tree() -> None:
    """Start another task."""
    work.apply_async(("ok", 1), task_id="leaf")
