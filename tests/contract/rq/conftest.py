"""RQ over a real Redis, with work horses and without."""

from collections.abc import Iterator

import pytest

from huoyan.client.process import Client
from tests.contract.adapters.rq import Forking, RqAdapter, tidy
from tests.servers import RedisServer


@pytest.fixture(autouse=True)
def tidied() -> Iterator[None]:
    """Leave no trace of RQ."""
    with tidy():
        yield


@pytest.fixture
def adapter(redis_server: RedisServer, client: Client) -> Iterator[RqAdapter]:
    """Give RQ over a real Redis, watched."""
    started = RqAdapter(redis_server)
    yield started
    started.close()


@pytest.fixture
def forking(redis_server: RedisServer, client: Client) -> Iterator[Forking]:
    """Give RQ with work horses."""
    started = Forking(redis_server)
    yield started
    started.close()
