"""FastAPI's background tasks."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI
from prometheus_client import CollectorRegistry

import huoyan
from huoyan.client.capabilities import Capability
from tests.contract.adapters.contract import AdapterUnderTest, Base, Function


class BackgroundAdapter(Base):
    """FastAPI's BackgroundTasks, each in a request of its own."""

    framework = "fastapi"
    queues = False
    partly = frozenset({Capability.CPU})

    def __init__(self) -> None:
        self.app = FastAPI()
        self.waiting: list[tuple[Function, tuple[Any, ...], dict[str, Any]]] = []

        @self.app.post("/{number}")
        def run(number: int, background: BackgroundTasks) -> None:
            function, args, kwargs = self.waiting[number]
            background.add_task(function, *args, **kwargs)

        self.watch_again()

    def watch_again(self) -> None:
        huoyan.watch(self.app, registry=CollectorRegistry())

    def submit(self, function: Function, *args: Any, **kwargs: Any) -> Any:
        self.waiting.append((function, args, kwargs))

    def work(self) -> None:
        async def post() -> None:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://app") as http:
                for number in range(len(self.waiting)):
                    assert (await http.post(f"/{number}")).status_code == 200

        asyncio.run(post())
        self.waiting.clear()

    def unwatch(self) -> None:
        huoyan.unwatch(self.app)


ADAPTERS: dict[str, Callable[[pytest.FixtureRequest], AdapterUnderTest]] = {
    "background": lambda _: BackgroundAdapter(),
}
"""How to make them."""
