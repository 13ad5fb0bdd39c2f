"""What the schedule runs: reports, reconciliation, cleaning up."""

import time
from typing import Any, cast

from sqlalchemy import CursorResult, Result, delete, func, select

from examples.naming import named
from examples.orders.database import (
    FULL_STOCK,
    PRODUCTS,
    Movement,
    Order,
    Product,
    Report,
    orders_session,
    stock_session,
)
from examples.orders.settings import settings

KEPT_S = 3600.0
"""How long finished orders and movements are kept, in seconds."""


@named("orders.daily_report")
def daily_report() -> dict[str, Any]:
    """Count what was sold since the last report."""
    now = time.time()
    since = now - settings().report_interval_s
    with orders_session() as session:
        count, revenue_cents = session.execute(
            select(func.count(), func.coalesce(func.sum(Order.total_cents), 0)).where(Order.created_at >= since)
        ).one()
        confirmed = session.scalar(select(func.count()).where(Order.created_at >= since, Order.state == "confirmed"))
        session.add(Report(made_at=now, orders=count, confirmed=confirmed or 0, revenue_cents=revenue_cents))
    return {"orders": count, "confirmed": confirmed, "revenue_cents": revenue_cents}


@named("orders.reconcile_inventory")
def reconcile_inventory() -> dict[str, Any]:
    """Compare the shelves with what moved, and have the half-empty ones filled."""
    filled = {}
    now = time.time()
    with stock_session() as session:
        for sku, _title, _price_cents in PRODUCTS:
            product = session.get_one(Product, sku)
            if product.stock < FULL_STOCK // 2:
                missing = FULL_STOCK - product.stock
                session.add(Movement(sku=sku, order_id=None, moved_at=now, quantity=missing))
                product.stock = FULL_STOCK
                filled[sku] = missing
    return {"checked": len(PRODUCTS), "filled": filled}


@named("orders.archive")
def archive() -> dict[str, int]:
    """Remove what is older than an hour; a shop would move it elsewhere."""
    before = time.time() - KEPT_S
    with orders_session() as session:
        orders = _removed(session.execute(delete(Order).where(Order.created_at < before)))
        session.execute(delete(Report).where(Report.made_at < before))
    with stock_session() as session:
        movements = _removed(session.execute(delete(Movement).where(Movement.moved_at < before)))
    return {"orders": orders, "movements": movements}


def _removed(result: Result[Any]) -> int:
    return cast("CursorResult[Any]", result).rowcount
