"""The four steps of an order, each a task of its own.

The first runs as a background task of the request that placed the order, the others come from a Huey queue in an SQLite
file. A step starts the next one when it has done its part.
"""

import asyncio
import random
import time
from functools import cache
from typing import Any

from huey import SqliteHuey

import huoyan
from examples.naming import named
from examples.orders import confirmations, payments
from examples.orders.database import Movement, Order, Product, orders_session, prepare, stock_session
from examples.orders.settings import settings

queue = SqliteHuey(
    "orders", filename=str(settings().data_dir / "queue.sqlite3"), results=False, fsync=False, strict_fifo=True
)
huoyan.watch(queue)

fulfilment = huoyan.funnel("fulfilment", steps=["placed", "paid", "reserved", "confirmed"])
"""How far orders get. They enter in the web application; the worker takes the steps after that."""


@queue.on_startup()
@cache
def warm_up() -> None:
    """Make the tables before the first task, and say so: each thread of the consumer calls this."""
    prepare()
    print("the consumer of the orders is ready", flush=True)


class UnknownProduct(Exception):
    """Somebody ordered what is not sold."""


class OutOfStock(Exception):
    """There is not enough of it; the reconciliation orders more."""


@named("orders.validate")
def validate(order_id: str) -> dict[str, Any]:
    """Check an order and set its price, then have it paid."""
    with orders_session() as session:
        order = session.get_one(Order, order_id)
        with stock_session() as shelves:
            product = shelves.get(Product, order.sku)
        if product is None:
            order.state = "rejected"
        else:
            order.total_cents = product.price_cents * order.quantity
        sku, total_cents = order.sku, order.total_cents
    if product is None:
        raise UnknownProduct(f"no product has the number {sku}")
    take_payment(order_id)
    return {"order_id": order_id, "total_cents": total_cents}


@named("orders.record_visit")
async def record_visit(order_id: str, referrer: str) -> None:
    """Tell the statistics where the customer came from; a coroutine, as background tasks often are."""
    await asyncio.sleep(random.uniform(0.004, 0.03))  # the way to them
    _visits[referrer] = _visits.get(referrer, 0) + 1
    del order_id


_visits: dict[str, int] = {}


@queue.task(retries=2, retry_delay=2)
@named("orders.take_payment")
def take_payment(order_id: str) -> dict[str, Any]:
    """Charge the customer. The provider's time-outs and outages are tried twice more."""
    with orders_session() as session:
        order = session.get_one(Order, order_id)
        total_cents, method = order.total_cents, order.method
    card = "4111 1111 1111 1111" if method == "card" else ""
    status = payments.charge(order_id, total_cents, method, card)
    with orders_session() as session:
        session.get_one(Order, order_id).state = status
    if status == "paid":
        fulfilment.step("paid", order_id)
        update_inventory(order_id)
        _make_invoice(order_id, total_cents)
    return {"order_id": order_id, "status": status, "total_cents": total_cents}


@queue.task(retries=1, retry_delay=3)
@named("orders.update_inventory")
def update_inventory(order_id: str) -> dict[str, Any]:
    """Take what was sold from the shelf."""
    with orders_session() as session:
        order = session.get_one(Order, order_id)
        sku, quantity = order.sku, order.quantity
    with stock_session() as session:
        # The first statement writes, so that the transaction waits for the lock instead of failing to get it later.
        session.add(Movement(sku=sku, order_id=order_id, moved_at=time.time(), quantity=-quantity))
        session.flush()
        product = session.get_one(Product, sku)
        if product.stock < quantity:
            raise OutOfStock(f"{quantity} of {sku} wanted, {product.stock} there")
        product.stock -= quantity
        left = product.stock
    with orders_session() as session:
        session.get_one(Order, order_id).state = "reserved"
    fulfilment.step("reserved", order_id)
    send_confirmation(order_id)
    return {"order_id": order_id, "sku": sku, "left": left}


@queue.task(retries=2, retry_delay=5)
@named("orders.send_confirmation")
def send_confirmation(order_id: str) -> dict[str, Any]:
    """Tell the customer that it is on its way."""
    with orders_session() as session:
        order = session.get_one(Order, order_id)
        email, sku, total_cents = order.email, order.sku, order.total_cents
    mail_id = confirmations.confirm(order_id, email, sku, total_cents)
    with orders_session() as session:
        session.get_one(Order, order_id).state = "confirmed"
    fulfilment.step("confirmed", order_id)
    return {"order_id": order_id, "mail_id": mail_id}


def _make_invoice(order_id: str, total_cents: int) -> None:
    """Leave the invoice to the Celery worker, where there is one."""
    if settings().celery_url:
        from examples.orders.celery_app import make_invoice

        make_invoice.delay(order_id, total_cents)
