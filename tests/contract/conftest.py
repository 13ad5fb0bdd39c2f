"""What every contract test begins with."""

from collections.abc import Iterator

import pytest

from huoyan.client import context, process
from huoyan.client.capabilities import Capability
from huoyan.client.process import Client
from huoyan.client.settings import Settings
from huoyan.client.transport.memory import MemoryTransport
from tests.contract.adapters import arq, rq
from tests.contract.adapters.contract import PROVED
from tests.contract.adapters.outside import celery_events, observer

__all__ = ["celery_events", "client", "observer", "outside_any_run", "proven", "tidied", "transport"]


@pytest.fixture(autouse=True)
def outside_any_run() -> Iterator[None]:
    """Begin outside any run, whatever a test before this one left behind in this thread."""
    token = context.enter(None)
    yield
    context.leave(token)


@pytest.fixture(autouse=True)
def tidied() -> Iterator[None]:
    """Leave no trace of the frameworks."""
    with rq.tidy(), arq.quiet():
        yield


@pytest.fixture(autouse=True)
def proven(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that is said to prove flags of the table of capabilities and has held none of them to anything."""
    PROVED.clear()
    yield
    marked: set[Capability] = {flag for mark in request.node.iter_markers("proves") for flag in mark.args}
    left = marked - PROVED
    assert not left, f"expected the test to hold these flags to what was told: {sorted(left)}"


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
