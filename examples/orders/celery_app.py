"""What the shop leaves to Celery, where a broker is there.

ORDERS_CELERY_URL=redis://127.0.0.1:6379/0 celery -A examples.orders.celery_app worker --events --concurrency 2
"""

import random
import time
from typing import Any

from celery import Celery
from celery.signals import worker_ready

import huoyan
from examples.orders.settings import settings

app = Celery("orders", broker=settings().celery_url or "redis://127.0.0.1:6379/0")
app.conf.update(
    task_default_queue="invoices",
    task_routes={"orders.check_fraud": {"queue": "fraud"}},
    task_ignore_result=True,
    task_acks_late=True,
    worker_send_task_events=True,
    task_send_sent_event=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    # An order is taken whether or not the broker is there.
    task_publish_retry_policy={"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2},
    # What a killed worker had taken and not finished is delivered again after 45 seconds.
    broker_transport_options={"socket_timeout": 2, "socket_connect_timeout": 1, "visibility_timeout": 45},
)
huoyan.watch(app)


@worker_ready.connect
def tell(**_: Any) -> None:
    """Say that the worker works."""
    print("the Celery worker is ready", flush=True)


class SanctionsListTimeout(Exception):
    """The list of the authorities did not answer in time."""


@app.task(name="orders.make_invoice")
def make_invoice(order_id: str, total_cents: int) -> dict[str, Any]:
    """Write the invoice."""
    time.sleep(random.uniform(0.03, 0.12))
    tax_cents = round(total_cents * 0.13)
    return {"order_id": order_id, "total_cents": total_cents, "tax_cents": tax_cents}


@app.task(name="orders.check_fraud", bind=True, max_retries=3)
def check_fraud(self: Any, order_id: str, email: str, method: str) -> dict[str, Any]:
    """Compare the customer with the lists. Their time-outs are tried again."""
    time.sleep(random.uniform(0.02, 0.08))
    if random.random() < 0.03:
        raise self.retry(exc=SanctionsListTimeout("no answer from the sanctions list within 50 ms"), countdown=1)
    return {"order_id": order_id, "suspicious": method == "transfer" and email.endswith(".test")}
