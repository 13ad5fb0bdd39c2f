"""Taskiq over each of its brokers."""

from collections.abc import Iterator

import pytest

from huoyan.client.process import Client
from tests.contract.adapters.taskiq import BROKERS, DelayingBroker, TaskiqAdapter, make


@pytest.fixture(params=BROKERS)
def adapter(request: pytest.FixtureRequest, client: Client) -> Iterator[TaskiqAdapter]:
    """Give Taskiq over each broker in turn, watched."""
    started = make(request.param, request)
    yield started
    started.close()


@pytest.fixture
def memory(client: Client) -> Iterator[TaskiqAdapter]:
    """Give Taskiq over the broker in memory, for what does not depend on the broker."""
    started = TaskiqAdapter(DelayingBroker())
    yield started
    started.close()
