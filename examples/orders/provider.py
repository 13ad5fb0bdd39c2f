"""A payment provider for the demonstration: it takes the time that such services take, and can be out of order.

    uvicorn examples.orders.provider:app --port 8010

It is out of order while the file named by PROVIDER_DOWN_FILE exists.
"""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

DOWN_FILE = Path(os.environ.get("PROVIDER_DOWN_FILE", "payment-provider-is-down"))
HANGS_S = 3.0
"""Longer than any customer of the provider waits."""

_charged: dict[str, str] = {}
_CHARGES_KEPT = 20_000


async def charge(request: Request) -> Response:
    """Take money for an order, once."""
    body: dict[str, Any] = await request.json()
    order_id = str(body["order_id"])
    if DOWN_FILE.exists():  # noqa: ASYNC240 - one look at a local folder
        # Out of order looks like this from outside: most requests are turned away, some are never answered.
        await asyncio.sleep(HANGS_S if random.random() < 0.1 else 0.03)
        return JSONResponse({"error": "service unavailable, try again later"}, status_code=503)
    if order_id in _charged:
        return JSONResponse({"status": _charged[order_id]})
    fate = random.random()
    if fate < 0.02:
        await asyncio.sleep(HANGS_S)
    else:
        await asyncio.sleep(min(random.lognormvariate(-2.1, 0.5), 1.2))
    status = "declined" if 0.02 <= fate < 0.04 else "paid"
    while len(_charged) >= _CHARGES_KEPT:
        _charged.pop(next(iter(_charged)))
    _charged[order_id] = status
    return JSONResponse({"status": status})


async def healthz(_request: Request) -> Response:
    """Say that the process is there."""
    return JSONResponse({"status": "ok"})


app = Starlette(routes=[Route("/charges", charge, methods=["POST"]), Route("/healthz", healthz)])
