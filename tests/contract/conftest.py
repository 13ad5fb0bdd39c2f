"""What every contract test begins with."""

from collections.abc import Iterator

import pytest

from huoyan.client import context


@pytest.fixture(autouse=True)
def outside_any_run() -> Iterator[None]:
    """Begin outside any run, whatever a test before this one left behind in this thread."""
    token = context.enter(None)
    yield
    context.leave(token)
