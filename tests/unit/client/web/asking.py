"""ASGI applications under watch, asked."""

import asyncio
from typing import Any

import httpx
from prometheus_client import CollectorRegistry
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

import huoyan
from huoyan.client.process import Client


def watched(app: Any, **options: Any) -> Any:
    return huoyan.watch(app, registry=CollectorRegistry(), **options)


def requests_to(app: Any, *paths: str, method: str = "GET") -> list[int]:
    async def run() -> list[int]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
            return [(await http.request(method, path)).status_code for path in paths]

    return asyncio.run(run())


def counted(client: Client) -> dict[tuple[str, str, int], int]:
    return {
        (method, endpoint, status): int(counter.value)
        for (method, endpoint), series in client.metrics.requests.series.items()
        for status, counter in series.statuses.items()
    }


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def nothing() -> dict[str, Any]:
    await asyncio.sleep(60)
    return {}


async def ignore(message: Any) -> None: ...
