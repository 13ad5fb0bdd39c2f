"""A shop with a table that lacks an index: `uvicorn tests.integration.causes_app:app`. CAUSES_DB is its database."""

import os

from fastapi import FastAPI
from sqlalchemy import create_engine, text

import huoyan

engine = huoyan.watch(create_engine(os.environ["CAUSES_DB"], pool_size=5))
app = huoyan.watch(FastAPI(), service="shop")


@app.get("/orders")
def orders(mail: str = "") -> int:
    """Look up a customer, and with `mail` search all orders for it."""
    with engine.connect() as connection:
        connection.execute(text("SELECT name FROM customers WHERE id = :id"), {"id": 7}).all()
        if not mail:
            return len(connection.execute(text("SELECT id FROM orders WHERE id = :id"), {"id": 7}).all())
        return len(connection.execute(text("SELECT id FROM orders WHERE mail = :mail"), {"mail": mail}).all())


@app.get("/customers")
def customers() -> int:
    """Look up a customer."""
    with engine.connect() as connection:
        return len(connection.execute(text("SELECT name FROM customers WHERE id = :id"), {"id": 7}).all())
