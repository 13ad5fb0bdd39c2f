"""What every contract test begins with."""

from collections.abc import Iterator

import pytest

from huoyan.client import context, process
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport


@pytest.fixture(autouse=True)
def outside_any_run() -> Iterator[None]:
    """Begin outside any run, whatever a test before this one left behind in this thread."""
    token = context.enter(None)
    yield
    context.leave(token)


@pytest.fixture
def transport() -> MemoryTransport:
    """Keep what is sent."""
    return MemoryTransport()


@pytest.fixture
def client(transport: MemoryTransport) -> Iterator[Client]:
    """Install a client for the test."""
    new = Client(Settings(service="shop", flush_interval_s=0.01), transport=transport)
    before = process.install(new)
    yield new
    process.install(before)
    new.close()
