"""The shop's web application.

HUOYAN_URL=http://127.0.0.1:8650 uvicorn examples.orders.app:app --port 8001
"""

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import BackgroundTasks, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, Field
from sqlalchemy import func, select

import huoyan
from examples.orders.all_in_one import everything
from examples.orders.database import Order, Product, orders_session, prepare, stock_session
from examples.orders.pipeline import fulfilment, record_visit, validate
from examples.orders.settings import settings


class NewOrder(BaseModel):
    """What a customer sends."""

    customer: str = Field(min_length=1, max_length=100)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=200)
    sku: str = Field(max_length=50)
    quantity: int = Field(default=1, ge=1, le=20)
    method: Literal["card", "wallet", "transfer"] = "card"


class Overview(BaseModel):
    """How much was ordered."""

    orders: int
    total_cents: int
    products: int


class Placed(BaseModel):
    """What the customer gets back at once."""

    id: str
    state: str


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the databases ready before the first request."""
    prepare()
    with everything():
        yield


app = FastAPI(title="Orders", lifespan=lifespan)
huoyan.watch(app)


@app.post("/orders", status_code=202)
def place_order(
    order: NewOrder, background: BackgroundTasks, referer: Annotated[str, Header(max_length=200)] = ""
) -> Placed:
    """Take an order. The customer has the answer before anything is checked; what happens then are tasks."""
    order_id = uuid.uuid4().hex[:12]
    with orders_session() as session:
        session.add(
            Order(
                id=order_id,
                created_at=time.time(),
                customer=order.customer,
                email=order.email,
                sku=order.sku,
                quantity=order.quantity,
                method=order.method,
            )
        )
    fulfilment.step("placed", order_id)
    background.add_task(record_visit, order_id, referrer=referer)
    background.add_task(validate, order_id)
    if settings().celery_url:
        from examples.orders.celery_app import check_fraud

        check_fraud.delay(order_id, order.email, order.method)
    return Placed(id=order_id, state="new")


@app.get("/orders")
def sum_up(email: Annotated[str, Query(max_length=200)] = "") -> Overview:
    """Say how much was ordered in the last hour, or by one customer ever.

    Nothing but an index on the address makes the second quick, and there is none: see `examples.orders.story`.
    """
    # Some write their address in capitals now and then.
    which = func.lower(Order.email) == email.lower() if email else Order.created_at >= time.time() - 3600.0
    with stock_session() as session:
        products = session.scalar(select(func.count()).select_from(Product)) or 0
    with orders_session() as session:
        count, total_cents = session.execute(
            select(func.count(), func.coalesce(func.sum(Order.total_cents), 0)).where(which)
        ).one()
    return Overview(orders=count, total_cents=total_cents, products=products)


@app.get("/orders/{order_id}")
def read_order(order_id: str) -> Placed:
    """Say how far an order is."""
    with orders_session() as session:
        order = session.get(Order, order_id)
    if order is None:
        raise HTTPException(404, "no such order")
    return Placed(id=order.id, state=order.state)


@app.get("/stock")
def read_stock() -> dict[str, int]:
    """Say how much there is of each product."""
    with stock_session() as session:
        return dict(session.execute(select(Product.sku, Product.stock)).tuples().all())


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Say that it works, and that its database answers."""
    with orders_session() as session:
        session.execute(select(1))
    return {"status": "ok"}
